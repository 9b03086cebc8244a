import { afterEach, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { json, startDoor, startEhr, startLaunch } from './start.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

it.each(['/fhir', '/a/b/fhir', ''])(
  'S02: the configuration is found under a FHIR base with path "%s" and the launch succeeds',
  async (path) => {
    const place = await startLaunch(path);
    closers.push(place.close);
    const page = await place.go();
    expect([page.status, page.body]).toEqual([200, 'the draft']);
    expect(place.ehr.discoveries()).toBe(1);
  },
);

it('S02: relative endpoints of an old server are resolved against the FHIR base', async () => {
  const place = await startLaunch('/a/b/fhir');
  closers.push(place.close);
  place.ehr.authorization.switches.relativeUrls = true;
  expect((await place.go()).body).toBe('the draft');
});

it('S02: a server without issuer has no OpenID: the launch succeeds and the user is unknown', async () => {
  const ehr = await startEhr();
  const door = await startDoor({ ehrs: [ehr], contexts: new Map([['opaque', { draftKey: 'd1', patientId: 'anna' }]]) });
  closers.push(door.close, ehr.close);
  // Such a server sends no `iss` with the code either; the sandbox's does, so the parameter is taken away as a proxy would.
  ehr.change.configuration = ({ issuer: _issuer, jwks_uri: _keys, ...rest }) => json(rest);
  ehr.change.token = (answer) => {
    const { id_token: _token, ...rest } = JSON.parse(answer.body) as Record<string, unknown>;
    return json(rest);
  };
  const browser = new Browser();
  const back = await browser.open(door.url(ehr.iss, ehr.launch('anna', 'opaque')), `${door.origin}/launch/callback`);
  back.url.searchParams.delete('iss');
  expect((await browser.open(back.url)).body).toBe('the draft');
  expect(door.opened.map(({ user }) => user)).toEqual([null]);
});
