import type { Observation, Patient } from '@medplum/fhirtypes';
import type { Response } from 'supertest';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startFhir, type TestServer } from './start.ts';

let server: TestServer;

const loinc = 'http://loinc.org';

function patient(id: string, more: Partial<Patient>): Patient & { id: string } {
  return { resourceType: 'Patient', id, ...more };
}

function observation(id: string, subject: string, effective: string, more: Partial<Observation> = {}): Observation & { id: string } {
  return {
    resourceType: 'Observation',
    id,
    status: 'final',
    code: { coding: [{ system: loinc, code: '718-7' }] },
    subject: { reference: subject },
    effectiveDateTime: effective,
    valueString: 'x',
    ...more,
  };
}

beforeAll(async () => {
  server = await startFhir();
  await server.put(
    patient('doe', {
      name: [{ family: 'Doe', given: ['Ann', 'Möira'] }],
      birthDate: '1970',
      gender: 'female',
      identifier: [{ system: 'urn:a', value: '1' }, { value: '9' }],
    }),
  );
  await server.put(
    patient('moe', {
      name: [{ family: 'moe', text: 'Mr Moe, the elder' }],
      birthDate: '1970-05-06',
      gender: 'male',
      identifier: [{ system: 'urn:b', value: '1' }],
    }),
  );
  await server.put(patient('nobody', { active: true }));
  await server.put(observation('o1', 'Patient/doe', '2024-01-31T23:30:00+01:00'));
  await server.put(observation('o2', 'Patient/doe', '2024-02-01T00:30:00Z', { code: { coding: [{ system: 'urn:x', code: '718-7' }] } }));
  await server.put(observation('o3', 'Patient/moe', '2024-02', { code: { coding: [{ code: '718-7' }] } }));
  await server.put(
    observation('o4', 'http://elsewhere.example/fhir/Patient/doe', '2023', { category: [{ coding: [{ system: 'urn:c', code: 'lab' }] }] }),
  );
  await server.put({
    resourceType: 'Observation',
    id: 'o5',
    status: 'preliminary',
    code: { text: 'uncoded' },
    subject: { identifier: { system: 'urn:a', value: '1' } },
    effectivePeriod: { start: '2024-02-10' },
    valueString: 'x',
  });
});

afterAll(() => server.close());

describe('a search finds exactly what R4 says it matches', () => {
  const rows: readonly (readonly [search: string, ids: readonly string[]])[] = [
    // string: from the start of a part, case and accents folded
    ['/Patient?family=do', ['doe']],
    ['/Patient?family=oe', []],
    ['/Patient?family:exact=doe', []],
    ['/Patient?family:exact=Doe', ['doe']],
    ['/Patient?family:contains=OE', ['doe', 'moe']],
    ['/Patient?name=moira', ['doe']],
    ['/Patient?name=Mr Moe\\, the', ['moe']],
    ['/Patient?name=ann,MOE', ['doe', 'moe']],
    ['/Patient?given=%', []],
    // token: system and code
    ['/Patient?identifier=1', ['doe', 'moe']],
    ['/Patient?identifier=urn:a|1', ['doe']],
    ['/Patient?identifier=urn:a|', ['doe']],
    ['/Patient?identifier=|9', ['doe']],
    ['/Patient?identifier=|1', []],
    ['/Patient?identifier=urn:a|2', []],
    ['/Patient?gender=male', ['moe']],
    ['/Patient?gender=Male', []],
    ['/Patient?gender:not=male', ['doe', 'nobody']],
    ['/Patient?active=true', ['nobody']],
    ['/Observation?code=http://loinc.org|718-7', ['o1', 'o4']],
    ['/Observation?code=|718-7', ['o3']],
    ['/Observation?code=718-7', ['o1', 'o2', 'o3', 'o4']],
    ['/Observation?code:not=urn:x|718-7', ['o1', 'o3', 'o4', 'o5']],
    ['/Observation?category=lab', ['o4']],
    // missing
    ['/Patient?birthdate:missing=true', ['nobody']],
    ['/Patient?birthdate:missing=false', ['doe', 'moe']],
    ['/Observation?subject:missing=true', []],
    // reference
    ['/Observation?patient=doe', ['o1', 'o2']],
    ['/Observation?patient=Patient/doe', ['o1', 'o2']],
    ['/Observation?subject:Patient=doe', ['o1', 'o2']],
    ['/Observation?subject=http://elsewhere.example/fhir/Patient/doe', ['o4']],
    ['/Observation?patient=doe,moe', ['o1', 'o2', 'o3']],
    ['/Observation?subject:identifier=urn:a|1', ['o5']],
    // date: partial dates are ranges, zones count
    ['/Patient?birthdate=1970', ['doe', 'moe']],
    ['/Patient?birthdate=1970-05', ['moe']],
    ['/Patient?birthdate=ne1970-05', ['doe']],
    ['/Patient?birthdate=lt1970-05-06', ['doe']],
    ['/Observation?date=2024-01-31', ['o1']],
    ['/Observation?date=2024-01-31T22:30:00Z', ['o1']],
    ['/Observation?date=2024-01-31T17:30:00-05:00', ['o1']],
    ['/Observation?date=2024-02-01', ['o2']],
    ['/Observation?date=2024-02', ['o2', 'o3']],
    ['/Observation?date=ge2024-02', ['o2', 'o3', 'o5']],
    ['/Observation?date=gt2024-02-01', ['o3', 'o5']],
    ['/Observation?date=sa2024-02-01', ['o5']],
    ['/Observation?date=eb2024-02', ['o1', 'o4']],
    ['/Observation?date=le2023', ['o4']],
    ['/Observation?date=ge2024-01-31&date=lt2024-02-01', ['o1']],
    // repetition is AND, comma is OR
    ['/Observation?code=718-7&patient=doe', ['o1', 'o2']],
    ['/Observation?patient=doe&patient=moe', []],
    ['/Observation?status=preliminary,registered', ['o5']],
    // of every resource
    ['/Patient?_id=doe,moe,none', ['doe', 'moe']],
    ['/Patient?_lastUpdated=gt2026-11-24', []],
    ['/Patient?_lastUpdated=2026-11-24', ['doe', 'moe', 'nobody']],
    // order
    ['/Observation?_sort=date', ['o4', 'o1', 'o3', 'o2', 'o5']],
    ['/Observation?_sort=-date', ['o5', 'o3', 'o2', 'o1', 'o4']],
    ['/Patient?_sort=-birthdate,_id', ['doe', 'moe', 'nobody']],
    ['/Patient?_sort=-_id', ['nobody', 'moe', 'doe']],
  ];
  it.each(rows)('%s', async (search, ids) => {
    expect(await server.ids(encodeURI(search))).toEqual(ids);
  });
});

describe('what is not supported is refused by name, never ignored', () => {
  const rows: readonly (readonly [search: string, status: number, says: RegExp])[] = [
    ['/Patient?nonsense=1', 400, /nonsense/],
    ['/Patient?name:foo=a', 400, /:foo/],
    ['/Patient?gender:exact=male', 400, /:exact/],
    ['/Observation?subject.name=a', 400, /subject\.name.*chained/],
    ['/Observation?subject:Patient.name=a', 400, /subject/],
    ['/Patient?_has:Observation:patient:code=1', 400, /_has/],
    ['/Observation?code:text=a', 400, /:text/],
    ['/Observation?value-quantity=gt1', 400, /value-quantity/],
    ['/Observation?_filter=a', 400, /_filter/],
    ['/Patient?_sort=bogus', 400, /_sort.*bogus/],
    ['/Patient?_count=abc', 400, /_count/],
    ['/Patient?_count=-1', 400, /_count/],
    ['/Patient?_summary=true', 400, /_summary/],
    ['/Patient?_elements=id', 400, /_elements/],
    ['/Observation?_include=Observation:nonsense', 400, /_include/],
    ['/Observation?_include=*', 400, /_include/],
    ['/Patient?identifier=', 400, /identifier.*empty/],
    ['/Patient?identifier=a,', 400, /identifier.*empty/],
    ['/Patient?identifier=|', 400, /identifier/],
    ['/Patient?gender=http://hl7.org/fhir/administrative-gender|male', 400, /gender/],
    ['/Patient?birthdate=1970-13', 400, /birthdate/],
    ['/Patient?birthdate=1970-02-30', 400, /birthdate/],
    ['/Patient?birthdate=ap1970', 400, /birthdate/],
    ['/Observation?date=2024-01-31T22:30:00+01:00', 400, /%2B/],
    ['/Patient?birthdate:missing=maybe', 400, /missing/],
    ['/Observation?patient=Practitioner/1', 400, /patient.*Patient/],
    ['/Observation?patient=a%20b', 400, /patient/],
    ['/Patient?_id=a/b', 400, /_id/],
    ['/Foo', 404, /Foo/],
    ['/Foo/1', 404, /Foo/],
    ['/Patient?_format=xml', 406, /xml/],
    ['/Patient?_page=unknown', 410, /expired/],
  ];
  it.each(rows)('%s is %i', async (search, status, says) => {
    const { body, headers } = await server.http.get(search).expect(status);
    expect(headers['content-type']).toMatch(/application\/fhir\+json/);
    expect(body.resourceType).toBe('OperationOutcome');
    expect(body.issue[0].diagnostics).toMatch(says);
  });
});

describe('pages, includes, forms', () => {
  it('next links lead through every match once, although others write in between', async () => {
    const found: string[] = [];
    let url: string | undefined = `${server.base}/Observation?_count=2&_sort=date`;
    for (let pages = 0; url !== undefined; pages += 1) {
      const { body }: Response = await server.http.get(url.slice(server.base.length)).expect(200);
      expect(body.total).toBe(5);
      found.push(...body.entry.map((entry: { resource: { id: string } }) => entry.resource.id));
      if (pages === 0) await server.put(observation('a0', 'Patient/moe', '2020'));
      url = body.link.find((link: { relation: string }) => link.relation === 'next')?.url;
      expect(url ?? '').not.toContain('date');
    }
    expect(found).toEqual(['o4', 'o1', 'o3', 'o2', 'o5']);
    await server.http.delete('/Observation/a0').expect(204);
  });

  it('the self link says what was applied, the capped _count included', async () => {
    const { body } = await server.http.get('/Patient?family=do&_count=99999').expect(200);
    expect(body.link[0]).toEqual({ relation: 'self', url: `${server.base}/Patient?family=do&_count=500` });
  });

  it('_summary=count and _count=0 give the total alone', async () => {
    for (const search of ['/Patient?_summary=count', '/Patient?_count=0']) {
      const { body } = await server.http.get(search).expect(200);
      expect(body).toMatchObject({ total: 3 });
      expect(body.entry).toBeUndefined();
    }
  });

  it('a search without matches is an empty Bundle with total 0', async () => {
    const { body } = await server.http.get('/Patient?family=zzz').expect(200);
    expect(body).toMatchObject({ resourceType: 'Bundle', type: 'searchset', total: 0 });
    expect(body.entry).toBeUndefined();
  });

  it('_include and _revinclude add each resource once, marked as included', async () => {
    const forward = await server.http.get('/Observation?patient=doe&_include=Observation:subject').expect(200);
    expect(forward.body.total).toBe(2);
    expect(forward.body.entry.map((entry: { fullUrl: string; search: { mode: string } }) => [entry.fullUrl, entry.search.mode])).toEqual([
      [`${server.base}/Observation/o1`, 'match'],
      [`${server.base}/Observation/o2`, 'match'],
      [`${server.base}/Patient/doe`, 'include'],
    ]);
    const reverse = await server.http.get('/Patient?_id=doe&_revinclude=Observation:patient').expect(200);
    expect(reverse.body.entry).toHaveLength(3);
  });

  it('POST _search takes a form, and parameters of the URL with it', async () => {
    const { body } = await server.http.post('/Observation/_search?code=718-7').type('form').send('patient=doe&_sort=-date').expect(200);
    expect(body.entry.map((entry: { resource: { id: string } }) => entry.resource.id)).toEqual(['o2', 'o1']);
    await server.http.post('/Observation/_search').send({ patient: 'doe' }).expect(415);
  });

  it('the index follows an update and a deletion', async () => {
    await server.put(patient('late', { birthDate: '2001' }));
    await server.http
      .put('/Patient/late')
      .type('application/fhir+json')
      .send(patient('late', { birthDate: '2002' }))
      .expect(200);
    expect(await server.ids('/Patient?birthdate=2001')).toEqual([]);
    expect(await server.ids('/Patient?birthdate=2002')).toEqual(['late']);
    await server.http.delete('/Patient/late').expect(204);
    expect(await server.ids('/Patient?birthdate=2002')).toEqual([]);
  });
});
