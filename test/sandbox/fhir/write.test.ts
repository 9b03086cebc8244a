import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fhirJson, startFhir, type TestServer } from './start.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startFhir();
});
afterAll(() => server.close());

const report = (value: string, more: object = {}) => ({
  resourceType: 'DiagnosticReport',
  status: 'partial',
  code: { coding: [{ system: 'http://loinc.org', code: '18748-4' }] },
  identifier: [{ system: 'urn:test', value }],
  ...more,
});

describe('create, read, update, delete', () => {
  it('a created resource comes back as it was, with its version, and its headers say where it is', async () => {
    const sent = report('r1', { conclusion: 'No pneumothorax.', effectiveDateTime: '2026-11-24T10:00:00+01:00' });
    const created = await server.http
      .post('/DiagnosticReport')
      .type(fhirJson)
      .send({ ...sent, id: 'ignored' })
      .expect(201);
    const { id, meta, ...rest } = created.body;
    expect(id).not.toBe('ignored');
    expect(rest).toEqual(sent);
    expect(meta.versionId).toBe('1');
    expect(created.headers.etag).toBe('W/"1"');
    expect(created.headers.location).toBe(`${server.base}/DiagnosticReport/${id}/_history/1`);
    expect(new Date(created.headers['last-modified'] ?? '').toISOString()).toBe(meta.lastUpdated);
    const read = await server.http.get(`/DiagnosticReport/${id}`).expect(200);
    expect(read.body).toEqual(created.body);
    expect(read.headers.etag).toBe('W/"1"');
    await server.http.get(`/DiagnosticReport/${id}`).set('If-None-Match', 'W/"1"').expect(304);
  });

  it('an update makes a version; the old one, the history and the deletion stay readable', async () => {
    const body = { ...report('r2'), id: 'r2' };
    await server.http.put('/DiagnosticReport/r2').type(fhirJson).send(body).expect(201);
    await server.http
      .put('/DiagnosticReport/r2')
      .type(fhirJson)
      .send({ ...body, status: 'preliminary' })
      .set('If-Match', 'W/"1"')
      .expect(200);
    expect((await server.http.get('/DiagnosticReport/r2/_history/1').expect(200)).body.status).toBe('partial');
    await server.http.delete('/DiagnosticReport/r2').expect(204);
    await server.http.delete('/DiagnosticReport/r2').expect(204);
    await server.http.get('/DiagnosticReport/r2').expect(410);
    await server.http.get('/DiagnosticReport/r2/_history/3').expect(410);
    await server.http.get('/DiagnosticReport/r2/_history/9').expect(404);
    const { body: history } = await server.http.get('/DiagnosticReport/r2/_history').expect(200);
    expect(history.entry.map((entry: { request: { method: string } }) => entry.request.method)).toEqual(['DELETE', 'PUT', 'PUT']);
    await server.http.put('/DiagnosticReport/r2').type(fhirJson).send(body).expect(201);
    expect((await server.http.get('/DiagnosticReport/r2').expect(200)).body.meta.versionId).toBe('4');
  });

  it('a stale, absent or malformed If-Match never writes', async () => {
    const body = { ...report('r3'), id: 'r3' };
    await server.http.put('/DiagnosticReport/r3').type(fhirJson).send(body).set('If-Match', 'W/"1"').expect(412);
    await server.http.get('/DiagnosticReport/r3').expect(404);
    await server.http.put('/DiagnosticReport/r3').type(fhirJson).send(body).expect(201);
    await server.http.put('/DiagnosticReport/r3').type(fhirJson).send(body).set('If-Match', 'W/"2"').expect(412);
    await server.http.put('/DiagnosticReport/r3').type(fhirJson).send(body).set('If-Match', 'latest').expect(400);
    expect((await server.http.get('/DiagnosticReport/r3')).body.meta.versionId).toBe('1');
  });

  it('of parallel updates of one version exactly one succeeds', async () => {
    const body = { ...report('r4'), id: 'r4' };
    await server.http.put('/DiagnosticReport/r4').type(fhirJson).send(body).expect(201);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => server.http.put('/DiagnosticReport/r4').type(fhirJson).send(body).set('If-Match', 'W/"1"')),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array(7).fill(412)]);
  });

  it('Prefer chooses what comes back', async () => {
    const minimal = await server.http
      .post('/DiagnosticReport')
      .type(fhirJson)
      .send(report('r5'))
      .set('Prefer', 'return=minimal')
      .expect(201);
    expect(minimal.text).toBe('');
    expect(minimal.headers.location).toMatch(/DiagnosticReport/);
    const outcome = await server.http
      .post('/DiagnosticReport')
      .type(fhirJson)
      .send(report('r6'))
      .set('Prefer', 'return=OperationOutcome')
      .expect(201);
    expect(outcome.body.resourceType).toBe('OperationOutcome');
  });

  it('a resource that others refer to cannot be deleted', async () => {
    await server.put({ resourceType: 'Patient', id: 'p1' });
    await server.put({
      resourceType: 'Observation',
      id: 'holder',
      status: 'final',
      code: { text: 'x' },
      subject: { reference: 'Patient/p1' },
    });
    const { body } = await server.http.delete('/Patient/p1').expect(409);
    expect(body.issue[0].diagnostics).toContain('Observation/holder');
  });
});

describe('conditions', () => {
  it('parallel conditional creates make one resource', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        server.http.post('/DiagnosticReport').type(fhirJson).send(report('c1')).set('If-None-Exist', 'identifier=urn:test|c1'),
      ),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([...Array(7).fill(200), 201]);
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    expect(await server.ids('/DiagnosticReport?identifier=urn:test|c1')).toHaveLength(1);
  });

  it('more than one match, an unknown parameter and an empty condition create nothing', async () => {
    for (let copy = 0; copy < 2; copy += 1) await server.http.post('/DiagnosticReport').type(fhirJson).send(report('c2')).expect(201);
    const attempt = (condition: string) =>
      server.http.post('/DiagnosticReport').type(fhirJson).send(report('c3')).set('If-None-Exist', condition);
    await attempt('identifier=urn:test|c2').expect(412);
    await attempt('nonsense=1').expect(400);
    await attempt('_count=1').expect(412);
    await attempt('').expect(412);
    expect(await server.ids('/DiagnosticReport?identifier=urn:test|c3')).toEqual([]);
  });

  it('a conditional update creates, updates the one match, and refuses several', async () => {
    const put = (value: string, more: object = {}) =>
      server.http.put(`/DiagnosticReport?identifier=urn:test|${value}`).type(fhirJson).send(report(value, more));
    const created = await put('c4').expect(201);
    const updated = await put('c4', { status: 'preliminary' }).expect(200);
    expect(updated.body.id).toBe(created.body.id);
    expect(updated.body.meta.versionId).toBe('2');
    await put('c4', { id: 'another' }).expect(400);
    await put('c2').expect(412);
    await server.http.put('/DiagnosticReport').type(fhirJson).send(report('c5')).expect(412);
  });
});

describe('bad requests', () => {
  const rows: readonly (readonly [what: string, path: string, body: unknown, status: number, says: RegExp])[] = [
    ['another type than the URL', '/Patient', report('x'), 400, /DiagnosticReport.*Patient/],
    ['no resource', '/Patient', { a: 1 }, 400, /resourceType/],
    ['an array', '/Patient', [], 400, /resourceType/],
    ['a type that is not served', '/Patient', { resourceType: 'Claim' }, 404, /Claim/],
  ];
  it.each(rows)('%s is refused', async (_what, path, body, status, says) => {
    const answer = await server.http
      .post(path)
      .type(fhirJson)
      .send(body as object)
      .expect(status);
    expect(answer.body.issue[0].diagnostics).toMatch(says);
  });

  it('broken JSON, another content type and XML are refused with an OperationOutcome', async () => {
    const broken = await server.http.post('/Patient').type(fhirJson).send('{"resourceType":').expect(400);
    expect(broken.body.resourceType).toBe('OperationOutcome');
    expect((await server.http.post('/Patient').type('application/fhir+xml').send('<Patient/>').expect(415)).body.resourceType).toBe(
      'OperationOutcome',
    );
    await server.http.get('/Patient').set('Accept', 'application/fhir+xml').expect(406);
  });

  it('an id in the body other than the URL, or no FHIR id at all, is refused', async () => {
    await server.http.put('/Patient/a').type(fhirJson).send({ resourceType: 'Patient', id: 'b' }).expect(400);
    await server.http.put('/Patient/a').type(fhirJson).send({ resourceType: 'Patient' }).expect(400);
    await server.http.put('/Patient/a_b').type(fhirJson).send({ resourceType: 'Patient', id: 'a_b' }).expect(400);
  });

  it('an operation or method that is not served says so', async () => {
    expect((await server.http.get('/Patient/1/$everything').expect(404)).body.issue[0].diagnostics).toContain('$everything');
    await server.http.patch('/Patient/1').type('application/json-patch+json').send('[]').expect(405);
    await server.http.get('/').expect(404);
  });

  it('a browser of another origin may read the headers of an answer', async () => {
    const { headers } = await server.http.get('/metadata').set('Origin', 'http://viewer.example').expect(200);
    expect(headers['access-control-allow-origin']).toBe('*');
    expect(headers['access-control-expose-headers']).toMatch(/ETag.*Location/);
    const preflight = await server.http
      .options('/Patient')
      .set('Origin', 'http://viewer.example')
      .set('Access-Control-Request-Method', 'PUT');
    expect(preflight.headers['access-control-allow-methods']).toContain('PUT');
  });
});
