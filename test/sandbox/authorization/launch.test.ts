import { createRemoteJWKSet, jwtVerify } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { authorize, Browser, type Change, fhirBase, launchApp, redirectUri, startAuthorization, type TestAuthorization } from './start.ts';

let server: TestAuthorization;
beforeAll(async () => {
  server = await startAuthorization();
});
afterAll(() => server.close());

const launchOf = (patient: string) =>
  server.authorization.createLaunch({ patient, encounter: `e-${patient}`, appContext: `opaque-${patient}`, user: 'Practitioner/robin' });

describe('SMART EHR launch', () => {
  it('gives a token with the context of the launch, the scopes that were granted and no refresh token unasked', async () => {
    const answer = await launchApp(server, launchOf('anna'));
    expect(answer).toMatchObject({
      status: 200,
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'launch openid fhirUser patient/*.rs',
      patient: 'anna',
      encounter: 'e-anna',
      appContext: 'opaque-anna',
      need_patient_banner: true,
    });
    expect(answer.refresh_token).toBeUndefined();
    expect(await server.authorization.introspect(String(answer.access_token))).toEqual({
      scope: 'launch openid fhirUser patient/*.rs',
      patient: 'anna',
    });
  });

  it('signs the id token with RS256, for the client, with fhirUser', async () => {
    const answer = await launchApp(server, launchOf('anna'));
    const keys = createRemoteJWKSet(new URL(`${server.issuer}/jwks`));
    const { payload, protectedHeader } = await jwtVerify(String(answer.id_token), keys, { issuer: server.issuer, audience: 'app' });
    expect(protectedHeader.alg).toBe('RS256');
    expect(payload).toMatchObject({ sub: 'Practitioner/robin', fhirUser: `${fhirBase}/Practitioner/robin` });
  });

  it('two launches in one browser keep their own patient, whichever comes first', async () => {
    const browser = new Browser();
    const [first, second] = [launchOf('anna'), launchOf('berta')];
    expect((await launchApp(server, first, {}, browser)).patient).toBe('anna');
    expect((await launchApp(server, second, {}, browser)).patient).toBe('berta');
    expect((await launchApp(server, first, {}, browser)).patient).toBe('anna');
  });

  it('two users in one browser keep their own name', async () => {
    const browser = new Browser();
    await launchApp(server, launchOf('anna'), {}, browser);
    const other = server.authorization.createLaunch({ patient: 'anna', encounter: null, appContext: null, user: 'Practitioner/kim' });
    const answer = await launchApp(server, other, {}, browser);
    const claims = JSON.parse(Buffer.from(String(answer.id_token).split('.')[1] ?? '', 'base64url').toString());
    expect(claims.sub).toBe('Practitioner/kim');
    expect(answer).not.toHaveProperty('encounter');
    expect(answer).not.toHaveProperty('appContext');
  });

  it('grants only what an app may have', async () => {
    const answer = await launchApp(server, launchOf('anna'), {
      scope: 'launch patient/Patient.r system/Patient.rs patient/Nonsense.r user/Observation.read',
    });
    expect(answer.scope).toBe('launch patient/Patient.r user/Observation.read');
  });

  const refused: readonly (readonly [what: string, change: Change, error: string])[] = [
    ['another aud than the FHIR base', { aud: 'https://evil.example/fhir' }, 'invalid_target'],
    ['no aud', { aud: undefined }, 'invalid_target'],
    ['an unknown launch', { launch: 'made-up' }, 'invalid_request'],
    ['no launch', { launch: undefined }, 'invalid_request'],
    ['no PKCE', { code_challenge: undefined, code_challenge_method: undefined }, 'invalid_request'],
    ['PKCE without hashing', { code_challenge_method: 'plain' }, 'invalid_request'],
  ];
  it.each(refused)('%s is refused with the state kept', async (_what, change, error) => {
    const { back } = await authorize(server, launchOf('anna'), change);
    expect(back?.searchParams.get('error')).toBe(error);
    expect(back?.searchParams.get('state')).toBe('state-1');
    expect(back?.searchParams.get('code')).toBeNull();
  });

  it('an unknown app or redirect URI is never redirected to', async () => {
    expect((await authorize(server, launchOf('anna'), { client_id: 'nobody' })).back).toBeNull();
    expect((await authorize(server, launchOf('anna'), { redirect_uri: 'http://evil.example/' })).back).toBeNull();
  });

  it('a code works once, with its verifier only', async () => {
    const { back, verifier } = await authorize(server, launchOf('anna'));
    const form = {
      grant_type: 'authorization_code',
      code: back?.searchParams.get('code') ?? '',
      redirect_uri: redirectUri,
      client_id: 'app',
    };
    expect(await server.token({ ...form, code_verifier: 'x'.repeat(43) })).toMatchObject({ status: 400, error: 'invalid_grant' });
    const again = await authorize(server, launchOf('anna'));
    const good = { ...form, code: again.back?.searchParams.get('code') ?? '', code_verifier: again.verifier };
    expect((await server.token(good)).status).toBe(200);
    expect(await server.token(good)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(verifier).not.toBe(again.verifier);
  });

  it('offline_access gives a refresh token that rotates; the old one used again ends the grant', async () => {
    const first = await launchApp(server, launchOf('anna'), { scope: 'launch openid patient/*.rs offline_access' });
    const refresh = (token: unknown) => server.token({ grant_type: 'refresh_token', refresh_token: String(token), client_id: 'app' });
    const second = await refresh(first.refresh_token);
    expect(second).toMatchObject({ status: 200, patient: 'anna' });
    expect(second.refresh_token).not.toBe(first.refresh_token);
    expect(await refresh(first.refresh_token)).toMatchObject({ status: 400, error: 'invalid_grant' });
    expect(await server.authorization.introspect(String(second.access_token))).toBeNull();
  });

  it('introspection and revocation over HTTP', async () => {
    const answer = await launchApp(server, launchOf('anna'));
    const form = () => ({ method: 'POST', body: new URLSearchParams({ token: String(answer.access_token), client_id: 'app' }) });
    const told = await (await fetch(`${server.issuer}/token/introspection`, form())).json();
    expect(told).toMatchObject({ active: true, client_id: 'app', patient: 'anna', fhirUser: `${fhirBase}/Practitioner/robin` });
    expect((await fetch(`${server.issuer}/token/revocation`, form())).status).toBe(200);
    expect(await (await fetch(`${server.issuer}/token/introspection`, form())).json()).toEqual({ active: false });
  });
});

describe('smart-configuration', () => {
  it('has every member that SMART requires, and the endpoints answer', async () => {
    const document = server.authorization.smartConfiguration() as Record<string, string & string[]>;
    expect(document.code_challenge_methods_supported).toEqual(['S256']);
    expect(document.capabilities).toEqual(expect.arrayContaining(['launch-ehr', 'client-public', 'sso-openid-connect', 'permission-v2']));
    expect(document.issuer).toBe(server.issuer);
    expect((await fetch(String(document.jwks_uri))).status).toBe(200);
    expect((await fetch(String(document.authorization_endpoint))).status).toBe(400);
    for (const endpoint of ['token_endpoint', 'introspection_endpoint', 'revocation_endpoint']) {
      expect((await fetch(String(document[endpoint]), { method: 'POST' })).status).toBe(400);
    }
  });
});

describe('switches show a client faults', () => {
  const reset = { noS256: false, relativeUrls: false, error: null, otherPatient: null, noExpiresIn: false };
  afterEach(() => {
    Object.assign(server.authorization.switches, reset);
  });
  const document = () => server.authorization.smartConfiguration() as Record<string, unknown>;

  it('noS256', () => {
    server.authorization.switches.noS256 = true;
    expect(document().code_challenge_methods_supported).toEqual(['plain']);
  });

  it('relativeUrls resolve against the FHIR base to where the server is', () => {
    server.authorization.switches.relativeUrls = true;
    const endpoint = String(document().token_endpoint);
    expect(URL.canParse(endpoint)).toBe(false);
    expect(new URL(endpoint, `${fhirBase}/`).href).toBe(`${server.issuer}/token`);
  });

  it('error', async () => {
    server.authorization.switches.error = 'access_denied';
    expect((await authorize(server, launchOf('anna'))).back?.searchParams.get('error')).toBe('access_denied');
  });

  it('otherPatient is in the token and in what it may see', async () => {
    server.authorization.switches.otherPatient = 'berta';
    const answer = await launchApp(server, launchOf('anna'));
    expect(answer.patient).toBe('berta');
    expect((await server.authorization.introspect(String(answer.access_token)))?.patient).toBe('berta');
  });

  it('noExpiresIn', async () => {
    server.authorization.switches.noExpiresIn = true;
    expect(await launchApp(server, launchOf('anna'))).not.toHaveProperty('expires_in');
  });
});
