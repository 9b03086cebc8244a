import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readUids } from '#dicom/read.ts';
import { openDicomweb } from '#dicomweb/client.ts';
import { parseUid } from '#domain/uid.ts';
import { backendToken, discoverTokenUrl, readBackendKey } from '#fhir/backend-token.ts';
import { openFhir } from '#fhir/client.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '#sandbox/sandbox.ts';
import { sandboxUser } from '#sandbox/user.ts';
import { film } from './dicomweb/start.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-sandbox-'));
const options: SandboxOptions = {
  dataDir: join(folder, 'data'),
  ports: { fhir: 0, dicomweb: 0, authorization: 0 },
  dicomFolders: [join(folder, 'dicom')],
  fhirBundles: [join(folder, 'patients.json')],
  now: () => new Date('2026-11-24T12:00:00Z'),
};
let sandbox: Sandbox;
let neighbour: Neighbour;

beforeAll(async () => {
  mkdirSync(join(folder, 'dicom'));
  writeFileSync(join(folder, 'dicom', 'a.dcm'), film('1.2.3.1.1'));
  const entry = [{ resource: { resourceType: 'Patient', id: 'anna', identifier: [{ system: 'urn:hospital', value: 'A1' }] } }];
  writeFileSync(join(folder, 'patients.json'), JSON.stringify({ resourceType: 'Bundle', type: 'transaction', entry }));
  sandbox = await startSandbox(options);
  neighbour = openNeighbour({ name: 'the sandbox', origins: [sandbox.fhir, sandbox.dicomweb, sandbox.authorization] });
});
afterAll(async () => {
  await neighbour.close();
  await sandbox.close();
  rmSync(folder, { recursive: true });
});

describe("wetread's own clients against the sandbox", () => {
  it('the FHIR client, fhir-kit-client within it, reads, searches and writes with a token of its own account', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
    const key = await readBackendKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), 'ES384', null);
    sandbox.smart.registerService({ clientId: 'worker', keys: { jwks: { keys: [key.publicJwk] } } });
    const tokenUrl = await discoverTokenUrl(sandbox.fhir, neighbour);
    expect(tokenUrl).toBe(`${sandbox.authorization}/token`);
    const scopes = ['system/Patient.rs', 'system/Observation.crs'];
    const token = backendToken({ tokenUrl, clientId: 'worker', key, scopes, neighbour, audience: sandbox.fhir });
    const fhir = openFhir({ base: sandbox.fhir, neighbour, token });
    expect((await fhir.read('Patient', 'anna')).id).toBe('anna');
    const { hits, warnings } = await fhir.search('Patient', [['identifier', 'urn:hospital|A1']]);
    expect(hits.map((one) => one.id)).toEqual(['anna']);
    expect(warnings).toEqual([]);
    const observation = { resourceType: 'Observation', status: 'final', code: { text: 'x' }, subject: { reference: 'Patient/anna' } };
    expect((await fhir.create(observation)).created).toBe(true);
    await expect(fhir.create({ resourceType: 'Patient' })).rejects.toMatchObject({ code: 'fhir-unauthorised' });
    expect((await fhir.metadata()).transaction).toBe(true);
  });

  it('the DICOMweb client, dicomweb-client within it, searches, retrieves, stores and reads back the same bytes', async () => {
    const root = sandbox.dicomweb;
    const dicomweb = openDicomweb({
      roots: { qido: root, wado: root, stow: root },
      neighbour,
      token: null,
      readUids,
      defaultIssuer: 'HOSP',
    });
    const { found, warnings } = await dicomweb.searchStudies({ patientId: 'A1' });
    expect(found).toMatchObject([{ uid: '1.2.3', date: '2026-03-01', accession: 'ACC1', modalities: ['DX'] }]);
    expect(warnings).toEqual([]);
    const { study } = await dicomweb.describe(parseUid('1.2.3'), 'instances');
    expect(study?.series[0]?.instances).toHaveLength(1);
    const stored = await dicomweb.store(film('1.2.3.1.2'));
    expect(stored.equal).toBe('bytes');
    const read = await dicomweb.readBack({ study: parseUid('1.2.3'), series: parseUid('1.2.3.1'), instance: parseUid('1.2.3.1.2') });
    expect(Buffer.from(read).equals(film('1.2.3.1.2'))).toBe(true);
    await expect(dicomweb.store(film('1.2.3.1.2', { PatientID: 'other' }))).rejects.toMatchObject({
      code: /delivery-conflict|dicomweb-store-failed/,
    });
  });
});

describe('starting and stopping', () => {
  it('SMART discovery is under the FHIR base, readable by a browser of another origin', async () => {
    const response = await fetch(`${sandbox.fhir}/.well-known/smart-configuration`, { headers: { Origin: 'http://viewer.example' } });
    expect(response.headers.get('content-type')).toMatch(/^application\/json/);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(await response.json()).toMatchObject({ issuer: sandbox.authorization, token_endpoint: `${sandbox.authorization}/token` });
  });

  it('the user of the sandbox is there', async () => {
    expect((await fetch(`${sandbox.fhir}/${sandboxUser}`)).status).toBe(200);
  });

  it('a port in use is a coded error, and the ports that were taken before it are free again', async () => {
    const used = Number(new URL(sandbox.dicomweb).port);
    const other = { ...options, dataDir: join(folder, 'other') };
    const free = await startSandbox(other);
    const fhirPort = Number(new URL(free.fhir).port);
    await free.close();
    await expect(startSandbox({ ...other, ports: { fhir: fhirPort, dicomweb: used, authorization: 0 } })).rejects.toMatchObject({
      code: 'port-in-use',
    });
    const again = await startSandbox({ ...other, ports: { fhir: fhirPort, dicomweb: 0, authorization: 0 } });
    await again.close();
  });

  it('what was written is there after a restart, and bundles are not loaded twice', async () => {
    const own = { ...options, dataDir: join(folder, 'restart') };
    const first = await startSandbox(own);
    expect(first.bundles).toMatchObject([{ loaded: { stored: 1 }, refused: null }]);
    const body = JSON.stringify({ resourceType: 'Patient', id: 'anna', active: true });
    await fetch(`${first.fhir}/Patient/anna`, { method: 'PUT', headers: { 'Content-Type': 'application/fhir+json' }, body });
    await first.close();
    await expect(fetch(`${first.fhir}/Patient/anna`)).rejects.toThrow();
    const second = await startSandbox(own);
    expect(second.bundles).toMatchObject([{ loaded: null, refused: null }]);
    expect(await (await fetch(`${second.fhir}/Patient/anna`)).json()).toMatchObject({ active: true, meta: { versionId: '2' } });
    await second.close();
  });
});
