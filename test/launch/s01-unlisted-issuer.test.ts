import { afterAll, beforeAll, expect, it } from 'vitest';
import { decoy, type RawServer } from '../net/servers.ts';
import { Browser } from './browser.ts';
import { refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
let foreign: RawServer;
beforeAll(async () => {
  [place, foreign] = await Promise.all([startLaunch(), decoy()]);
});
afterAll(async () => {
  await foreign.close();
  await place.close();
});

it('S01: an issuer that the site does not list is refused before any network call, however like a listed one it looks', async () => {
  const [own, there] = [new URL(place.ehr.iss), new URL(foreign.origin).host];
  const others = [
    `${foreign.origin}/fhir`,
    `${foreign.origin}/${place.ehr.iss}`,
    `http://${own.host}@${there}/fhir`,
    `http://${there}\\@${own.host}/fhir`,
    `//${there}/fhir`,
    `http://user@${own.host}${own.pathname}`,
    `http://${own.hostname}.:${own.port}${own.pathname}`,
    `https://${own.host}${own.pathname}`,
    `http://localhost:${own.port}${own.pathname}`,
    `${place.ehr.iss}x`,
    `${place.ehr.iss}//`,
    `${place.ehr.iss}/../admin`,
    `${place.ehr.iss}?x=1`,
    `${place.ehr.iss}#`,
    ` ${place.ehr.iss}`,
    place.ehr.iss.toUpperCase(),
    'javascript:alert(1)',
    '',
  ];
  for (const iss of others) {
    const page = await new Browser().open(place.door.url(iss, 'launch-1'));
    expect([iss, page.status, refusalCode(page)]).toEqual([iss, 400, 'launch-refused']);
  }
  expect([foreign.connections(), foreign.heard(), place.ehr.discoveries()]).toEqual([0, '', 0]);
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
