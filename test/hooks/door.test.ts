/** The door with client JWTs, as a site runs it: real key sets over HTTP, used token ids in a real store, bodies of both generations. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import express from 'express';
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose';
import pino from 'pino';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { WetreadError } from '#domain/errors.ts';
import { authenticator } from '#hooks/authenticate.ts';
import { keySetLimits, readKeySet } from '#hooks/key-set.ts';
import type { OrderSignRequest } from '#hooks/request.ts';
import { createHooksRouter } from '#hooks/router.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { parseSite } from '#site/site.ts';
import { type Listening, listen } from '#src/listen.ts';
import { useJti } from '#work/contexts.ts';
import { openStore, type Store } from '#work/store.ts';
import { type Answerer, json, serve, type TestServer } from '../net/servers.ts';

const issuer = 'https://ehr.example';
const publicUrl = 'https://wetread.example';
const path = '/cds-services/wetread-order-sign';

let folder: string;
let store: Store;
let keys: TestServer;
let http: Listening;
let neighbour: Neighbour;
let answerKeys: Answerer;
let current: { kid: string; key: CryptoKey; jwk: object };
let storeFails = false;
const answered: OrderSignRequest[] = [];

async function newKey(kid: string): Promise<typeof current> {
  const { privateKey, publicKey } = await generateKeyPair('ES384');
  return { kid, key: privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES384' } };
}

const publish =
  (...all: { jwk: object }[]): Answerer =>
  (_asked, response) =>
    json(response, { keys: all.map(({ jwk }) => jwk) });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wetread-door-'));
  store = await openStore({ kind: 'embedded', folder });
  keys = await serve((asked, response) => answerKeys(asked, response));
});
afterAll(async () => {
  await Promise.all([http.close(), neighbour.close(), keys.close()]);
  await store.close();
  rmSync(folder, { recursive: true });
});
afterEach(() => {
  vi.useRealTimers();
  storeFails = false;
});

/** A new door: key sets are kept for minutes, so each test has its own. */
async function open(): Promise<void> {
  await http?.close();
  await neighbour?.close();
  http = await listen('hooks', 0);
  neighbour = openNeighbour({ name: 'key set of a CDS client', origins: [keys.origin], ...keySetLimits });
  current = await newKey('first');
  answerKeys = publish(current);
  const site = parseSite(
    {
      environment: 'test',
      service: { publicUrl, port: 0 },
      dataFolder: folder,
      fhir: { base: 'https://fhir.example', auth: { kind: 'none' } },
      dicomweb: { root: 'https://pacs.example', auth: { kind: 'none' } },
      hooks: { clients: [{ issuer, jwksUrl: `${keys.origin}/jwks`, jku: [`${keys.origin}/other-jwks`] }] },
      store: { kind: 'embedded' },
      snapshotKey: { env: 'KEY' },
      bundles: [{ path: 'bundle' }],
    },
    'test',
    folder,
    { env: { KEY: 'ab'.repeat(32) } },
  );
  http.serve(
    express().use(
      createHooksRouter({
        service: { id: 'wetread-order-sign', hook: 'order-sign' },
        publicUrl,
        maxBodyBytes: 10_000,
        authenticate: authenticator({
          hooks: site.hooks,
          fetchKeySet: (url) => readKeySet(neighbour, url),
          useJti: (iss, jti, expires) => {
            if (storeFails) throw new WetreadError('store-unavailable', 'the store does not answer');
            return useJti(store.query, iss, jti, expires);
          },
          now: () => new Date(),
        }),
        answer: async (request) => {
          answered.push(request);
          if (request.context.patientId === 'missing') throw new WetreadError('prefetch-missing', 'no Patient');
          return [];
        },
        feedback: async () => undefined,
        log: pino({ level: 'silent' }),
      }),
    ),
  );
}

let number = 0;

/** A token of the client; `by` = seconds that its clock is ahead of ours. */
async function token(change: Readonly<Record<string, unknown>> = {}, header: Record<string, string> = {}, by = 0): Promise<string> {
  number += 1;
  const now = Math.floor(Date.now() / 1000) + by;
  const payload = { iss: issuer, aud: `${publicUrl}${path}`, iat: now, exp: now + 300, jti: `j${number}`, ...change };
  return new SignJWT(payload).setProtectedHeader({ alg: 'ES384', kid: current.kid, typ: 'JWT', ...header }).sign(current.key);
}

const body = (more: object = {}, context: object = {}) => ({
  hook: 'order-sign',
  hookInstance: 'd1577c69-dfbe-44ad-ba6d-3e05e953b2ea',
  context: {
    userId: 'Practitioner/1',
    patientId: 'p1',
    draftOrders: { resourceType: 'Bundle', type: 'collection', entry: [] },
    ...context,
  },
  ...more,
});

interface Reply {
  readonly status: number;
  readonly code: string | null;
  readonly headers: Headers;
}

async function call(jwt: string | null, { to = path, send = body() as unknown, type = 'application/json' } = {}): Promise<Reply> {
  const response = await fetch(`${http.origin}${to}`, {
    method: 'POST',
    headers: { 'content-type': type, origin: 'https://browser.example', ...(jwt === null ? {} : { authorization: `Bearer ${jwt}` }) },
    body: typeof send === 'string' ? send : JSON.stringify(send),
  });
  const reply = (await response.json()) as { issue?: { details: { coding: { code: string }[] } }[] };
  return { status: response.status, code: reply.issue?.[0]?.details.coding[0]?.code ?? null, headers: response.headers };
}

describe('a token', () => {
  test('is good once, at any of our processes', async () => {
    await open();
    const jwt = await token();
    expect((await call(jwt)).status).toBe(200);
    // Another process of the site has the same store, and nothing else of this one.
    const before = current;
    await open();
    current = before;
    answerKeys = publish(before);
    expect(await call(jwt)).toMatchObject({ status: 401, code: 'client-unauthorised' });
    expect((await call(await token())).status).toBe(200);
  });

  test('many times at once is good once', async () => {
    await open();
    const jwt = await token();
    const all = await Promise.all(Array.from({ length: 8 }, () => call(jwt)));
    expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 7 }, () => 401)]);
  });

  test('for another of our addresses is refused there', async () => {
    await open();
    for (const aud of [`${publicUrl}/cds-services`, `${publicUrl}${path}/feedback`, `${http.origin}${path}`, publicUrl]) {
      expect(await call(await token({ aud }))).toMatchObject({ status: 401 });
    }
    const discovery = await fetch(`${http.origin}/cds-services`, {
      headers: { authorization: `Bearer ${await token({ aud: `${publicUrl}/cds-services` })}` },
    });
    expect(discovery.status).toBe(200);
  });

  test('of a clock a little ahead or behind is good, of one far off is refused', async () => {
    await open();
    for (const by of [-50, 0, 50]) expect([by, (await call(await token({}, {}, by))).status]).toEqual([by, 200]);
    const now = Math.floor(Date.now() / 1000);
    expect((await call(await token({ nbf: now - 300 }))).status).toBe(200);
    for (const by of [-400, 120, 86_400]) expect([by, (await call(await token({}, {}, by))).status]).toEqual([by, 401]);
    expect((await call(await token({ nbf: now + 300 }))).status).toBe(401);
  });

  test.each<readonly [string, Readonly<Record<string, unknown>>]>([
    ['no exp', { exp: undefined }],
    ['an exp years ahead', { exp: 4_000_000_000 }],
    ['an exp beyond the range of numbers', { exp: 1e300 }],
    ['no iat', { iat: undefined }],
    ['no jti', { jti: undefined }],
    ['no aud', { aud: undefined }],
    ['another issuer', { iss: 'https://sandbox.cds-hooks.org' }],
  ])('with %s is refused', async (_, change) => {
    await open();
    expect(await call(await token(change))).toMatchObject({ status: 401, code: 'client-unauthorised' });
    expect((await call(await token())).status).toBe(200);
  });

  test('signed with nothing, or with the public key as a secret, is refused', async () => {
    await open();
    const [, payload] = (await token()).split('.');
    const none = Buffer.from(JSON.stringify({ alg: 'none', kid: current.kid })).toString('base64url');
    expect((await call(`${none}.${payload}.`)).status).toBe(401);
    const secret = new TextEncoder().encode(JSON.stringify(current.jwk));
    const claims = JSON.parse(Buffer.from(payload ?? '', 'base64url').toString());
    const confused = await new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: current.kid }).sign(secret);
    expect((await call(confused)).status).toBe(401);
  });

  test('is not judged when the store does not answer: 503, not 401', async () => {
    await open();
    storeFails = true;
    expect(await call(await token())).toMatchObject({ status: 503, code: 'store-unavailable' });
  });
});

describe('a key set', () => {
  test('is read again when a new key signs, and the old one is good as long as it is published', async () => {
    await open();
    const old = current;
    expect((await call(await token())).status).toBe(200);
    current = await newKey('second');
    answerKeys = publish(current, old);
    // A set is not asked for twice within half a minute, whatever kids callers make up.
    expect((await call(await token())).status).toBe(401);
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 31_000 });
    expect((await call(await token())).status).toBe(200);
    const renewed = current;
    current = old;
    expect((await call(await token())).status).toBe(200);
    // Withdrawn: good until the set is read again, ten minutes at most.
    answerKeys = publish(renewed);
    vi.setSystemTime(Date.now() + 11 * 60_000);
    expect((await call(await token())).status).toBe(401);
  });

  test('of callers that make up kids is asked for once', async () => {
    await open();
    const before = keys.asked.length;
    for (let made = 0; made < 20; made += 1) await call(await token({}, { kid: `made-up-${made}` }));
    expect(keys.asked.length - before).toBe(1);
  });

  test.each<readonly [string, Answerer]>([
    ['larger than a quarter of a megabyte', (_asked, response) => json(response, { keys: [current.jwk], padding: 'x'.repeat(300_000) })],
    [
      'of another type',
      (_asked, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end(JSON.stringify({ keys: [current.jwk] })),
    ],
    ['with another status', (_asked, response) => json(response, { keys: [current.jwk] }, 203)],
    ['behind a redirect', (_asked, response) => void response.writeHead(302, { location: '/elsewhere' }).end()],
    ['that is none', (_asked, response) => json(response, { keys: 'none' })],
    ['with two keys of one kid', (_asked, response) => json(response, { keys: [current.jwk, { ...current.jwk }] })],
  ])('%s is none', async (_, answer) => {
    await open();
    answerKeys = answer;
    expect(await call(await token())).toMatchObject({ status: 401, code: 'client-unauthorised' });
  });

  test('of the jku header is read when the site lists it, and only then', async () => {
    await open();
    expect((await call(await token({}, { jku: `${keys.origin}/other-jwks` }))).status).toBe(200);
    expect(keys.asked.at(-1)?.url).toBe('/other-jwks');
    const before = keys.asked.length;
    for (const jku of [
      `${keys.origin}/jwks/`,
      `${keys.origin}/JWKS`,
      `${keys.origin}/other-jwks?`,
      `${keys.origin}/other-jwks#x`,
      '',
      ' ',
    ]) {
      expect([jku, (await call(await token({}, { jku }))).status]).toEqual([jku, 401]);
    }
    expect(keys.asked.length).toBe(before);
  });
});

describe('an answer', () => {
  test('has its CORS headers whatever it says, and the preflight needs no token', async () => {
    await open();
    const preflight = await fetch(`${http.origin}${path}`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://browser.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,content-type',
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get('access-control-allow-headers')).toBe('authorization,content-type');
    const refusals: readonly (readonly [number, Promise<Reply>])[] = [
      [200, call(await token())],
      [400, call(await token(), { send: '{' })],
      [400, call(await token(), { send: body({ hook: 'patient-view' }) })],
      [401, call(null)],
      [401, call('x.y.z')],
      [404, call(await token(), { to: '/cds-services/other' })],
      [412, call(await token(), { send: body({}, { patientId: 'missing' }) })],
      [413, call(await token(), { send: body({ padding: 'x'.repeat(20_000) }) })],
      [415, call(await token(), { type: 'text/plain' })],
    ];
    for (const [status, reply] of refusals) {
      const { headers, ...found } = await reply;
      expect([found.status, headers.get('access-control-allow-origin')]).toEqual([status, 'https://browser.example']);
      if (status !== 200) expect([found.status, found.code]).toEqual([status, expect.stringMatching(/^[a-z-]+$/)]);
    }
  });

  test.each([
    [
      'CDS Hooks 2.0',
      {
        fhirServer: 'https://fhir.example',
        fhirAuthorization: { access_token: 't', token_type: 'Bearer', expires_in: 300, scope: 'patient/Patient.read', subject: 'w' },
      },
    ],
    [
      'CDS Hooks 2.0 without expires_in',
      { fhirServer: 'https://fhir.example', fhirAuthorization: { access_token: 't', token_type: 'bearer', scope: '', subject: 'w' } },
    ],
    [
      'the 3.0 ballot',
      {
        fhirServer: 'https://fhir.example',
        fhirAuthorization: {
          access_token: 't',
          token_type: 'Bearer',
          expires_in: 300,
          scope: 'patient/Patient.rs user/*.cruds?x=y',
          subject: 'w',
          patient: 'p1',
        },
        extension: { 'com.example.timestamp': '2026-11-25T00:00:00Z' },
        prefetch: {
          patient: { resourceType: 'Patient', id: 'p1' },
          studies: null,
          reports: { resourceType: 'OperationOutcome', issue: [] },
        },
      },
    ],
    ['an EHR with its own members', { extension: { 'com.epic.cdshooks.request.bpa-trigger-action': '23' }, vendor: [1, 2] }],
  ])('to a body of %s is 200', async (_, more) => {
    await open();
    const before = answered.length;
    expect(await call(await token(), { send: body(more, { encounterId: 'e1' }) })).toMatchObject({ status: 200 });
    expect(answered.length).toBe(before + 1);
  });
});
