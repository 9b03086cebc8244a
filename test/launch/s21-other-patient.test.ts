import { afterAll, beforeAll, expect, it } from 'vitest';
import { refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

it('S21: a token for another patient than that of the draft shows nothing and is recorded', async () => {
  place.ehr.authorization.switches.otherPatient = 'berta';
  const page = await place.go();
  expect([page.status, refusalCode(page)]).toEqual([403, 'launch-patient-mismatch']);
  expect(page.body).not.toMatch(/anna|berta|d1/);
  expect(page.headers.getSetCookie()).toEqual([]);
  expect(place.door.opened).toEqual([]);
  expect(place.door.refusals).toEqual([{ draftKey: 'd1', user: `${place.ehr.iss}/Practitioner/robin` }]);
});

it('S21: a launch with another patient open shows nothing either', async () => {
  place.ehr.authorization.switches.otherPatient = null;
  const page = await place.go(undefined, place.ehr.launch('berta', 'opaque'));
  expect(refusalCode(page)).toBe('launch-patient-mismatch');
});
