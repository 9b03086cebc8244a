import { afterAll, beforeEach, expect, it } from 'vitest';
import { json, refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeEach(async () => {
  await place?.close();
  place = await startLaunch();
});
afterAll(() => place.close());

it('S03: a server that lists only plain is not authorized at', async () => {
  place.ehr.authorization.switches.noS256 = true;
  const page = await place.go();
  expect([page.status, refusalCode(page), page.way.length]).toEqual([400, 'launch-refused', 1]);
});

it('S03: a server that lists no method is not authorized at', async () => {
  place.ehr.change.configuration = ({ code_challenge_methods_supported: _methods, ...rest }) => json(rest);
  const page = await place.go();
  expect([page.status, refusalCode(page), page.way.length]).toEqual([400, 'launch-refused', 1]);
});
