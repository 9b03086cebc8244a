import { afterEach, describe, expect, test } from 'vitest';
import { codeOf } from '#domain/errors.ts';
import { type FhirClient, openFhir } from '#fhir/client.ts';
import { openExchange } from '#fhir/exchange.ts';
import { openNeighbour } from '#net/neighbour.ts';
import { bearerToken, type Token } from '#net/token.ts';
import { type Answerer, json, serve, type TestServer } from '../net/servers.ts';

const open: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function fhir(answer: Answerer, token?: (origin: string) => Token): Promise<{ server: TestServer; client: FhirClient }> {
  const server = await serve(answer);
  const neighbour = openNeighbour({ name: 'FHIR server', origins: [server.origin], totalMs: 2000, maxBytes: 200_000 });
  open.push(server, neighbour);
  const client = openFhir({ base: `${server.origin}/r4`, neighbour, token: token?.(server.origin) ?? null });
  return { server, client };
}

const patient = { resourceType: 'Patient', id: 'p1' };
const study = (id: string, subject = 'Patient/p1') => ({ resourceType: 'ImagingStudy', id, subject: { reference: subject } });

function page(resources: object[], links: Record<string, string> = {}): object {
  return {
    resourceType: 'Bundle',
    type: 'searchset',
    link: Object.entries(links).map(([relation, url]) => ({ relation, url })),
    entry: resources.map((resource) => ({ resource, search: { mode: 'match' } })),
  };
}

async function codeFrom(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'no error',
    (error: unknown) => codeOf(error),
  );
}

describe('read', () => {
  test('gives the resource and sends the token to its own origin', async () => {
    const { client, server } = await fhir(
      (_, response) => json(response, patient),
      (origin) => bearerToken(origin, 'T1'),
    );
    expect(await client.read('Patient', 'p1')).toEqual(patient);
    expect(server.asked[0]?.headers.authorization).toBe('Bearer T1');
    expect(server.asked[0]?.url).toBe('/r4/Patient/p1');
  });

  test.each(['../../admin', 'a?x=1', 'a/b', '..', '', 'a#b', 'a%2e'])('refuses the id %j before anything is sent', async (id) => {
    const { client, server } = await fhir((_, response) => json(response, patient));
    expect(await codeFrom(client.read('Patient', id))).toBe('request-malformed');
    expect(server.asked).toHaveLength(0);
  });

  test('does not take another resource for the one asked for', async () => {
    const { client } = await fhir((_, response) => json(response, { ...patient, id: 'p2' }));
    expect(await codeFrom(client.read('Patient', 'p1'))).toBe('fhir-bad-answer');
  });

  test.each([
    ['an HTML page with 200', 200, '<html>login</html>', 'fhir-bad-answer'],
    ['JSON null', 200, 'null', 'fhir-bad-answer'],
    ['a JSON string', 200, '"x"', 'fhir-bad-answer'],
    ['JSON without a type', 200, '{"a":1}', 'fhir-bad-answer'],
    ['no body', 200, '', 'fhir-bad-answer'],
    ['401', 401, '{}', 'fhir-unauthorised'],
    ['403 as HTML', 403, '<html>', 'fhir-unauthorised'],
    ['404', 404, '{}', 'not-found'],
    ['410', 410, '{}', 'not-found'],
    ['500 as HTML', 500, '<html>', 'fhir-refused'],
    ['a redirect', 302, '', 'net-redirect-refused'],
    ['an answer over the limit', 200, `"${'x'.repeat(300_000)}"`, 'net-too-large'],
  ])('%s becomes a coded error', async (_, status, body, code) => {
    const { client } = await fhir((_asked, response) => {
      response
        .writeHead(status, { 'content-type': 'application/fhir+json', ...(status === 302 ? { location: '/elsewhere' } : {}) })
        .end(body);
    });
    expect(await codeFrom(client.read('Patient', 'p1'))).toBe(code);
  });

  test('an unreachable server and a silent one are told apart', async () => {
    const { client, server } = await fhir((_, response) => void response.write('{'));
    expect(await codeFrom(client.read('Patient', 'p1'))).toBe('net-timeout');
    await server.close();
    expect(await codeFrom(client.read('Patient', 'p1'))).toBe('net-unreachable');
  });

  test('the text of an OperationOutcome is in the error', async () => {
    const outcome = { resourceType: 'OperationOutcome', issue: [{ severity: 'error', code: 'invalid', diagnostics: 'no such thing' }] };
    const { client } = await fhir((_, response) => json(response, outcome, 400));
    await expect(client.read('Patient', 'p1')).rejects.toThrow(/no such thing/);
  });

  test('a server that asks to wait is refused with its Retry-After as the hint', async () => {
    const { client } = await fhir((_, response) => json(response, {}, 503, { 'retry-after': '30' }));
    await expect(client.read('Patient', 'p1')).rejects.toMatchObject({ code: 'fhir-refused', hint: expect.stringContaining('30') });
  });

  test('no address outside the base is asked, not even on the same host', async () => {
    const server = await serve((_, response) => json(response, patient));
    const neighbour = openNeighbour({ name: 'FHIR server', origins: [server.origin] });
    open.push(server, neighbour);
    const exchange = openExchange(`${server.origin}/r4`, neighbour, null);
    expect(await codeFrom(exchange({ method: 'GET', url: `${server.origin}/admin` }))).toBe('net-origin-refused');
    expect(server.connections()).toBe(0);
  });

  test('a 401 is tried once more with a new token, and only once', async () => {
    let value = 'old';
    const token = (origin: string): Token => ({
      origin,
      header: async () => `Bearer ${value}`,
      renew: () => {
        value = 'new';
        return true;
      },
    });
    const { client, server } = await fhir((asked, response) => {
      if (asked.headers.authorization === 'Bearer new' && asked.url.endsWith('/p1')) json(response, patient);
      else json(response, {}, 401);
    }, token);
    expect((await client.read('Patient', 'p1')).id).toBe('p1');
    expect(await codeFrom(client.read('Patient', 'p2'))).toBe('fhir-unauthorised');
    expect(server.asked.map((one) => one.headers.authorization)).toEqual(['Bearer old', 'Bearer new', 'Bearer new', 'Bearer new']);
  });

  test('a token of another origin is not sent', async () => {
    const { client, server } = await fhir(
      (_, response) => json(response, patient),
      () => bearerToken('https://other.example', 'T1'),
    );
    expect(await codeFrom(client.read('Patient', 'p1'))).toBe('net-origin-refused');
    expect(server.asked).toHaveLength(0);
  });
});

describe('search', () => {
  test('reads every page, relative links resolved against the page, and removes doubles', async () => {
    const { client, server } = await fhir((asked, response) => {
      if (asked.url.includes('page=3')) json(response, page([study('c'), study('a')]));
      else if (asked.url.includes('page=2')) json(response, page([study('b')], { next: '/r4?page=3' }));
      else json(response, page([study('a')], { next: 'ImagingStudy?page=2' }));
    });
    const found = await client.search('ImagingStudy', [['patient', 'p1']]);
    expect(found.hits.map((hit) => hit.id)).toEqual(['a', 'b', 'c']);
    expect(found).toMatchObject({ complete: true, warnings: [] });
    expect(server.asked.map((one) => one.url)).toEqual(['/r4/ImagingStudy?patient=p1', '/r4/ImagingStudy?page=2', '/r4?page=3']);
    expect(server.asked[0]?.headers.prefer).toBe('handling=strict');
  });

  test.each([
    ['another host', (decoy: string, _own: string) => `${decoy}/r4/ImagingStudy?page=2`],
    ['another path on the host', (_decoy: string, own: string) => `${own}/admin?page=2`],
    ['a base that is only a longer text', (_decoy: string, own: string) => `${own}/r4evil/ImagingStudy?page=2`],
    ['no URL', () => 'http://host:443:443/r4?page=2'],
  ])('a next link to %s is not followed, and the list says that it is incomplete', async (_, link) => {
    const decoy = await serve((_asked, response) => json(response, page([study('z')])));
    open.push(decoy);
    const { client, server } = await fhir(
      (_asked, response) => json(response, page([study('a')], { next: link(decoy.origin, server.origin) })),
      (origin) => bearerToken(origin, 'T1'),
    );
    const found = await client.search('ImagingStudy', [['patient', 'p1']]);
    expect(found.hits).toHaveLength(1);
    expect(found.complete).toBe(false);
    expect(found.warnings.map((one) => one.code)).toEqual(['fhir-incomplete']);
    expect(server.asked).toHaveLength(1);
    expect(decoy.connections()).toBe(0);
  });

  test('the same next page twice ends the search', async () => {
    const { client, server } = await fhir((_, response) => json(response, page([study('a')], { next: '?page=2' })));
    const found = await client.search('ImagingStudy', [['patient', 'p1']]);
    expect(found.complete).toBe(false);
    expect(server.asked).toHaveLength(2);
  });

  test('endless different pages end at the limit', async () => {
    let n = 0;
    const { client, server } = await fhir((_, response) => {
      n += 1;
      json(response, page([study(`s${n}`)], { next: `?page=${n}` }));
    });
    const found = await client.search('ImagingStudy', [['patient', 'p1']], { maxPages: 3 });
    expect(found).toMatchObject({ complete: false });
    expect(server.asked).toHaveLength(3);
    expect(await client.search('ImagingStudy', [['patient', 'p1']], { maxEntries: 2 })).toMatchObject({ complete: false });
    expect(server.asked).toHaveLength(5);
  });

  test('an error on a later page is an error, not a shorter list', async () => {
    const { client } = await fhir((asked, response) => {
      if (asked.url.includes('page')) json(response, {}, 401);
      else json(response, page([study('a')], { next: '?page=2' }));
    });
    expect(await codeFrom(client.search('ImagingStudy', [['patient', 'p1']]))).toBe('fhir-unauthorised');
  });

  test('a parameter missing from the self link is a warning', async () => {
    const { client, server } = await fhir((_, response) =>
      json(response, page([study('a')], { self: `${server.origin}/r4/ImagingStudy?patient=p1` })),
    );
    const found = await client.search('ImagingStudy', [
      ['patient', 'p1'],
      ['modality', 'CT'],
      ['_count', '10'],
    ]);
    expect(found.warnings).toEqual([{ code: 'fhir-ignored-parameter', message: 'ImagingStudy search: the server did not apply modality' }]);
  });

  test('hits that are not what was asked for are dropped and counted', async () => {
    const { client } = await fhir((_, response) => json(response, page([study('a'), study('b', 'Patient/other')])));
    const found = await client.search('ImagingStudy', [['patient', 'p1']], { accept: (hit) => hit.subject.reference === 'Patient/p1' });
    expect(found.hits.map((hit) => hit.id)).toEqual(['a']);
    expect(found.warnings[0]?.code).toBe('fhir-ignored-parameter');
  });

  test('a malformed entry, a foreign match and an outcome are warnings, an include is kept apart', async () => {
    const { client } = await fhir((_, response) =>
      json(response, {
        resourceType: 'Bundle',
        type: 'searchset',
        entry: [
          { resource: { resourceType: 'ImagingStudy', id: 'bad', subject: 'text' }, search: { mode: 'match' } },
          { resource: patient, search: { mode: 'match' } },
          { resource: { resourceType: 'Endpoint', id: 'e' }, search: { mode: 'include' } },
          { resource: { resourceType: 'OperationOutcome', issue: [{ details: { text: 'partly' } }] }, search: { mode: 'outcome' } },
          { resource: study('a') },
        ],
      }),
    );
    const found = await client.search('ImagingStudy', [['patient', 'p1']]);
    expect(found.hits.map((hit) => hit.id)).toEqual(['a']);
    expect(found.included).toHaveLength(1);
    expect(found.warnings.map((one) => one.code)).toEqual(['fhir-entry-malformed', 'fhir-entry-malformed', 'fhir-outcome']);
  });

  test('values are encoded and an empty value is never sent', async () => {
    const { client, server } = await fhir((_, response) => json(response, page([])));
    await client.search('ImagingStudy', [['identifier', 'urn:dicom:uid|urn:oid:1.2&x=#']]);
    expect(new URL(server.asked[0]?.url ?? '', server.origin).searchParams.get('identifier')).toBe('urn:dicom:uid|urn:oid:1.2&x=#');
    expect(await codeFrom(client.search('ImagingStudy', [['patient', ' ']]))).toBe('request-malformed');
    expect(server.asked).toHaveLength(1);
  });

  test('an answer that is no searchset is an error', async () => {
    const { client } = await fhir((_, response) => json(response, patient));
    expect(await codeFrom(client.search('Patient', [['_id', 'p1']]))).toBe('fhir-bad-answer');
  });
});

describe('writes', () => {
  test('a conditional create sends If-None-Exist and says whether it created', async () => {
    let times = 0;
    const { client, server } = await fhir((_, response) => {
      times += 1;
      json(response, { ...patient, meta: { versionId: '1' } }, times === 1 ? 201 : 200, { etag: 'W/"1"' });
    });
    const ifNoneExist = [['identifier', 'urn:x|1']] as const;
    expect(await client.create(patient, { ifNoneExist })).toMatchObject({ id: 'p1', versionId: '1', created: true });
    expect(await client.create(patient, { ifNoneExist })).toMatchObject({ created: false });
    expect(server.asked[0]?.headers['if-none-exist']).toBe('identifier=urn%3Ax%7C1');
    expect(JSON.parse(server.asked[0]?.body ?? '')).toEqual(patient);
  });

  test('a create answered by a Location alone gives id and version', async () => {
    const { client } = await fhir((_, response) => {
      response.writeHead(201, { location: 'http://other.example/r4/Patient/77/_history/3', etag: 'W/"3"' }).end();
    });
    expect(await client.create(patient)).toEqual({ id: '77', versionId: '3', created: true, resource: null });
  });

  test.each([409, 412])('status %i of an update with If-Match is a conflict', async (status) => {
    const { client, server } = await fhir((_, response) => json(response, {}, status));
    expect(await codeFrom(client.update(patient, { ifMatch: '4' }))).toBe('fhir-conflict');
    expect(server.asked[0]).toMatchObject({ method: 'PUT', url: '/r4/Patient/p1' });
    expect(server.asked[0]?.headers['if-match']).toBe('W/"4"');
  });

  test('a transaction gives status, reference and version of each entry', async () => {
    const { client, server } = await fhir((_, response) =>
      json(response, {
        resourceType: 'Bundle',
        type: 'transaction-response',
        entry: [{ response: { status: '201 Created', location: 'Device/d1/_history/1', etag: 'W/"1"' } }, { response: { status: '200' } }],
      }),
    );
    const request = { resourceType: 'Bundle', type: 'transaction', entry: [{}, {}] };
    expect(await client.transaction(request)).toEqual([
      { status: 201, reference: 'Device/d1', versionId: '1', texts: [] },
      { status: 200, reference: null, versionId: null, texts: [] },
    ]);
    expect(server.asked[0]).toMatchObject({ method: 'POST', url: '/r4' });
    expect(await codeFrom(client.transaction({ ...request, entry: [{}] }))).toBe('fhir-bad-answer');
  });

  test('metadata gives the version, the software and what can be searched', async () => {
    const { client } = await fhir((_, response) =>
      json(response, {
        resourceType: 'CapabilityStatement',
        fhirVersion: '4.0.1',
        software: { name: 'Server', version: '1' },
        rest: [{ mode: 'server', interaction: [{ code: 'transaction' }], resource: [{ type: 'Patient', searchParam: [{ name: '_id' }] }] }],
      }),
    );
    const metadata = await client.metadata();
    expect(metadata).toMatchObject({ software: 'Server 1', fhirVersion: '4.0.1', transaction: true });
    expect(metadata.search.get('Patient')).toEqual(['_id']);
  });
});
