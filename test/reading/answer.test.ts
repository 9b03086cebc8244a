/** order-sign through the service's door, on real servers: each case of the hospital, and each fault with its code. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Case } from '#phantom/hospital.ts';
import { openStore } from '#work/store.ts';
import { startFaultProxy } from '../faults/proxy.ts';
import { freePort } from '../postgresql/postgresql.ts';
import { openWard, orderSign, sign, signUntilSettled, type Ward } from './ward.ts';

let ward: Ward;
let service: Awaited<ReturnType<Ward['start']>>;

beforeAll(async () => {
  ward = await openWard();
  service = await ward.start('service');
});
afterAll(async () => {
  await service.stop();
  await ward.close();
});

const patientOf = (wanted: Case) => ward.patients.find((patient) => patient.case === wanted)?.person.id ?? '';

async function search(path: string): Promise<{ resource: Record<string, unknown> & { id: string } }[]> {
  const response = await fetch(`${ward.sandbox.fhir}/${path}`);
  return ((await response.json()) as { entry?: { resource: Record<string, unknown> & { id: string } }[] }).entry ?? [];
}

async function until<T>(read: () => Promise<T | null>): Promise<T> {
  for (let round = 0; round < 100; round += 1) {
    const found = await read();
    if (found !== null) return found;
    await new Promise((later) => setTimeout(later, 200));
  }
  throw new Error('it did not come within 20 seconds');
}

describe('order-sign', () => {
  test('a draft is said to be prepared once per order, then shown with its statements, and written when it is accepted', async () => {
    const id = patientOf('unread-with-prior');
    const first = await sign(service.url, orderSign(id));
    expect(first.topics).toEqual(['draft-preparing']);
    const ready = await signUntilSettled(service.url, orderSign(id));
    expect(ready.topics).toEqual(['draft-ready']);
    expect(ready.cards[0]?.detail).toContain('depends on image');
    const card = ready.cards[0];
    const written = () => search(`DiagnosticReport?patient=${id}&status=partial`);
    expect(await written()).toEqual([]);
    const accepted = await fetch(`${service.url}/cds-services/wetread-order-sign/feedback`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        feedback: [
          {
            card: card?.uuid,
            outcome: 'accepted',
            acceptedSuggestions: [{ id: card?.suggestions?.[0]?.uuid }],
            outcomeTimestamp: '2026-11-24T10:00:00Z',
          },
        ],
      }),
    });
    expect(accepted.status).toBe(200);
    const reports = await until(async () => ((await written()).length > 0 ? written() : null));
    expect(reports).toHaveLength(1);
    expect(await search(`Provenance?target=DiagnosticReport/${reports[0]?.resource.id}`)).toHaveLength(1);
    const again = await signUntilSettled(service.url, orderSign(id, { order: 'order-2' }));
    expect(again.cards[0]?.uuid).toBe(card?.uuid);
  });

  test('a user whose role is not listed sees that there is a draft, and no statement', async () => {
    const answer = await signUntilSettled(service.url, orderSign(patientOf('unread-alone'), { user: 'Practitioner/nobody' }));
    expect(answer.topics).toEqual(['draft-ready']);
    expect(answer.cards[0]?.detail).toContain('open the draft to read them');
    expect(answer.cards[0]?.detail).not.toContain('depends on');
  });

  test('an identifier that QIDO would read as a wildcard is not asked for, and the others still are', async () => {
    const id = patientOf('unread-alone');
    const [patient] = ward.patients.flatMap(({ resources }) => resources.filter((one) => one.resourceType === 'Patient' && one.id === id));
    if (patient?.resourceType !== 'Patient') throw new Error('the ward has no such patient');
    const own = patient.identifier?.[0];
    const prefetch = { patient: { ...patient, identifier: [...(patient.identifier ?? []), { ...own, value: 'A*B' }] } };
    const answer = await signUntilSettled(service.url, orderSign(id, { order: 'order-wildcard', prefetch }));
    expect(answer.topics).toEqual(['draft-ready']);
  });

  test('a reported study is quoted, another modality is said, a conflict releases nothing, no study gives no card', async () => {
    expect((await sign(service.url, orderSign(patientOf('reported-only')))).topics).toEqual(['report-quoted']);
    const unsupported = await sign(service.url, orderSign(patientOf('other-modality')));
    expect(unsupported.topics).toEqual(['modality-unsupported']);
    expect(unsupported.cards[0]?.suggestions).toBeUndefined();
    expect((await sign(service.url, orderSign(patientOf('identity-conflict')))).topics).toEqual(['identity-conflict']);
    expect(await sign(service.url, orderSign(patientOf('no-study')))).toMatchObject({ status: 200, topics: [] });
  });

  test('an order that is no imaging order gives no card', async () => {
    const request = orderSign(patientOf('unread-alone')) as { context: { draftOrders: { entry: unknown[] } } };
    request.context.draftOrders.entry = [{ resource: { resourceType: 'MedicationRequest', id: 'm', status: 'draft', intent: 'order' } }];
    expect(await sign(service.url, request)).toMatchObject({ status: 200, topics: [] });
  });

  test('a malformed body, another hook, an unknown service and another media type each have their code', async () => {
    expect(await sign(service.url, { hook: 'order-sign' })).toMatchObject({ status: 400, code: 'request-malformed' });
    expect(await sign(service.url, { ...orderSign('x'), hook: 'patient-view' })).toMatchObject({ status: 400, code: 'hook-mismatch' });
    const other = await fetch(`${service.url}/cds-services/other`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(other.status).toBe(404);
    const text = await fetch(`${service.url}/cds-services/wetread-order-sign`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain' },
      body: '{}',
    });
    expect(text.status).toBe(415);
    const broken = await fetch(`${service.url}/cds-services/wetread-order-sign`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'https://ehr.example' },
      body: '{',
    });
    expect(broken.status).toBe(400);
    expect(broken.headers.get('access-control-allow-origin')).toBe('https://ehr.example');
  });

  test('a call that names another FHIR server is never answered from ours: 412 without prefetch, 403 with it', async () => {
    const id = patientOf('unread-with-prior');
    const foreign = { ...orderSign(id), fhirServer: 'https://fhir.elsewhere.example/r4' };
    expect(await sign(service.url, foreign)).toMatchObject({ status: 412, code: 'prefetch-missing' });
    const prefetch = { patient: { resourceType: 'Patient', id } };
    expect(await sign(service.url, { ...foreign, prefetch })).toMatchObject({ status: 403, code: 'client-forbidden' });
  });

  test('a patient that the server does not have is not-found', async () => {
    expect(await sign(service.url, orderSign('nobody'))).toMatchObject({ status: 404, code: 'not-found' });
  });
});

describe('faults', () => {
  test('instances of two patients under one study: no draft, study-mixed-patients', async () => {
    // The same film as a second instance of the study, under another patient's number of the same length.
    const patient = ward.patients.find((one) => one.case === 'unread-alone');
    const [file] = patient?.files ?? [];
    if (patient === undefined || file === undefined) throw new Error('the ward lacks the patient');
    const { readPart10, readUids } = await import('#dicom/read.ts');
    const number = readPart10(file.bytes).header.text('PatientID') ?? '';
    const uid = readUids(file.bytes).instance;
    const mixed = Buffer.from(
      Buffer.from(file.bytes)
        .toString('latin1')
        .replaceAll(uid, `${uid.slice(0, -1)}${uid.endsWith('1') ? '2' : '1'}`)
        .replaceAll(number, '9'.repeat(number.length)),
      'latin1',
    );
    const boundary = 'mixed';
    const body = Buffer.concat([
      Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
      mixed,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]);
    const stored = await fetch(`${ward.sandbox.dicomweb}/studies`, {
      method: 'POST',
      headers: { 'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}` },
      body,
    });
    expect(stored.status).toBe(200);
    const answer = await signUntilSettled(service.url, orderSign(patient.person.id, { order: 'mixed' }));
    expect(answer.topics).toEqual(['draft-failed']);
    expect(answer.cards[0]?.detail).toMatch(/study-mixed-patients|identity-conflict/);
  });

  test('an answer that does not come to its end is answer-too-long, said on the card, and no draft is made', async () => {
    const short = join(ward.folder, 'short-bundle');
    cpSync(join(ward.folder, 'bundle'), short, { recursive: true });
    const manifest = JSON.parse(readFileSync(join(short, 'bundle.json'), 'utf8'));
    writeFileSync(join(short, 'bundle.json'), JSON.stringify({ ...manifest, limits: { ...manifest.limits, maxNewTokens: 5 } }));
    const started = await ward.start('short', { bundles: [{ path: short, device: 'cpu', threads: 1 }] });
    try {
      const answer = await signUntilSettled(started.url, orderSign(patientOf('unread-with-prior')));
      expect(answer.topics).toEqual(['draft-failed']);
      expect(answer.cards[0]?.detail).toContain('(code answer-too-long)');
    } finally {
      await started.stop();
    }
  });

  test('an unreachable PACS is said by a card with net-unreachable, and no draft is made', async () => {
    const lost = await ward.start('no-pacs', {
      dicomweb: { root: `http://127.0.0.1:${await freePort()}/dicomweb`, auth: { kind: 'none' } },
    });
    try {
      const answer = await sign(lost.url, orderSign(patientOf('unread-with-prior')));
      expect(answer).toMatchObject({ status: 200, topics: ['studies-not-read'] });
      expect(answer.cards[0]?.detail).toContain('(code net-unreachable)');
    } finally {
      await lost.stop();
    }
  });

  test('an unreachable FHIR server is net-unreachable; with prefetch the studies are still found', async () => {
    const lost = await ward.start('no-fhir', { fhir: { base: `http://127.0.0.1:${await freePort()}/fhir`, auth: { kind: 'none' } } });
    try {
      const id = patientOf('unread-with-prior');
      expect(await sign(lost.url, orderSign(id))).toMatchObject({ status: 502, code: 'net-unreachable' });
      const patient = await (await fetch(`${ward.sandbox.fhir}/Patient/${id}`)).json();
      const answer = await sign(lost.url, orderSign(id, { prefetch: { patient } }));
      expect(answer).toMatchObject({ status: 200, topics: ['draft-preparing'] });
    } finally {
      await lost.stop();
    }
  });

  test('a PACS that goes silent: the answer comes at the deadline, says so, and nothing was started', async () => {
    const proxy = await startFaultProxy(ward.sandbox.dicomweb);
    proxy.next({ kind: 'silent', afterBytes: 0 });
    const slow = await ward.start('silent-pacs', {
      dicomweb: { root: `${proxy.origin}/dicomweb`, auth: { kind: 'none' } },
      hooks: { requireJwt: false, allowAnonymousLoopback: true, deadlineMs: 700 },
    });
    const answer = await sign(slow.url, orderSign(patientOf('unread-with-prior')));
    expect(answer.topics).toEqual(['not-read-in-time']);
    await slow.stop();
    await proxy.close();
    const store = await openStore({ kind: 'embedded', folder: join(slow.dataFolder, 'store') });
    expect(await store.query('select key from draft')).toEqual([]);
    await store.close();
  });
});
