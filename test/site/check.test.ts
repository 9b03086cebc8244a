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
import { testStudy } from '#reading/test-study.ts';
import { checkSite, checkText } from '#site/check.ts';
import type { Finding } from '#site/probe.ts';
import { scopesSaid } from '#site/scopes.ts';
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

async function check(one: Site, { write = false, now = () => new Date() } = {}): Promise<ReadonlyMap<string, Finding>> {
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
    testStudy: write ? testStudy(one.service.publicUrl) : null,
    now,
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

const nothing = { resourceType: 'Bundle', type: 'searchset' };

/** A server that has one patient and knows every parameter. */
const honest = (url: string): object => (/none|entered-in-error/.test(url) ? nothing : patients);

function fhirServer(statement: object = capability(), answer: (url: string) => object = honest): Promise<TestServer> {
  return server((asked, response) => json(response, asked.url.endsWith('/metadata') ? statement : answer(asked.url)));
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
        json(
          response,
          grant
            ? { access_token: 'T', token_type: 'bearer', scope: 'system/Patient.rs system/ImagingStudy.rs' }
            : { error: 'invalid_client' },
          grant ? 200 : 401,
        );
      else if (asked.headers.authorization !== 'Bearer T') json(response, {}, 401);
      else json(response, asked.url.endsWith('/metadata') ? capability() : patients);
    });
    const auth = { kind: 'backend', clientId: 'c', keyFile: 'key.pem', alg: 'ES384', scopes: ['system/Patient.rs'] };
    const one = site(fhir.origin, { root: fhir.origin, auth: { kind: 'none' } }, { fhir: { base: fhir.origin, auth } });
    const granted = await check(one);
    expect([granted.get('token endpoint')?.state, granted.get('FHIR metadata')?.state]).toEqual(['ok', 'ok']);
    expect(granted.get('scopes')).toMatchObject({ state: 'problem', found: expect.stringContaining('system/Media.crs') });
    expect(granted.get('clock of tokens')?.state).toBe('ok');
    grant = false;
    expect((await check(one)).get('token endpoint')).toMatchObject({ state: 'problem', found: expect.stringContaining('invalid_client') });
  });

  test('key sets, launch servers and bundles are asked for too', async () => {
    const fhir = await fhirServer();
    const ehr = await server((asked, response) => {
      if (asked.url === '/keys') json(response, { keys: [{ kty: 'EC', crv: 'P-384', kid: '1' }] });
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

  const pacsOf = (one: TestServer) => ({ root: one.origin, auth: { kind: 'none' } });

  test('a clock that differs is said with the seconds, and from a minute on it is a problem', async () => {
    const fhir = await fhirServer();
    const one = site(fhir.origin, pacsOf(fhir));
    const at = async (seconds: number) => (await check(one, { now: () => new Date(Date.now() - seconds * 1000) })).get('clock of FHIR');
    expect(await at(0)).toMatchObject({ state: 'ok' });
    expect(await at(30)).toMatchObject({ state: 'warning', found: expect.stringMatching(/(29|30|31) s ahead/), todo: expect.any(String) });
    expect(await at(-90)).toMatchObject({ state: 'problem', found: expect.stringMatching(/(89|90|91) s behind/) });
  });

  test('a key set that is private, does not fit or has no names is told, and every jku is asked', async () => {
    const sets: Record<string, object[]> = {
      '/private': [{ kty: 'EC', crv: 'P-384', kid: '1', d: 'secret' }],
      '/other': [{ kty: 'EC', crv: 'P-256', kid: '1' }],
      '/encryption': [{ kty: 'RSA', kid: '1', use: 'enc' }],
      '/nameless': [{ kty: 'RSA' }, { kty: 'EC', crv: 'P-384' }],
      '/good': [{ kty: 'RSA', kid: '1' }],
    };
    const ehr = await server((asked, response) => json(response, { keys: sets[asked.url] }));
    const fhir = await fhirServer();
    const state = async (...paths: string[]) => {
      const [first, ...jku] = paths.map((path) => `${ehr.origin}${path}`);
      const found = await check(site(fhir.origin, pacsOf(fhir), { hooks: { clients: [{ issuer: 'a', jwksUrl: first, jku }] } }));
      return found.get('EHR keys');
    };
    expect(await state('/private')).toMatchObject({ state: 'problem', found: expect.stringContaining('private') });
    expect(await state('/other')).toMatchObject({ state: 'problem', found: expect.stringContaining('none for ES384 or RS384') });
    expect(await state('/encryption')).toMatchObject({ state: 'problem' });
    expect(await state('/nameless')).toMatchObject({ state: 'warning', found: expect.stringContaining('kid') });
    expect(await state('/good')).toMatchObject({ state: 'ok' });
    expect(await state('/good', '/absent')).toMatchObject({ state: 'problem' });
  });

  test('scopes that were not granted are named, in the old form and the new; what is written must be there', () => {
    expect(scopesSaid(['system/*.cruds'], 'outbox').state).toBe('ok');
    expect(scopesSaid(['system/*.read', 'system/*.write'], 'outbox').state).toBe('ok');
    const reading = scopesSaid(['system/*.rs'], 'outbox');
    expect(reading).toMatchObject({ state: 'problem', found: expect.stringContaining('system/Provenance.c') });
    expect(scopesSaid(['system/*.rs'], 'suggestion').state).toBe('ok');
    expect(scopesSaid(['system/Patient.rs'], 'suggestion')).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('ImagingStudy.rs'),
    });
    expect(scopesSaid(['system/Patient.rs?_id=1', 'patient/*.rs', 'launch'], 'suggestion').state).toBe('problem');
  });

  test('a second page that is the first again, or elsewhere, is a problem of paging', async () => {
    const page = (next: string, id: string) => ({
      ...patients,
      entry: [{ resource: { resourceType: 'Patient', id } }],
      link: id === 'q' ? [] : [{ relation: 'next', url: next }],
    });
    let next = '';
    const fhir = await fhirServer(capability(), (url) => (url.includes('none') ? nothing : page(next, url.includes('page') ? 'q' : 'p')));
    const state = async (to: string) => {
      next = to;
      return (await check(site(fhir.origin, pacsOf(fhir)))).get('FHIR paging');
    };
    expect(await state(`${fhir.origin}/Patient?page=2`)).toMatchObject({ state: 'ok' });
    expect(await state(`${fhir.origin}/Patient?_count=1`)).toMatchObject({ state: 'problem', found: expect.stringContaining('twice') });
    expect(await state('http://elsewhere.example/Patient?page=2')).toMatchObject({
      state: 'problem',
      found: expect.stringContaining('outside'),
    });
  });

  test('parameters and keys that a server drops without a word, or refuses, are named', async () => {
    const studies = [{ '0020000D': { vr: 'UI', Value: ['1.2.3'] }, '00100020': { vr: 'LO', Value: ['P1'] } }];
    const both = await server((asked, response) => {
      if (asked.url.endsWith('/metadata')) json(response, capability());
      else if (asked.url.includes('/studies'))
        response.writeHead(200, { 'content-type': 'application/dicom+json' }).end(JSON.stringify(studies));
      else if (asked.url.includes('basedon='))
        json(response, { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'invalid' }] }, 400);
      else json(response, asked.url.includes('identifier=') && asked.url.includes('/Patient?') ? patients : nothing);
    });
    const found = await check(site(both.origin, pacsOf(both)));
    expect(found.get('FHIR ignores')).toMatchObject({
      state: 'warning',
      found: 'ignored without a word: Patient.identifier; refused: ImagingStudy.basedon',
      todo: expect.any(String),
    });
    expect(found.get('QIDO ignores')).toMatchObject({
      state: 'problem',
      found: expect.stringMatching(/StudyInstanceUID, PatientID, AccessionNumber/),
    });
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
        ['FHIR paging', 'skipped'],
        ['FHIR ignores', 'ok'],
        ['QIDO-RS', 'ok'],
        ['QIDO ignores', 'ok'],
        ['WADO-RS', 'ok'],
        ['STOW-RS', 'skipped'],
        ['identifiers', 'ok'],
        ['clock of FHIR', 'ok'],
        ['clock of PACS', 'skipped'],
        ['bundle', 'ok'],
      ]);
    });

    test('with --write one object of nobody is stored and read back, the same one again, and what stays behind is said', async () => {
      const fhir = await fhirServer();
      const auth = { kind: 'basic', user: orthanc.user, password: { env: 'PASSWORD' } };
      const one = site(fhir.origin, { root: orthanc.root, auth });
      const { study, bytes } = testStudy(one.service.publicUrl);
      const place = `${orthanc.root}/studies?StudyInstanceUID=${study}`;
      const login = { authorization: `Basic ${Buffer.from(`${orthanc.user}:test-only`).toString('base64')}` };
      const stored = async () => (await (await fetch(place, { headers: login })).json()) as unknown[];
      expect(await stored()).toEqual([]);
      await check(one);
      expect(await stored()).toEqual([]);
      for (const round of [1, 2]) {
        const found = (await check(one, { write: true })).get('STOW-RS');
        expect([round, found]).toEqual([
          round,
          { connection: 'STOW-RS', state: 'ok', found: expect.stringContaining(study), todo: expect.stringContaining('delete') },
        ]);
        expect(found?.found).toContain('byte for byte');
        expect(await stored()).toHaveLength(1);
      }
      expect(Buffer.compare(testStudy(one.service.publicUrl).bytes, bytes)).toBe(0);
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
