import { generateKeyPairSync } from 'node:crypto';
import { decodeJwt, importJWK, jwtVerify } from 'jose';
import { afterEach, describe, expect, test } from 'vitest';
import { codeOf } from '#domain/errors.ts';
import { type BackendKey, backendToken, discoverTokenUrl, type KeyAlgorithm, readBackendKey } from '#fhir/backend-token.ts';
import { openNeighbour } from '#net/neighbour.ts';
import type { Token } from '#net/token.ts';
import { type Answerer, json, serve, type TestServer } from '../net/servers.ts';

const open: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const pem = { type: 'pkcs8', format: 'pem' } as const;
const keys: Record<KeyAlgorithm, string> = { ES384: p384.privateKey.export(pem).toString(), RS384: rsa.privateKey.export(pem).toString() };

interface Setup {
  readonly server: TestServer;
  readonly token: Token;
  readonly key: BackendKey;
  readonly clock: { ms: number };
}

async function setup(answer: Answerer, alg: KeyAlgorithm = 'ES384'): Promise<Setup> {
  const server = await serve(answer);
  const neighbour = openNeighbour({ name: 'authorization server', origins: [server.origin], totalMs: 1000 });
  open.push(server, neighbour);
  const key = await readBackendKey(keys[alg], alg, null);
  const clock = { ms: Date.now() };
  const options = { tokenUrl: `${server.origin}/token`, clientId: 'wetread', key, scopes: ['system/Patient.rs', 'system/ImagingStudy.rs'] };
  return { server, key, clock, token: backendToken({ ...options, neighbour, audience: 'https://fhir.example/r4', now: () => clock.ms }) };
}

const granted: Answerer = (_, response) => json(response, { access_token: 'T', token_type: 'Bearer', expires_in: 300, scope: 'x' });

async function codeFrom(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => codeOf(error),
  );
}

describe('S13, S14: a backend token', () => {
  test.each(['ES384', 'RS384'] as const)('is asked for with an assertion that verifies, %s', async (alg) => {
    const { server, token, key } = await setup(granted, alg);
    expect(await token.header()).toBe('Bearer T');
    expect(token.origin).toBe('https://fhir.example');
    const form = new URLSearchParams(server.asked[0]?.body);
    expect(form.get('grant_type')).toBe('client_credentials');
    expect(form.get('scope')).toBe('system/Patient.rs system/ImagingStudy.rs');
    const assertion = form.get('client_assertion') ?? '';
    const { payload, protectedHeader } = await jwtVerify(assertion, await importJWK(key.publicJwk, alg), {
      issuer: 'wetread',
      subject: 'wetread',
      audience: `${server.origin}/token`,
      typ: 'JWT',
      algorithms: [alg],
      requiredClaims: ['exp', 'jti', 'iat'],
    });
    expect(protectedHeader.kid).toBe(key.publicJwk.kid);
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBeLessThanOrEqual(300);
    expect(key.publicJwk).not.toHaveProperty('d');
  });

  test('is used until 30 seconds before it expires, and each request has its own jti', async () => {
    const { server, token, clock } = await setup(granted);
    await token.header();
    clock.ms += 269_000;
    await token.header();
    expect(server.asked).toHaveLength(1);
    clock.ms += 2_000;
    await token.header();
    expect(server.asked).toHaveLength(2);
    token.renew();
    await token.header();
    const ids = server.asked.map((one) => decodeJwt(new URLSearchParams(one.body).get('client_assertion') ?? '').jti);
    expect(new Set(ids).size).toBe(3);
  });

  test('many who wait share one request, and a failure is not kept', async () => {
    let fail = true;
    const { server, token } = await setup((asked, response) => {
      if (fail) json(response, { error: 'invalid_client' }, 401);
      else granted(asked, response);
    });
    const first = await Promise.all([1, 2, 3].map(() => codeFrom(token.header())));
    expect(first).toEqual(['fhir-unauthorised', 'fhir-unauthorised', 'fhir-unauthorised']);
    expect(server.asked).toHaveLength(1);
    fail = false;
    expect(await Promise.all([token.header(), token.header()])).toEqual(['Bearer T', 'Bearer T']);
    expect(server.asked).toHaveLength(2);
  });

  test.each([
    ['200 with an error', 200, { error: 'invalid_scope', error_description: 'no' }, 'fhir-unauthorised'],
    ['400 invalid_grant', 400, { error: 'invalid_grant' }, 'fhir-unauthorised'],
    ['no access_token', 200, { token_type: 'bearer' }, 'fhir-bad-answer'],
    ['another token_type', 200, { access_token: 'T', token_type: 'mac' }, 'fhir-bad-answer'],
    ['no object', 200, [], 'fhir-bad-answer'],
    ['500', 500, {}, 'fhir-bad-answer'],
  ])('%s is a coded error', async (_, status, body, code) => {
    const { token } = await setup((_asked, response) => json(response, body, status));
    expect(await codeFrom(token.header())).toBe(code);
  });

  test('an HTML page is a coded error', async () => {
    const { token } = await setup((_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    expect(await codeFrom(token.header())).toBe('fhir-bad-answer');
  });

  test.each([
    ['missing', undefined, 270_000],
    ['a text', '3600', 3_570_000],
    ['huge', 1e12, 3_570_000],
    ['negative', -5, 0],
  ])('S17: expires_in %s gives a bounded lifetime', async (_, expires_in, freshMs) => {
    const { server, token, clock } = await setup((_asked, response) =>
      json(response, { access_token: 'T', token_type: 'bearer', expires_in }),
    );
    await token.header();
    clock.ms += freshMs - 1;
    await token.header();
    expect(server.asked).toHaveLength(freshMs === 0 ? 2 : 1);
    clock.ms += 2;
    await token.header();
    expect(server.asked).toHaveLength(freshMs === 0 ? 3 : 2);
  });
});

describe('readBackendKey', () => {
  test('takes a JWK with its kid, and the site file may name another', async () => {
    const jwk = JSON.stringify({ ...p384.privateKey.export({ format: 'jwk' }), kid: 'own' });
    expect((await readBackendKey(jwk, 'ES384', null)).kid).toBe('own');
    expect((await readBackendKey(jwk, 'ES384', 'site')).publicJwk.kid).toBe('site');
  });

  test.each([
    ['an RSA key for ES384', keys.RS384, 'ES384'],
    ['an EC key for RS384', keys.ES384, 'RS384'],
    ['a short RSA key', generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey.export(pem).toString(), 'RS384'],
    ['P-256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export(pem).toString(), 'ES384'],
    ['a public key', p384.publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'ES384'],
    ['broken JSON', '{"kty"', 'ES384'],
    ['nothing', '', 'ES384'],
  ] as const)('%s is site-invalid and the text is not repeated', async (_, text, alg) => {
    const error = await readBackendKey(text, alg, null).catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe('site-invalid');
    if (text.length > 10) expect(String(error)).not.toContain(text.slice(0, 40));
  });
});

describe('S02: discovery of the token endpoint', () => {
  test('asks below the base, also with a path and a trailing slash, and resolves a relative endpoint', async () => {
    const { server } = await setup((_, response) => json(response, { token_endpoint: '../../auth/token' }));
    const neighbour = openNeighbour({ name: 'FHIR server', origins: [server.origin] });
    open.push(neighbour);
    expect(await discoverTokenUrl(`${server.origin}/a/b/fhir/`, neighbour)).toBe(`${server.origin}/a/auth/token`);
    expect(server.asked[0]?.url).toBe('/a/b/fhir/.well-known/smart-configuration');
    expect(server.asked[0]?.headers.accept).toBe('application/json');
  });

  test.each([
    ['404', 404, '{}'],
    ['HTML', 200, '<html>'],
    ['no endpoint', 200, '{}'],
    ['5 MB', 200, `"${'x'.repeat(5_000_000)}"`],
  ])('%s is a coded error', async (_, status, body) => {
    const { server } = await setup((_asked, response) => void response.writeHead(status).end(body));
    const neighbour = openNeighbour({ name: 'FHIR server', origins: [server.origin] });
    open.push(neighbour);
    expect(['fhir-bad-answer', 'net-too-large']).toContain(await codeFrom(discoverTokenUrl(server.origin, neighbour)));
  });
});
