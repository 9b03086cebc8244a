/** The EHR's token: used within its call for what prefetch left out, and then gone; our own account does the rest. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose';
import pino from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { SiteInput } from '#site/schema.ts';
import { openStore } from '#work/store.ts';
import { type FhirDoor, openFhirDoor } from '../faults/fhir-door.ts';
import { openWard, orderSign, sign, signUntilSettled, type Ward } from './ward.ts';

const token = 'TOKEN-OF-THE-EHR-9a71c3';

let ward: Ward;
let door: FhirDoor;
let service: Awaited<ReturnType<Ward['start']>>;
const log: string[] = [];

beforeAll(async () => {
  ward = await openWard();
  door = await openFhirDoor(ward.sandbox.fhir);
  // The sandbox knows neither token; on this machine it asks for none.
  door.rule = ({ headers: { authorization: _token, ...headers } }, forward) => forward({ headers });
  const { privateKey, publicKey } = await generateKeyPair('ES384', { extractable: true });
  writeFileSync(join(ward.folder, 'worker.pem'), await exportPKCS8(privateKey));
  const jwk = { ...(await exportJWK(publicKey)), kid: 'worker', alg: 'ES384', use: 'sig' };
  ward.sandbox.smart.registerService({ clientId: 'worker', keys: { jwks: { keys: [jwk] } } });
  const auth: SiteInput['fhir']['auth'] = {
    kind: 'backend',
    clientId: 'worker',
    keyFile: 'worker.pem',
    alg: 'ES384',
    kid: 'worker',
    scopes: ['system/*.cruds'],
  };
  service = await ward.start(
    'token',
    { fhir: { base: door.base, auth } },
    pino({ level: 'trace', base: null }, { write: (line: string) => void log.push(line) }),
  );
});
afterAll(async () => {
  await door.close();
  await ward.close();
});

/** The whole of a data folder, byte for byte. */
function* filesOf(folder: string): Generator<{ path: string; bytes: Buffer }> {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    yield { path, bytes: readFileSync(path) };
  }
}

/** Who asked for what since `from`: the key of a prefetch, or the type, with the token that was sent. */
function asked(from: number): Record<string, string[]> {
  const lanes: Record<string, string[]> = {};
  for (const { url, headers } of door.asked.slice(from)) {
    const type = /\/fhir\/([A-Z][A-Za-z]+)/.exec(url)?.[1];
    if (type === undefined) continue; // the server's SMART configuration, which needs no token
    const lane = String(headers.authorization).replace('Bearer ', '');
    lanes[lane] = [...new Set([...(lanes[lane] ?? []), type])].sort();
  }
  return lanes;
}

test('prefetch first, then the token of the EHR, then our own account; the token is in no row, file or line of the log', async () => {
  const id = ward.patients.find((patient) => patient.case === 'unread-with-prior')?.person.id ?? '';
  const authorization = { access_token: token, token_type: 'Bearer', expires_in: 300, scope: 'patient/*.rs', subject: 'wetread' };
  const patient = await (await fetch(`${ward.sandbox.fhir}/Patient/${id}`)).json();
  const failed = { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'forbidden' }] };
  const request = {
    ...orderSign(id, { prefetch: { patient, problems: null, allergies: failed } }),
    fhirServer: door.base,
    fhirAuthorization: authorization,
  };
  const before = door.asked.length;
  expect((await sign(service.url, request)).topics).toEqual(['draft-preparing']);
  const { [token]: byEhr, ...others } = asked(before);
  const [[own, byUs] = ['', []], ...more] = Object.entries(others);
  // Patient and Condition came with the call; what the EHR could not read is asked for by us alone; who the user is, too.
  expect(byEhr).toEqual(['DiagnosticReport', 'ImagingStudy', 'MedicationRequest', 'Observation', 'Procedure']);
  expect(byUs).toEqual(['AllergyIntolerance', 'PractitionerRole']);
  expect(more).toEqual([]);

  // The draft is made and delivered without the token: while it waits, the sealed request is in the store.
  const later = door.asked.length;
  const ready = await signUntilSettled(service.url, orderSign(id, { prefetch: { patient, problems: null, allergies: failed } }));
  expect(ready.topics).toEqual(['draft-ready']);
  expect(asked(later)).not.toHaveProperty(token);
  // A call that is refused, and one that fails, say nothing of it either.
  await sign(service.url, { ...request, fhirServer: 'https://elsewhere.example/fhir' });
  await sign(service.url, { ...request, prefetch: {}, context: { ...(request as { context?: object }).context, patientId: 'nobody' } });
  await sign(service.url, { ...request, hookInstance: 'no uuid' });
  await service.stop();

  const store = await openStore({ kind: 'embedded', folder: join(service.dataFolder, 'store') });
  const tables = await store.query<{ name: string }>(
    `select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables where table_type = 'BASE TABLE'`,
  );
  let rows = 0;
  for (const { name } of tables) {
    for (const { row } of await store.query<{ row: string }>(`select whole::text as row from ${name} whole`)) {
      rows += 1;
      expect([name, row.includes(token)]).toEqual([name, false]);
    }
  }
  await store.close();
  expect(rows).toBeGreaterThan(100);
  const marks = [token, own, Buffer.from(token).toString('hex'), Buffer.from(token).toString('base64').slice(0, 24)];
  let files = 0;
  for (const { path, bytes } of filesOf(service.dataFolder)) {
    files += 1;
    for (const mark of marks) expect([path, bytes.includes(mark)]).toEqual([path, false]);
  }
  expect(files).toBeGreaterThan(10);
  expect(log.length).toBeGreaterThan(2);
  for (const mark of marks) expect(log.join('')).not.toContain(mark);
});
