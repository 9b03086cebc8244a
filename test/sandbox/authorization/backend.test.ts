import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAuthorization, type TestAuthorization } from './start.ts';

interface Signer {
  readonly alg: 'ES384' | 'RS384';
  readonly privateKey: CryptoKey;
  readonly jwk: JWK;
}

async function signer(alg: Signer['alg']): Promise<Signer> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid: `key-${alg}`, alg, use: 'sig' } };
}

let server: TestAuthorization;
let elliptic: Signer;
let rsa: Signer;
const keyServer = createServer((_request, response) =>
  response.setHeader('Content-Type', 'application/json').end(JSON.stringify({ keys: [rsa.jwk] })),
);

beforeAll(async () => {
  [server, elliptic, rsa] = await Promise.all([startAuthorization(), signer('ES384'), signer('RS384')]);
  await new Promise<void>((resolve) => keyServer.listen(0, '127.0.0.1', resolve));
  const { port } = keyServer.address() as AddressInfo; // it listens on a TCP port
  server.authorization.registerService({ clientId: 'worker', keys: { jwks: { keys: [elliptic.jwk] } } });
  server.authorization.registerService({ clientId: 'by-url', keys: { jwksUri: `http://127.0.0.1:${port}/jwks` } });
});
afterAll(async () => {
  await server.close();
  keyServer.close();
});

function assertion(clientId: string, key: Signer, change: { audience?: string; subject?: string; expires?: string } = {}): Promise<string> {
  return new SignJWT({})
    .setProtectedHeader({ alg: key.alg, kid: key.jwk.kid ?? '', typ: 'JWT' })
    .setIssuer(clientId)
    .setSubject(change.subject ?? clientId)
    .setAudience(change.audience ?? `${server.issuer}/token`)
    .setIssuedAt()
    .setExpirationTime(change.expires ?? '4m')
    .setJti(randomUUID())
    .sign(key.privateKey);
}

const request = (client_assertion: string, scope = 'system/Patient.rs system/DiagnosticReport.crus') =>
  server.token({
    grant_type: 'client_credentials',
    scope,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion,
  });

describe('backend services', () => {
  it('an assertion by ES384 gives a short token with system scopes and no refresh token', async () => {
    const answer = await request(await assertion('worker', elliptic));
    expect(answer).toMatchObject({
      status: 200,
      token_type: 'Bearer',
      expires_in: 300,
      scope: 'system/Patient.rs system/DiagnosticReport.crus',
    });
    expect(answer.refresh_token).toBeUndefined();
    expect(await server.authorization.introspect(String(answer.access_token))).toEqual({ scope: answer.scope, patient: null });
  });

  it('keys are fetched by URL, RS384', async () => {
    expect((await request(await assertion('by-url', rsa))).status).toBe(200);
  });

  it('patient scopes are not given to a service', async () => {
    expect((await request(await assertion('worker', elliptic), 'patient/Patient.rs system/Patient.r')).scope).toBe('system/Patient.r');
  });

  it('a replayed assertion is refused', async () => {
    const once = await assertion('worker', elliptic);
    expect((await request(once)).status).toBe(200);
    expect(await request(once)).toMatchObject({ status: 401, error: 'invalid_client' });
  });

  const bad: readonly (readonly [what: string, make: () => Promise<string>])[] = [
    ['another audience', () => assertion('worker', elliptic, { audience: 'https://evil.example/token' })],
    ['another subject', () => assertion('worker', elliptic, { subject: 'someone' })],
    ['an expired one', () => assertion('worker', elliptic, { expires: '-1m' })],
    ['a foreign key', () => assertion('worker', { ...rsa, jwk: { ...rsa.jwk, kid: 'key-ES384' } })],
    ['an unknown client', () => assertion('nobody', elliptic)],
  ];
  it.each(bad)('%s is refused', async (_what, make) => {
    expect((await request(await make())).status).toBeGreaterThanOrEqual(400);
  });

  it('an app without a key gets no token of its own', async () => {
    expect((await server.token({ grant_type: 'client_credentials', client_id: 'app', scope: 'system/Patient.rs' })).status).toBe(400);
  });
});
