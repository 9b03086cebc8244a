/** The whole way on a FHIR server that fails, lies, or knows less than it should: a code, or a draft that says what it lacks. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { freePort } from '../postgresql/postgresql.ts';
import { type Answered, openWard, orderSign, sign, signUntilSettled, type Ward } from '../reading/ward.ts';
import { type DoorAnswer, type FhirDoor, fhirJson, openFhirDoor, type Rule } from './fhir-door.ts';

let ward: Ward;
let door: FhirDoor;
let service: Awaited<ReturnType<Ward['start']>>;
let patientId: string;
let well: Answered;

beforeAll(async () => {
  ward = await openWard();
  door = await openFhirDoor(ward.sandbox.fhir);
  service = await ward.start('fhir-faults', {
    fhir: { base: door.base, auth: { kind: 'none' } },
    limits: { idleMs: 700, fhirTotalMs: 1500 },
  });
  patientId = ward.patients.find((patient) => patient.case === 'unread-with-prior')?.person.id ?? '';
  well = await signUntilSettled(service.url, orderSign(patientId));
  expect(well.topics).toEqual(['draft-ready']);
});
afterAll(async () => {
  await service.stop();
  await door.close();
  await ward.close();
});
afterEach(() => {
  door.rule = null;
});

const detailOf = ({ cards }: Answered): string => cards.map(({ detail }) => detail ?? '').join();
const never = () => new Promise<DoorAnswer>(() => null);
const page = (status: number): DoorAnswer => ({ status, body: '<html>Sign in</html>', headers: { 'content-type': 'text/html' } });
const isPatient = (url: string) => url.endsWith(`/Patient/${patientId}`);
const isSearch = (type: string) => (url: string) => url.includes(`/${type}?`);

/** The answer to a search with entries of ours beside what the server has. */
async function withEntries(forward: () => Promise<DoorAnswer>, entries: readonly object[]): Promise<DoorAnswer> {
  const bundle = JSON.parse((await forward()).body);
  return fhirJson({ ...bundle, entry: [...(bundle.entry ?? []), ...entries] });
}

/** What makes a draft another one: its history is part of its key. */
const procedure = (text: string) => ({
  resourceType: 'Procedure',
  id: text,
  status: 'completed',
  code: { text },
  subject: { reference: `Patient/${patientId}` },
});

describe('a server that does not give the Patient', () => {
  test.each([
    ['a login page', 'fhir-bad-answer', () => page(200)],
    ['JSON that is no object', 'fhir-bad-answer', () => ({ ...page(200), body: 'null' })],
    ['another Patient', 'fhir-bad-answer', () => fhirJson({ resourceType: 'Patient', id: 'another' })],
    ['an OperationOutcome with 200', 'fhir-bad-answer', () => fhirJson({ resourceType: 'OperationOutcome', issue: [] })],
    ['401', 'fhir-unauthorised', () => page(401)],
    ['403', 'fhir-unauthorised', () => page(403)],
    ['503', 'fhir-refused', () => page(503)],
    ['404', 'not-found', () => page(404)],
    ['silence', 'net-timeout', never],
  ] as const)('%s is %s, and nothing is started', async (_, code, answer) => {
    door.rule = ({ url }, forward) => (isPatient(url) ? answer() : forward());
    expect(await sign(service.url, orderSign(patientId))).toMatchObject({ code, topics: [] });
  });

  test('one that is not there is net-unreachable', async () => {
    const lost = await ward.start('no-fhir', { fhir: { base: `http://127.0.0.1:${await freePort()}/fhir`, auth: { kind: 'none' } } });
    try {
      expect(await sign(lost.url, orderSign(patientId))).toMatchObject({ code: 'net-unreachable', topics: [] });
    } finally {
      await lost.stop();
    }
  });
});

describe('a server that does not give the history', () => {
  test.each([
    ['a login page', () => page(200)],
    ['401', () => page(401)],
    ['503', () => page(503)],
    ['silence', never],
    ['a Patient where a Bundle should be', () => fhirJson({ resourceType: 'Patient', id: 'x' })],
  ] as const)('%s: the draft says what could not be read', async (_, answer) => {
    door.rule = ({ url }, forward) => (isSearch('Condition')(url) ? answer() : forward());
    const answered = await signUntilSettled(service.url, orderSign(patientId));
    expect([answered.topics, detailOf(answered)]).toEqual([['draft-ready'], expect.stringContaining('Condition could not be read')]);
  });

  test('an OperationOutcome among the results is said', async () => {
    const issue = [{ severity: 'warning', code: 'incomplete', diagnostics: 'the archive is being moved' }];
    const outcome = { resource: { resourceType: 'OperationOutcome', issue }, search: { mode: 'outcome' } };
    door.rule = ({ url }, forward) =>
      isSearch('Procedure')(url) ? withEntries(forward, [outcome, { resource: procedure('Appendectomy') }]) : forward();
    expect(detailOf(await signUntilSettled(service.url, orderSign(patientId)))).toContain('the archive is being moved');
  });
});

describe('a server that knows fewer search parameters', () => {
  const reduced = (url: string) => url.replace(/\?.*$/, `?patient=${patientId}`);

  test('and drops them silently, or refuses them: the draft is the same, and it is said', async () => {
    door.rule = ({ url }, forward) => (url.includes('patient=') ? forward({ url: reduced(url) }) : forward());
    const dropped = await signUntilSettled(service.url, orderSign(patientId));
    expect(dropped.cards[0]?.uuid).toBe(well.cards[0]?.uuid);
    door.rule = ({ url }, forward) => (/[?&](_sort|category|clinical-status|status)=/.test(url) ? page(400) : forward());
    const refused = await signUntilSettled(service.url, orderSign(patientId));
    expect(refused.cards[0]?.uuid).toBe(well.cards[0]?.uuid);
  });

  test("and drops the patient: nobody else's history comes in", async () => {
    door.rule = ({ url }, forward) => forward({ url: url.replace(`patient=${patientId}&`, '').replace(/\?patient=[^&]*$/, '?') });
    const answer = await signUntilSettled(service.url, orderSign(patientId));
    expect(answer.cards[0]?.uuid).toBe(well.cards[0]?.uuid);
  });

  test('and drops the practitioner: nobody sees statements by the role of another', async () => {
    door.rule = ({ url }, forward) => forward({ url: url.replace(/\?practitioner=.*$/, '') });
    const answer = await signUntilSettled(service.url, orderSign(patientId, { user: 'Practitioner/without-roles' }));
    expect(detailOf(answer)).toContain('open the draft to read them');
  });
});

describe('a server that sends more than it should', () => {
  const observation = (index: number) => ({
    resource: {
      resourceType: 'Observation',
      id: `o${index}`,
      status: 'final',
      category: [{ coding: [{ code: 'laboratory' }] }],
      code: { text: 'Creatinine' },
      subject: { reference: `Patient/${patientId}` },
      effectiveDateTime: '2026-11-20',
      valueQuantity: { value: 1 + (index % 7) / 10, unit: 'mg/dL' },
    },
  });

  test('a Bundle of 10,000 entries is read within the deadline', async () => {
    const entries = Array.from({ length: 5000 }, (_, index) => [
      { resource: { resourceType: 'Medication', id: `m${index}`, code: { text: `tablet ${index}` } }, search: { mode: 'include' } },
      {
        resource: {
          resourceType: 'MedicationRequest',
          id: `r${index}`,
          status: 'active',
          subject: { reference: `Patient/${patientId}` },
          medicationReference: { reference: `Medication/m${index}` },
        },
      },
    ]).flat();
    door.rule = ({ url }, forward) => (isSearch('MedicationRequest')(url) ? withEntries(forward, entries) : forward());
    const answer = await sign(service.url, orderSign(patientId, { order: 'order-many' }));
    expect([answer.status, answer.topics]).toEqual([200, [expect.stringMatching(/^draft-/)]]);
  });

  test('10,000 entries of prefetch are read like any other, and 100,000 are body-too-large', async () => {
    const labs = (count: number) => ({
      resourceType: 'Bundle',
      type: 'searchset',
      entry: Array.from({ length: count }, (_, index) => observation(index)),
    });
    expect((await sign(service.url, orderSign(patientId, { prefetch: { labs: labs(10_000) } }))).status).toBe(200);
    expect(await sign(service.url, orderSign(patientId, { prefetch: { labs: labs(100_000) } }))).toMatchObject({
      status: 413,
      code: 'body-too-large',
    });
  });

  test('endless pages end at a limit, and that is said', async () => {
    let number = 0;
    const endless: Rule = () => {
      number += 1;
      const link = [{ relation: 'next', url: `${door.base}/Procedure?patient=${patientId}&page=${number}` }];
      const entry = [{ resource: { ...procedure('Cholecystectomy'), id: `endless-${number}` } }];
      return fhirJson({ resourceType: 'Bundle', type: 'searchset', link, entry });
    };
    door.rule = (asked, forward) => (isSearch('Procedure')(asked.url) ? endless(asked, forward) : forward());
    const answer = await signUntilSettled(service.url, orderSign(patientId));
    expect(detailOf(answer)).toContain('The search of Procedure was not read to its end');
  });

  test('ids and references that would lead elsewhere lead nowhere', async () => {
    const hostile = [
      '../../admin',
      '..',
      'a?b=c',
      'x/../../y',
      '%2e%2e',
      '<script>',
      'https://evil.example/x',
      '',
      'a'.repeat(5000),
      '\u0000',
    ];
    const subject = { reference: `Patient/${patientId}` };
    const entries = hostile.flatMap((id) => [
      {
        resource: {
          resourceType: 'ImagingStudy',
          id,
          subject,
          status: 'available',
          identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${id}` }],
          basedOn: [{ reference: `ServiceRequest/${id}` }],
          endpoint: [{ reference: id }],
        },
      },
      {
        resource: {
          resourceType: 'MedicationRequest',
          id,
          subject,
          status: 'active',
          intent: 'order',
          medicationReference: { reference: `Medication/${id}` },
        },
      },
    ]);
    const before = door.asked.length;
    door.rule = ({ url }, forward) => (/\/(ImagingStudy|MedicationRequest)\?/.test(url) ? withEntries(forward, entries) : forward());
    expect((await signUntilSettled(service.url, orderSign(patientId))).topics).toEqual(['draft-ready']);
    const paths = door.asked.slice(before).map(({ url }) => new URL(url, door.base).pathname);
    const known = /^\/fhir\/([A-Z][A-Za-z]+|Patient\/[\w-]+|ServiceRequest\/[\w-]+)$/;
    expect(paths.filter((path) => !known.test(path))).toEqual([]);
  });
});
