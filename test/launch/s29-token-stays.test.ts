import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decoy, type RawServer } from '../net/servers.ts';
import { type Answer, json, refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
let foreign: RawServer;
let elsewhere: string;
beforeAll(async () => {
  [place, foreign] = await Promise.all([startLaunch(), decoy()]);
  elsewhere = foreign.origin;
});
afterAll(async () => {
  await foreign.close();
  await place.close();
});

const membersOf = (answer: Answer) => JSON.parse(answer.body) as Record<string, string>;

it('S29: no token is in a URL, a cookie, a page or the log', async () => {
  const secrets: string[] = [];
  place.ehr.change.token = (answer) => {
    const members = membersOf(answer);
    secrets.push(members.access_token ?? '', members.id_token ?? '');
    return answer;
  };
  const page = await place.go();
  expect(page.body).toBe('the draft');
  expect(secrets.every((secret) => secret.length > 20)).toBe(true);
  const outside = [...page.way.map(String), ...page.headers.getSetCookie(), page.body, ...place.door.log].join('\n');
  for (const secret of secrets) expect(outside).not.toContain(secret);
});

it('S29: a token request is not sent on by a redirect', async () => {
  place.ehr.change.token = () => ({ status: 307, headers: { location: `${elsewhere}/token` }, body: '' });
  expect(refusalCode(await place.go())).toBe('net-redirect-refused');
  expect([foreign.connections(), foreign.heard()]).toEqual([0, '']);
});

it('S29: a fhirUser, a patient and a key address on another server are not followed', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const key = { ...(await exportJWK(publicKey)), kid: 'own', alg: 'RS256', use: 'sig' };
  place.ehr.change.keys = () => ({ keys: [key] });
  place.ehr.change.token = async (answer) => {
    const claims = { ...decodeJwt(membersOf(answer).id_token ?? ''), fhirUser: `${elsewhere}/fhir/Practitioner/robin` };
    const id_token = await new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid: 'own', jku: `${elsewhere}/jwks` }).sign(privateKey);
    return json({ ...membersOf(answer), id_token, fhirContext: [{ reference: `${elsewhere}/fhir/ImagingStudy/1` }] });
  };
  expect((await place.go()).body).toBe('the draft');
  place.ehr.change.token = (answer) => json({ ...membersOf(answer), patient: `${elsewhere}/fhir/Patient/anna` });
  expect(refusalCode(await place.go())).not.toBeNull();
  expect([foreign.connections(), foreign.heard()]).toEqual([0, '']);
});
