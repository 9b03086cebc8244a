import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'fhir-kit-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadFiles } from '#sandbox/fhir/files.ts';
import { available, sharedPath } from '../../setup/require.ts';
import { startFhir, type TestServer } from './start.ts';

const id = '3f2b8c1e-0000-4000-8000-000000000001';

describe('loading bundles', () => {
  let server: TestServer;
  let folder: string;
  beforeAll(async () => {
    server = await startFhir();
    folder = mkdtempSync(join(tmpdir(), 'wetread-load-'));
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });

  const patient = { fullUrl: `urn:uuid:${id}`, resource: { resourceType: 'Patient' }, request: { method: 'POST', url: 'Patient' } };
  const bundle = (entry: unknown[]) => ({ resourceType: 'Bundle', type: 'transaction', entry });

  it('keeps the UUID of a fullUrl as the id and rewrites references to it', async () => {
    const observation = {
      resourceType: 'Observation',
      id: 'o',
      status: 'final',
      code: { text: 'x' },
      subject: { reference: `urn:uuid:${id}` },
    };
    expect(server.fhir.loadBundle(bundle([patient, { resource: observation }]))).toEqual({ stored: 2, leftOut: {} });
    expect(await server.ids(`/Observation?patient=${id}`)).toEqual(['o']);
  });

  it('leaves out types that are not served, by name and number', () => {
    const claims = [1, 2].map((n) => ({ fullUrl: `urn:uuid:${n}`, resource: { resourceType: 'Claim', id: String(n) } }));
    expect(server.fhir.loadBundle(bundle([patient, ...claims]))).toEqual({ stored: 1, leftOut: { Claim: 2 } });
  });

  it('a file is loaded once; one that cannot be is reported and the others are loaded', async () => {
    writeFileSync(join(folder, 'a.json'), JSON.stringify(bundle([{ resource: { resourceType: 'Patient', id: 'from-file' } }])));
    writeFileSync(join(folder, 'b.json'), '{"resourceType":');
    writeFileSync(join(folder, 'c.json'), JSON.stringify(bundle([{ resource: { resourceType: 'Patient', id: 'bad', gender: 'x' } }])));
    writeFileSync(join(folder, 'd.json'), JSON.stringify(bundle([{ resource: { resourceType: 'Patient' } }])));
    writeFileSync(join(folder, 'e.txt'), 'no bundle');
    const first = await loadFiles(server.fhir, [folder]);
    expect(first.map((one) => [one.loaded?.stored ?? null, one.refused !== null])).toEqual([
      [1, false],
      [null, true],
      [null, true],
      [null, true],
    ]);
    const second = await loadFiles(server.fhir, [join(folder, 'a.json')]);
    expect(second).toEqual([{ path: join(folder, 'a.json'), loaded: null, refused: null }]);
    expect((await server.http.get('/Patient/from-file').expect(200)).body.meta.versionId).toBe('1');
  });
});

describe.skipIf(!available('shared'))('the synthetic histories of the reference material', () => {
  let server: TestServer;
  const folder = sharedPath('data/fhir');
  let resources: { resourceType: string; id: string }[];
  beforeAll(async () => {
    // Read here and not above: the body of a suite that is left out runs all the same.
    resources = readdirSync(folder).flatMap((name) =>
      JSON.parse(readFileSync(join(folder, name), 'utf8')).entry.map((entry: { resource: unknown }) => entry.resource),
    );
    server = await startFhir();
    await loadFiles(server.fhir, [folder]);
  });
  afterAll(() => server.close());

  it('load whole, every reference literal', async () => {
    expect(resources.length).toBeGreaterThan(2000);
    const rows = server.fhir.services.store.db.prepare('SELECT body FROM version WHERE body LIKE ?').all('%"urn:uuid:%"reference"%');
    expect(rows).toEqual([]);
    const stored = server.fhir.services.store.db.prepare('SELECT COUNT(*) AS n FROM resource').get();
    const distinct = new Set(resources.map((one: { resourceType: string; id: string }) => `${one.resourceType}/${one.id}`));
    expect(Number(stored?.n)).toBe(distinct.size);
  });

  it('a search by date finds what a plain comparison of the resources finds', async () => {
    type Dated = { resourceType: string; id: string; effectiveDateTime?: string };
    const inYear = (one: Dated) => one.resourceType === 'Observation' && new Date(one.effectiveDateTime ?? 0).getUTCFullYear() === 2019;
    const expected = resources.filter(inYear).map((one: Dated) => one.id);
    expect(expected.length).toBeGreaterThan(5);
    expect(await server.ids('/Observation?date=2019&_count=500')).toEqual(expected.sort());
    expect(await server.ids('/Observation?date=ge2019-01-01&date=lt2020-01-01&_count=500')).toEqual(expected);
  });

  it('fhir-kit-client reads, searches, pages and writes a transaction', async () => {
    const client = new Client({ baseUrl: server.base });
    const first = await client.search({ resourceType: 'Patient', searchParams: { _count: 4, _sort: '_id' } });
    const second = await client.nextPage({ bundle: first as Parameters<Client['nextPage']>[0]['bundle'] });
    expect(second?.entry).toHaveLength(4);
    const posted = await client.search({ resourceType: 'Patient', searchParams: { gender: 'female' }, options: { postSearch: true } });
    expect(posted.total).toBeGreaterThan(0);
    const resource = { resourceType: 'Patient' as const, active: true };
    const answer = await client.transaction({
      body: { resourceType: 'Bundle', type: 'transaction', entry: [{ resource, request: { method: 'POST', url: 'Patient' } }] },
    });
    expect(answer.type).toBe('transaction-response');
    await expect(client.read({ resourceType: 'Patient', id: 'never-was' })).rejects.toMatchObject({ response: { status: 404 } });
  });
});
