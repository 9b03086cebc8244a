import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resourceScopes } from '#sandbox/fhir/access.ts';
import { fhirJson, startFhir, type TestServer } from './start.ts';

let server: TestServer;

beforeAll(async () => {
  server = await startFhir({
    anna: { scope: 'launch openid patient/*.rs', patient: 'anna' },
    writer: { scope: 'patient/Observation.cruds patient/Patient.r', patient: 'anna' },
    narrow: { scope: 'patient/Observation.rs', patient: 'anna' },
    lost: { scope: 'patient/*.rs', patient: null },
    worker: { scope: 'system/*.rs', patient: null },
    v1: { scope: 'patient/Observation.read', patient: 'anna' },
  });
  for (const id of ['anna', 'berta']) {
    await server.put({ resourceType: 'Patient', id });
    const subject = { reference: `Patient/${id}` };
    const performer = [{ reference: 'Practitioner/p' }];
    await server.put({ resourceType: 'Observation', id: `o-${id}`, status: 'final', code: { text: 'x' }, subject, performer });
  }
  await server.put({ resourceType: 'Practitioner', id: 'p' });
});
afterAll(() => server.close());

const get = (path: string, token: string) => server.http.get(path).set('Authorization', `Bearer ${token}`);

describe('a token', () => {
  it('that is unknown is refused, although no token at all is accepted from this machine', async () => {
    const { headers } = await get('/Patient', 'forged').expect(401);
    expect(headers['www-authenticate']).toBe('Bearer');
    await server.http.get('/Patient').set('Authorization', 'Basic eDp5').expect(401);
    await server.http.get('/Patient').expect(200);
  });

  it('with a patient context sees that patient alone, by read, search, include, history and page', async () => {
    await get('/Patient/anna', 'anna').expect(200);
    await get('/Patient/berta', 'anna').expect(404);
    await get('/Observation/o-berta', 'anna').expect(404);
    await get('/Observation/o-berta/_history/1', 'anna').expect(404);
    await get('/Observation/o-berta/_history', 'anna').expect(404);
    expect((await get('/Patient', 'anna').expect(200)).body.total).toBe(1);
    expect((await get('/Observation', 'anna').expect(200)).body.total).toBe(1);
    expect((await get('/Observation?patient=berta', 'anna').expect(200)).body.total).toBe(0);
    await get('/Practitioner/p', 'anna').expect(200);
    const { body } = await server.http.get('/Observation?_count=1&_sort=_id').expect(200);
    const next = body.link.find((link: { relation: string }) => link.relation === 'next').url.slice(server.base.length);
    expect((await get(next, 'anna').expect(200)).body.entry).toBeUndefined();
  });

  it('sees included resources only within its scopes', async () => {
    const { body } = await get('/Observation?_include=Observation:performer&_include=Observation:subject', 'narrow').expect(200);
    expect(body.entry).toHaveLength(1);
    await get('/Patient/anna', 'narrow').expect(403);
  });

  it('with patient scopes but no patient sees nothing', async () => {
    expect((await get('/Patient', 'lost').expect(200)).body.total).toBe(0);
    expect((await get('/Observation', 'lost').expect(200)).body.total).toBe(0);
  });

  it('with system scopes sees all, and writes nothing that it has no letter for', async () => {
    expect((await get('/Observation', 'worker').expect(200)).body.total).toBe(2);
    await server.http.post('/Patient').type(fhirJson).send({ resourceType: 'Patient' }).set('Authorization', 'Bearer worker').expect(403);
    await server.http.delete('/Patient/anna').set('Authorization', 'Bearer worker').expect(403);
    await get('/Observation', 'v1').expect(200);
  });

  it('cannot write into another patient, alone or in a transaction, and leaves nothing there', async () => {
    const body = { resourceType: 'Observation', status: 'final', code: { text: 'y' }, subject: { reference: 'Patient/berta' } };
    const asWriter = (request: ReturnType<typeof server.http.post>) => request.type(fhirJson).set('Authorization', 'Bearer writer');
    await asWriter(server.http.post('/Observation')).send(body).expect(403);
    await asWriter(server.http.put('/Observation/o-berta'))
      .send({ ...body, id: 'o-berta', subject: { reference: 'Patient/anna' } })
      .expect(404);
    const own = { ...body, subject: { reference: 'Patient/anna' } };
    const entry = [own, body].map((resource) => ({ resource, request: { method: 'POST', url: 'Observation' } }));
    await asWriter(server.http.post('/')).send({ resourceType: 'Bundle', type: 'transaction', entry }).expect(403);
    expect(await server.ids('/Observation')).toEqual(['o-anna', 'o-berta']);
    await asWriter(server.http.delete('/Observation/o-berta')).expect(404);
    await asWriter(server.http.post('/Observation')).send(own).expect(201);
  });
});

describe('scope words', () => {
  it('v1 and v2 are read, what is no resource scope or is limited by a query is left out', () => {
    expect(
      resourceScopes(
        'launch openid patient/Patient.r user/*.read system/Observation.cruds patient/Observation.rs?category=x patient/Task.sr',
      ),
    ).toEqual([
      { level: 'patient', type: 'Patient', letters: 'r' },
      { level: 'user', type: '*', letters: 'rs' },
      { level: 'system', type: 'Observation', letters: 'cruds' },
    ]);
  });
});
