import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readPart10, readUids } from '#dicom/read.ts';
import { openDicomweb } from '#dicomweb/client.ts';
import { openFhir } from '#fhir/client.ts';
import { connectBackend } from '#fhir/connect.ts';
import { openNeighbour } from '#net/neighbour.ts';
import { basicToken } from '#net/token.ts';
import { checkSite, checkText, type Finding } from '#site/check.ts';
import { parseSite, type Site } from '#site/site.ts';
import { type Answerer, json, serve, type TestServer } from '../net/servers.ts';
import { type Orthanc, startOrthanc } from '../orthanc/orthanc.ts';
import { available, sharedPath } from '../setup/require.ts';

const open: { close: () => Promise<void> }[] = [];
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wetread-check-'));
  mkdirSync(join(folder, 'bundle'));
  writeFileSync(join(folder, 'bundle/bundle.json'), '{}');
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function server(answer: Answerer): Promise<TestServer> {
  const one = await serve(answer);
  open.push(one);
  return one;
}

function site(fhir: string, dicomweb: object, more: object = {}): Site {
  const data = {
    environment: 'test',
    service: { publicUrl: 'http://127.0.0.1:1', port: 0 },
    dataFolder: 'data',
    fhir: { base: fhir, auth: { kind: 'none' } },
    dicomweb,
    patients: { defaultIssuer: 'HOSP', issuers: [{ issuer: 'HOSP', system: 'urn:hosp' }] },
    hooks: { allowAnonymousLoopback: true },
    store: { kind: 'embedded' },
    snapshotKey: { env: 'KEY' },
    bundles: [{ path: 'bundle' }],
    limits: { idleMs: 1000, fhirTotalMs: 2000, pacsTotalMs: 20_000 },
    ...more,
  };
  return parseSite(data, 'site', folder, { env: { KEY: 'ab'.repeat(32), PASSWORD: 'test-only' } });
}

async function check(one: Site): Promise<ReadonlyMap<string, Finding>> {
  const { fhir, dicomweb, limits } = one;
  const fhirServer = openNeighbour({ name: 'FHIR server', origins: [fhir.base], totalMs: limits.fhirTotalMs, idleMs: limits.idleMs });
  const pacs = openNeighbour({ name: 'PACS', origins: Object.values(dicomweb.roots), totalMs: limits.pacsTotalMs, idleMs: limits.idleMs });
  open.push(fhirServer, pacs);
  const backend = fhir.auth.kind === 'backend' ? await connectBackend(fhir.auth, fhir.base, fhir.ca) : null;
  if (backend !== null) open.push(backend);
  const { auth } = dicomweb;
  const login = auth.kind === 'basic' ? basicToken(dicomweb.roots.qido, auth.user, auth.password.reveal()) : null;
  const { defaultIssuer } = one.patients;
  const findings = await checkSite(one, {
    fhir: openFhir({ base: fhir.base, neighbour: fhirServer, token: backend?.token ?? null }),
    dicomweb: openDicomweb({ roots: dicomweb.roots, neighbour: pacs, token: login, readUids, defaultIssuer }),
    token: backend?.token ?? null,
  });
  expect(checkText(findings).split('\n')).toHaveLength(findings.length);
  return new Map(findings.map((finding) => [finding.connection, finding]));
}

const resources = [
  ['Patient', ['identifier']],
  ['ImagingStudy', ['patient', 'identifier', 'basedon']],
  ['ServiceRequest', ['patient', 'identifier']],
  ['DiagnosticReport', ['patient', 'identifier', 'category', 'based-on']],
  ['Observation', ['patient', 'identifier', 'category']],
  ['Condition', ['patient', 'category', 'clinical-status']],
  ['MedicationRequest', ['patient', 'status']],
  ['AllergyIntolerance', ['patient']],
] as const;

function capability(types: number = resources.length, fhirVersion = '4.0.1'): object {
  const resource = resources.slice(0, types).map(([type, names]) => ({ type, searchParam: names.map((name) => ({ name })) }));
  return {
    resourceType: 'CapabilityStatement',
    fhirVersion,
    software: { name: 'Test' },
    rest: [{ mode: 'server', interaction: [{ code: 'transaction' }], resource }],
  };
}

const patients = {
  resourceType: 'Bundle',
  type: 'searchset',
  entry: [{ resource: { resourceType: 'Patient', id: 'p', identifier: [{ system: 'urn:hosp', value: '1' }] } }],
};

function fhirServer(statement: object = capability()): Promise<TestServer> {
  return server((asked, response) => json(response, asked.url.endsWith('/metadata') ? statement : patients));
}

describe('site check', () => {
  test('servers that are down are one problem each, with a code and what to do', async () => {
    const gone = await serve((_, response) => void response.end());
    await gone.close();
    const found = await check(site(`${gone.origin}/r4`, { root: gone.origin, auth: { kind: 'none' } }));
    for (const connection of ['FHIR metadata', 'FHIR search', 'QIDO-RS']) {
      expect(found.get(connection)).toMatchObject({
        state: 'problem',
        found: expect.stringContaining('net-unreachable'),
        todo: expect.any(String),
      });
    }
    expect(found.get('WADO-RS')?.state).toBe('skipped');
    expect(found.get('STOW-RS')?.state).toBe('skipped');
  });

  test('a login page, another FHIR version and missing searches are told apart', async () => {
    const page = await server((_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    const login = await check(site(page.origin, { root: page.origin, auth: { kind: 'none' } }));
    expect(login.get('FHIR metadata')?.found).toContain('fhir-bad-answer');
    expect(login.get('QIDO-RS')?.found).toContain('dicomweb-unexpected-type');
    const r5 = await fhirServer(capability(8, '5.0.0'));
    expect((await check(site(r5.origin, { root: page.origin, auth: { kind: 'none' } }))).get('FHIR metadata')).toMatchObject({
      state: 'problem',
    });
    const few = await fhirServer(capability(7));
    const lacking = await check(site(few.origin, { root: page.origin, auth: { kind: 'none' } }));
    expect(lacking.get('FHIR metadata')).toMatchObject({ state: 'warning', found: expect.stringContaining('AllergyIntolerance') });
  });

  test('a token is asked for where the site says so, and its endpoint is looked up', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    writeFileSync(join(folder, 'key.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }));
    let grant = true;
    const fhir = await server((asked, response) => {
      if (asked.url.endsWith('smart-configuration')) json(response, { token_endpoint: '/token' });
      else if (asked.url === '/token')
        json(response, grant ? { access_token: 'T', token_type: 'bearer' } : { error: 'invalid_client' }, grant ? 200 : 401);
      else if (asked.headers.authorization !== 'Bearer T') json(response, {}, 401);
      else json(response, asked.url.endsWith('/metadata') ? capability() : patients);
    });
    const auth = { kind: 'backend', clientId: 'c', keyFile: 'key.pem', alg: 'ES384', scopes: ['system/Patient.rs'] };
    const one = site(fhir.origin, { root: fhir.origin, auth: { kind: 'none' } }, { fhir: { base: fhir.origin, auth } });
    const granted = await check(one);
    expect([granted.get('token endpoint')?.state, granted.get('FHIR metadata')?.state]).toEqual(['ok', 'ok']);
    grant = false;
    expect((await check(one)).get('token endpoint')).toMatchObject({ state: 'problem', found: expect.stringContaining('invalid_client') });
  });

  test('key sets, launch servers and bundles are asked for too', async () => {
    const fhir = await fhirServer();
    const ehr = await server((asked, response) => {
      if (asked.url === '/keys') json(response, { keys: [{ kty: 'EC', kid: '1' }] });
      else json(response, { authorization_endpoint: '/a', token_endpoint: '/t', code_challenge_methods_supported: ['plain'] });
    });
    const more = {
      hooks: { clients: [{ issuer: 'a', jwksUrl: `${ehr.origin}/keys` }] },
      launch: { clientId: 'c', issuers: [ehr.origin] },
      bundles: [{ path: 'nowhere' }],
    };
    const found = await check(site(fhir.origin, { root: fhir.origin, auth: { kind: 'none' } }, more));
    expect(found.get('EHR keys')).toMatchObject({ state: 'ok', found: expect.stringContaining('1 keys') });
    expect(found.get('SMART launch')).toMatchObject({ state: 'problem', found: 'PKCE without S256' });
    expect(found.get('bundle')?.state).toBe('problem');
  });

  describe.skipIf(![available('orthanc'), available('shared')].every(Boolean))('against Orthanc', () => {
    let orthanc: Orthanc;

    beforeAll(async () => {
      orthanc = await startOrthanc();
      const images = sharedPath('data/dicom/ct-abdomen');
      await orthanc.load(readdirSync(images).map((name) => join(images, name)));
    });

    afterAll(() => orthanc?.stop());

    test('everything that works is ok, one line each', async () => {
      const fhir = await fhirServer();
      const auth = { kind: 'basic', user: orthanc.user, password: { env: 'PASSWORD' } };
      // The archive names an issuer with the PatientID; the site says which identifiers of the FHIR server are the same numbers.
      const image = readdirSync(sharedPath('data/dicom/ct-abdomen'))[0] ?? '';
      const issuer = readPart10(readFileSync(sharedPath('data/dicom/ct-abdomen', image))).header.text('IssuerOfPatientID');
      const issuers = [{ issuer: issuer ?? 'HOSP', system: 'urn:hosp' }];
      const found = await check(site(fhir.origin, { root: orthanc.root, auth }, { patients: { defaultIssuer: 'HOSP', issuers } }));
      expect([...found.values()].map((one) => [one.connection, one.state])).toEqual([
        ['FHIR metadata', 'ok'],
        ['FHIR search', 'ok'],
        ['QIDO-RS', 'ok'],
        ['WADO-RS', 'ok'],
        ['STOW-RS', 'skipped'],
        ['identifiers', 'ok'],
        ['bundle', 'ok'],
      ]);
    });

    test('a wrong password is a problem that names the account', async () => {
      const fhir = await fhirServer();
      const found = await check(site(fhir.origin, { root: orthanc.root, auth: { kind: 'none' } }));
      expect(found.get('QIDO-RS')).toMatchObject({
        state: 'problem',
        found: expect.stringContaining('dicomweb-unauthorised'),
        todo: expect.stringContaining('password'),
      });
    });
  });
});
