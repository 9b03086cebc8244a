import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
let seen = 0;
const decoy = createServer((_request, response) => {
  seen += 1;
  response.end('{}');
});
beforeAll(async () => {
  place = await startLaunch();
  await new Promise<void>((resolve) => decoy.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  decoy.close();
  await place.close();
});

it('S01: an issuer that the site does not list is refused before any network call', async () => {
  const { port } = decoy.address() as AddressInfo; // it listens on a TCP port
  const foreign = [
    `http://127.0.0.1:${port}/fhir`,
    `${place.ehr.iss}x`,
    `${place.ehr.iss}//`,
    place.ehr.iss.toUpperCase(),
    'javascript:alert(1)',
    '',
  ];
  for (const iss of foreign) {
    const page = await new Browser().open(place.door.url(iss, 'launch-1'));
    expect([iss, page.status, refusalCode(page)]).toEqual([iss, 400, 'launch-refused']);
  }
  expect([seen, place.ehr.discoveries()]).toEqual([0, 0]);
});

it('S01: one trailing slash is no difference', async () => {
  const { url, way } = await new Browser().open(place.door.url(`${place.ehr.iss}/`, 'x'), place.ehr.issuer);
  expect(url.origin).toBe(place.ehr.issuer);
  expect(way).toHaveLength(2);
});

it('S01: missing or doubled iss and launch are refused', async () => {
  const { origin } = place.door;
  const iss = encodeURIComponent(place.ehr.iss);
  for (const query of [
    '',
    `iss=${iss}`,
    'launch=1',
    `iss=${iss}&iss=${iss}&launch=1`,
    `iss=${iss}&launch=1&launch=2`,
    `iss[a]=${iss}&launch=1`,
  ]) {
    const page = await new Browser().open(`${origin}/launch?${query}`);
    expect([query, page.status, refusalCode(page), page.way.length]).toEqual([query, 400, 'launch-refused', 1]);
  }
});
