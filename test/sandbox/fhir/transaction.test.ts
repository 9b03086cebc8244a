import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { fhirJson, startFhir, type TestServer } from './start.ts';

let server: TestServer;
let serial = 0;

beforeAll(async () => {
  server = await startFhir();
});
afterAll(() => server.close());

/** A value that no other test has used. */
let key = '';
beforeEach(() => {
  serial += 1;
  key = `k${serial}`;
});

const urn = (last: number) => `urn:uuid:00000000-0000-4000-8000-${String(last).padStart(12, '0')}`;

function patientEntry(more: object = {}, request: object = {}) {
  return {
    fullUrl: urn(1),
    resource: { resourceType: 'Patient', identifier: [{ system: 'urn:test', value: key }], ...more },
    request: { method: 'POST', url: 'Patient', ...request },
  };
}

function observationEntry(last: number, subject: string, more: object = {}) {
  return {
    fullUrl: urn(last),
    resource: { resourceType: 'Observation', status: 'preliminary', code: { text: 'x' }, subject: { reference: subject }, ...more },
    request: { method: 'POST', url: 'Observation' },
  };
}

const send = (entry: readonly object[], type = 'transaction') =>
  server.http.post('/').type(fhirJson).send({ resourceType: 'Bundle', type, entry });

async function total(search: string): Promise<number> {
  return (await server.http.get(`${search}&_summary=count`).expect(200)).body.total;
}

describe('a transaction', () => {
  it('replaces references by fullUrl wherever the target stands, in links of the narrative too, and leaves identifiers alone', async () => {
    const div = `<div xmlns="http://www.w3.org/1999/xhtml">of <a href="${urn(1)}">the patient</a></div>`;
    const identifier = [{ system: 'urn:ietf:rfc:3986', value: urn(1) }];
    const { body } = await send([observationEntry(2, urn(1), { text: { status: 'generated', div }, identifier }), patientEntry()]).expect(
      200,
    );
    expect(body.type).toBe('transaction-response');
    const [observation, patient] = body.entry.map((entry: { fullUrl: string }) => entry.fullUrl.slice(server.base.length + 1));
    expect(body.entry.map((entry: { response: { status: string; etag: string } }) => [entry.response.status, entry.response.etag])).toEqual(
      [
        ['201 Created', 'W/"1"'],
        ['201 Created', 'W/"1"'],
      ],
    );
    const { body: read } = await server.http.get(`/${observation}`).expect(200);
    expect(read.subject.reference).toBe(patient);
    expect(read.text.div).toContain(`href="${patient}"`);
    expect(read.identifier).toEqual(identifier);
    expect(await server.ids(`/Observation?patient=${patient}`)).toHaveLength(1);
  });

  it('with one refused entry stores nothing, and names the entry', async () => {
    const { body } = await send([patientEntry(), observationEntry(2, urn(1)), observationEntry(3, urn(1), { status: 'nonsense' })]).expect(
      422,
    );
    expect(body.issue[0].diagnostics).toMatch(/Bundle\.entry\[2\].*nonsense/);
    expect(await total(`/Patient?identifier=urn:test|${key}`)).toBe(0);
  });

  it('whichever entry is refused, nothing is stored', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 5 }), fc.nat(), async (size, at) => {
        const entries = Array.from({ length: size }, (_, index) => ({ ...patientEntry(), fullUrl: urn(index + 1) }));
        entries.splice(at % (size + 1), 0, { ...patientEntry({ gender: 'nonsense' }), fullUrl: urn(99) });
        await send(entries).expect(422);
        expect(await total(`/Patient?identifier=urn:test|${key}`)).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  it('does DELETE, POST, PUT, GET in this order, and answers in the order of the request', async () => {
    await server.put({ resourceType: 'Patient', id: `${key}-old` });
    const { body } = await send([
      { request: { method: 'GET', url: `Patient?identifier=urn:test|${key}` } },
      { resource: { resourceType: 'Patient', id: `${key}-old`, active: true }, request: { method: 'PUT', url: `Patient/${key}-old` } },
      patientEntry(),
    ]).expect(200);
    expect(body.entry[0].resource.total).toBe(1);
    expect(body.entry[1].response.status).toBe('200 OK');
    expect(body.entry[2].response.status).toBe('201 Created');
    const again = await send([
      patientEntry({}, { ifNoneExist: `identifier=urn:test|${key}` }),
      { request: { method: 'DELETE', url: `Patient/${key}-old` } },
    ]).expect(200);
    expect(again.body.entry.map((entry: { response: { status: string } }) => entry.response.status)).toEqual(['200 OK', '204 No Content']);
  });

  it('ifNoneExist finds what is there and its references point to it; asked for twice in parallel it makes one', async () => {
    const conditional = () => send([patientEntry({}, { ifNoneExist: `Patient?identifier=urn:test|${key}` }), observationEntry(2, urn(1))]);
    const answers = await Promise.all(Array.from({ length: 6 }, conditional));
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
    expect(await total(`/Patient?identifier=urn:test|${key}`)).toBe(1);
    const [id] = await server.ids(`/Patient?identifier=urn:test|${key}`);
    expect(await total(`/Observation?patient=${id}`)).toBe(6);
  });

  it('more than one match of a condition fails the whole transaction', async () => {
    for (let copy = 0; copy < 2; copy += 1) await send([patientEntry()]).expect(200);
    await send([observationEntry(2, 'Patient/none'), patientEntry({}, { ifNoneExist: `identifier=urn:test|${key}` })]).expect(412);
    expect(await total('/Observation?patient=none')).toBe(0);
    await send([observationEntry(3, `Patient?identifier=urn:test|${key}`)]).expect(412);
    await send([observationEntry(3, 'Patient?identifier=urn:test|none')]).expect(412);
  });

  it('resolves a conditional reference to its one match', async () => {
    await send([patientEntry()]).expect(200);
    await send([observationEntry(2, `Patient?identifier=urn:test|${key}`)]).expect(200);
    const [id] = await server.ids(`/Patient?identifier=urn:test|${key}`);
    expect(await total(`/Observation?patient=${id}`)).toBe(1);
  });

  it('a conditional update inside it keeps the id of the match', async () => {
    await send([patientEntry()]).expect(200);
    const [id] = await server.ids(`/Patient?identifier=urn:test|${key}`);
    await send([patientEntry({ gender: 'male' }, { method: 'PUT', url: `Patient?identifier=urn:test|${key}` })]).expect(200);
    expect((await server.http.get(`/Patient/${id}`)).body).toMatchObject({ gender: 'male', meta: { versionId: '2' } });
  });

  it('a stale ifMatch fails all of it', async () => {
    await server.put({ resourceType: 'Patient', id: key });
    const put = { resource: { resourceType: 'Patient', id: key }, request: { method: 'PUT', url: `Patient/${key}`, ifMatch: 'W/"7"' } };
    await send([patientEntry(), put]).expect(412);
    expect(await total(`/Patient?identifier=urn:test|${key}`)).toBe(0);
  });

  const refused: readonly (readonly [what: string, entries: () => object[], status: number])[] = [
    [
      'the same identity twice',
      () => [{ request: { method: 'DELETE', url: 'Patient/a' } }, { request: { method: 'DELETE', url: 'Patient/a' } }],
      400,
    ],
    ['the same fullUrl twice', () => [patientEntry(), patientEntry()], 400],
    [
      'the same condition twice',
      () => [patientEntry({}, { ifNoneExist: 'identifier=x' }), { ...patientEntry({}, { ifNoneExist: 'identifier=x' }), fullUrl: urn(5) }],
      400,
    ],
    ['a type that is not served', () => [{ resource: { resourceType: 'Claim' }, request: { method: 'POST', url: 'Claim' } }], 404],
    ['a foreign URL', () => [{ request: { method: 'GET', url: 'http://elsewhere.example/Patient/1' } }], 400],
    ['a conditional delete', () => [{ request: { method: 'DELETE', url: 'Patient?active=true' } }], 400],
    ['an unknown method', () => [{ request: { method: 'PATCH', url: 'Patient/1' } }], 400],
    ['no request', () => [{ resource: { resourceType: 'Patient' } }], 400],
    ['a deletion of nothing', () => [{ request: { method: 'DELETE', url: 'Patient/never-was' } }], 404],
  ];
  it.each(refused)('%s is refused', async (_what, entries, status) => {
    const { body } = await send(entries()).expect(status);
    expect(body.resourceType).toBe('OperationOutcome');
  });

  it('a body that is no Bundle to process is refused', async () => {
    await server.http.post('/').type(fhirJson).send({ resourceType: 'Bundle', type: 'collection' }).expect(400);
    await server.http.post('/').type(fhirJson).send({ resourceType: 'Patient' }).expect(400);
    expect((await send([]).expect(200)).body.entry).toEqual([]);
  });
});

describe('a batch', () => {
  it('judges each entry alone', async () => {
    const { body } = await send(
      [patientEntry(), patientEntry({ gender: 'nonsense' }), { request: { method: 'GET', url: 'Patient/never-was' } }],
      'batch',
    ).expect(200);
    expect(body.type).toBe('batch-response');
    expect(body.entry.map((entry: { response: { status: string } }) => entry.response.status)).toEqual(['201 Created', '422', '404']);
    expect(body.entry[1].response.outcome.issue[0].diagnostics).toContain('gender');
    expect(await total(`/Patient?identifier=urn:test|${key}`)).toBe(1);
  });
});
