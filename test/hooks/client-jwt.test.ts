/** CDS Hooks 2.0, Trusting CDS Clients: real keys, a key set served on loopback, one wrong thing at a time. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientCheck } from '#hooks/client-jwt.ts';

const audience = 'https://wetread.example/cds-services/wetread-order-sign';
const issuer = 'https://ehr.example';
const now = new Date('2026-11-24T10:00:00Z');
const seconds = Math.floor(now.getTime() / 1000);

let server: Server;
let url: string;
let key: CryptoKey;
let foreign: CryptoKey;
let asked = 0;

beforeAll(async () => {
  const pair = await generateKeyPair('ES384', { extractable: true });
  key = pair.privateKey;
  foreign = (await generateKeyPair('ES384')).privateKey;
  const jwk = { ...(await exportJWK(pair.publicKey)), kid: 'a+/=', alg: 'ES384' };
  server = createServer((_request, response) => {
    asked += 1;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
  });
  await new Promise<void>((up) => server.listen(0, '127.0.0.1', () => up()));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`; // listening on TCP, so it is AddressInfo
});
afterAll(() => server.close());

const good: JWTPayload = { iss: issuer, aud: audience, iat: seconds, exp: seconds + 300, jti: 'j1' };

async function sign(payload: JWTPayload, options: { by?: CryptoKey; header?: Record<string, string> } = {}): Promise<string> {
  const jwt = new SignJWT(payload).setProtectedHeader({ alg: 'ES384', kid: 'a+/=', typ: 'JWT', ...options.header });
  return `Bearer ${await jwt.sign(options.by ?? key)}`;
}

function check(client: Partial<{ issuer: string; keySets: string[]; algorithms: string[] }> = {}) {
  const used = new Set<string>();
  return clientCheck({
    clients: [{ issuer, keySets: [url], algorithms: ['ES384', 'RS384'], audiences: [], ...client }],
    fetchKeySet: async (target) => (await fetch(target)).json(),
    useJti: async (iss, jti) => {
      const fresh = !used.has(`${iss} ${jti}`);
      used.add(`${iss} ${jti}`);
      return fresh;
    },
    now: () => now,
  });
}

describe('client JWT', () => {
  test('a good token is known by its issuer, also with aud as a list', async () => {
    expect(await check()(await sign(good), audience)).toEqual({ issuer });
    expect(await check()(await sign({ ...good, aud: ['https://other.example', audience] }), audience)).toEqual({ issuer });
  });

  test('the same jti is good once', async () => {
    const verify = check();
    await verify(await sign(good), audience);
    await expect(verify(await sign(good), audience)).rejects.toMatchObject({
      code: 'client-unauthorised',
      message: expect.stringContaining('jti'),
    });
  });

  const { exp: _exp, ...withoutExp } = good;
  const { jti: _jti, ...withoutJti } = good;
  const wrong: Record<string, () => Promise<string | undefined>> = {
    'no header': async () => undefined,
    'no JWT': async () => 'Bearer abc',
    'a foreign issuer': () => sign({ ...good, iss: 'https://evil.example' }),
    'another audience': () => sign({ ...good, aud: 'https://wetread.example/cds-services' }),
    'an expired token': () => sign({ ...good, iat: seconds - 800, exp: seconds - 100 }),
    'no exp': () => sign(withoutExp),
    'an exp ten years away': () => sign({ ...good, exp: seconds + 315_360_000 }),
    'an iat of an hour ago': () => sign({ ...good, iat: seconds - 3600 }),
    'no jti': () => sign(withoutJti),
    'a foreign key': () => sign(good, { by: foreign }),
    'a jku that is not listed': () => sign(good, { header: { jku: 'https://evil.example/keys' } }),
    'an unknown kid': () => sign(good, { header: { kid: 'other' } }),
  };
  for (const [what, make] of Object.entries(wrong)) {
    test(`${what} is client-unauthorised`, async () => {
      await expect(check()(await make(), audience)).rejects.toMatchObject({ code: 'client-unauthorised' });
    });
  }

  test("the public sandbox's issuer is never known, even when a site lists it", async () => {
    const verify = check({ issuer: 'https://sandbox.cds-hooks.org' });
    await expect(verify(await sign({ ...good, iss: 'https://sandbox.cds-hooks.org' }), audience)).rejects.toMatchObject({
      code: 'client-unauthorised',
    });
  });

  test("the public sandbox's key set is never believed, whatever the issuer: its private key is published", async () => {
    for (const set of ['https://sandbox.cds-hooks.org/.well-known/jwks.json', 'https://SANDBOX.cds-hooks.org./jwks']) {
      const fetchKeySet = async () => (await fetch(url)).json();
      const clients = [{ issuer, keySets: [set], algorithms: ['ES384'], audiences: [] }];
      const verify = clientCheck({ clients, fetchKeySet, useJti: async () => true, now: () => now });
      await expect(verify(await sign(good), audience)).rejects.toMatchObject({ message: expect.stringContaining('jku') });
    }
  });

  test('a jku that is not listed is not asked, although its keys would fit the token', async () => {
    const attacker = await generateKeyPair('ES384', { extractable: true });
    const keys = JSON.stringify({ keys: [{ ...(await exportJWK(attacker.publicKey)), kid: 'a+/=', alg: 'ES384' }] });
    let connections = 0;
    const willing = createServer((_request, response) => void response.setHeader('content-type', 'application/json').end(keys));
    willing.on('connection', () => {
      connections += 1;
    });
    await new Promise<void>((up) => willing.listen(0, '127.0.0.1', () => up()));
    const jku = `http://127.0.0.1:${(willing.address() as AddressInfo).port}/jwks`; // listening on TCP, so it is AddressInfo
    for (const named of [jku, `${url}@${new URL(jku).host}`, `${url}?x=${jku}`]) {
      const token = await sign(good, { by: attacker.privateKey, header: { jku: named } });
      await expect(check()(token, audience)).rejects.toMatchObject({ message: expect.stringContaining('jku') });
    }
    willing.close();
    expect(connections).toBe(0);
  });

  test('an algorithm that the site does not list is refused', async () => {
    await expect(check({ algorithms: ['RS384'] })(await sign(good), audience)).rejects.toMatchObject({ code: 'client-unauthorised' });
  });

  test('a key set that is not one is client-unauthorised', async () => {
    const verify = clientCheck({
      clients: [{ issuer, keySets: [url], algorithms: ['ES384'], audiences: [] }],
      fetchKeySet: async () => 'login page',
      useJti: async () => true,
      now: () => now,
    });
    await expect(verify(await sign(good), audience)).rejects.toMatchObject({ code: 'client-unauthorised' });
    expect(asked).toBeGreaterThan(0);
  });
});
