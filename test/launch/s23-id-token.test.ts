import { decodeJwt, exportJWK, generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Answer, json, refusalCode, startLaunch } from './start.ts';

type Key = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];
interface Signer {
  readonly alg: string;
  readonly key: Key | Uint8Array;
  readonly kid: string;
}

let place: Awaited<ReturnType<typeof startLaunch>>;
/** A key that the EHR publishes beside its own, and one that it does not. */
let published: Signer;
let foreign: Signer;
let elliptic: Signer;
beforeAll(async () => {
  place = await startLaunch();
  const [own, other, curve] = await Promise.all(['RS256', 'RS256', 'ES384'].map((alg) => generateKeyPair(alg, { extractable: true })));
  if (own === undefined || other === undefined || curve === undefined) throw new Error('three keys are made');
  published = { alg: 'RS256', key: own.privateKey, kid: 'own' };
  foreign = { alg: 'RS256', key: other.privateKey, kid: 'own' };
  elliptic = { alg: 'ES384', key: curve.privateKey, kid: 'curve' };
  const keys = [
    { ...(await exportJWK(own.publicKey)), kid: 'own', alg: 'RS256', use: 'sig' },
    { ...(await exportJWK(curve.publicKey)), kid: 'curve', alg: 'ES384', use: 'sig' },
  ];
  place.ehr.change.keys = (document) => ({ keys: [...document.keys, ...keys] });
});
beforeEach(() => {
  place.ehr.change.token = null;
});
afterAll(() => place.close());

const sign = (claims: JWTPayload, { alg, key, kid }: Signer) => new SignJWT(claims).setProtectedHeader({ alg, kid }).sign(key);
const claimsOf = (answer: Answer) => decodeJwt(String((JSON.parse(answer.body) as { id_token: string }).id_token));
const withToken = (make: (claims: JWTPayload) => unknown) => async (answer: Answer) =>
  json({ ...(JSON.parse(answer.body) as object), id_token: await make(claimsOf(answer)) });

it("S23: the EHR's own token and one by another published key are taken, and fhirUser is known", async () => {
  expect((await place.go()).body).toBe('the draft');
  place.ehr.change.token = withToken((claims) => sign(claims, published));
  expect((await place.go()).body).toBe('the draft');
  expect(place.door.opened.map(({ user }) => user)).toEqual(Array(2).fill(`${place.ehr.iss}/Practitioner/robin`));
});

it('S23: a key that is published after the last launch is fetched at once', async () => {
  const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
  const before = place.ehr.change.keys;
  expect((await place.go()).body).toBe('the draft');
  const rotated = { ...(await exportJWK(publicKey)), kid: 'rotated', alg: 'RS256', use: 'sig' };
  place.ehr.change.keys = () => ({ keys: [rotated] });
  place.ehr.change.token = withToken((claims) => sign(claims, { alg: 'RS256', key: privateKey, kid: 'rotated' }));
  expect((await place.go()).body).toBe('the draft');
  place.ehr.change.keys = before;
});

const hour = 3600;
const forged: readonly (readonly [what: string, make: (claims: JWTPayload) => unknown])[] = [
  ['a signature by a foreign key of the same name', (claims) => sign(claims, foreign)],
  ['a key that is not published', (claims) => sign(claims, { ...foreign, kid: 'nobody' })],
  ['alg none', (claims) => new UnsecuredJWT(claims).encode()],
  [
    'HS256 with the client id as secret',
    (claims) => sign(claims, { alg: 'HS256', key: new TextEncoder().encode('wetread-review'.padEnd(32, '.')), kid: 'own' }),
  ],
  ['ES384, which the server does not announce', (claims) => sign(claims, elliptic)],
  [
    'changed claims under the signature of the unchanged ones',
    async (claims) => {
      const [header, , signature] = (await sign(claims, published)).split('.');
      const [, payload] = (await sign({ ...claims, sub: 'Practitioner/kim' }, foreign)).split('.');
      return [header, payload, signature].join('.');
    },
  ],
  ['another issuer', (claims) => sign({ ...claims, iss: 'https://evil.example' }, published)],
  ['another audience', (claims) => sign({ ...claims, aud: 'another-app' }, published)],
  ['another nonce', (claims) => sign({ ...claims, nonce: 'other' }, published)],
  ['no nonce', ({ nonce: _nonce, ...claims }) => sign(claims, published)],
  [
    'an end an hour ago',
    (claims) => sign({ ...claims, iat: Number(claims.iat) - 2 * hour, exp: Number(claims.exp) - 2 * hour }, published),
  ],
  ['no end', ({ exp: _exp, ...claims }) => sign(claims, published)],
  ['no subject', ({ sub: _sub, ...claims }) => sign(claims, published)],
  ['a subject of 256 characters', (claims) => sign({ ...claims, sub: 'x'.repeat(256) }, published)],
  ['no id_token at all although openid was granted', () => undefined],
];

it.each(forged)('S23: %s is refused', async (_what, make) => {
  const opened = place.door.opened.length;
  place.ehr.change.token = withToken(make);
  const page = await place.go();
  expect([page.status, refusalCode(page)]).toEqual([400, 'launch-refused']);
  expect(place.door.opened).toHaveLength(opened);
});
