import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeRandomBundle } from '#model/random.ts';
import { patientIssuer, patientSystem } from '#phantom/person.ts';
import { releaseLeases } from '#work/outbox.ts';
import { openStore, type StoreLocation } from '#work/store.ts';
import { startPostgreSql } from '../postgresql/postgresql.ts';
import { available } from '../setup/require.ts';
import { type Delivered, deliveredOf, startHospital } from './hospital.ts';
import { type Point, startGate } from './pacs/gate.ts';
import type { StartedProcess } from './pacs/process.ts';
import { signOnce, startService, writeSite } from './pacs/service.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-kill-'));
const bundle = join(folder, 'bundle');
const databaseEnv = 'WETREAD_E2E_DATABASE';

beforeAll(() => makeRandomBundle({ dir: bundle, seed: 8, modalities: ['DX'], maxImages: 2, citeUncalibrated: true }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Where the service is killed: each once, in whatever order they are reached. */
function points(): Set<Point> {
  return new Set<Point>([
    {
      name: 'pixels are fetched',
      when: 'before',
      matches: (method, _, accept) => method === 'GET' && accept.includes('"application/dicom"'),
    },
    // The worker asks whether the order is on the server once the model has answered and its sentences are attributed.
    {
      name: 'the draft is made, not settled',
      when: 'before',
      matches: (method, path) => method === 'GET' && /\/ServiceRequest\//.test(path),
    },
    { name: 'the report is written', when: 'after', matches: (method, path) => method === 'POST' && /\/fhir\/?$/.test(path) },
    { name: 'the Provenance is written', when: 'after', matches: (method, path) => method === 'POST' && /\/Provenance$/.test(path) },
    { name: 'the SR is stored', when: 'after', matches: (method, path) => method === 'POST' && /\/studies(\/|$)/.test(path) },
  ]);
}

/** Starts the service again and again until every point was reached and everything is delivered. @returns the kills, in order */
async function killAtEveryPoint(
  name: string,
  site: (fhir: string, dicomweb: string) => string,
  env: Record<string, string>,
  afterKill: () => Promise<void>,
) {
  const at = await startHospital(join(folder, name), ['kill']);
  const [order] = at.orders;
  if (order === undefined) throw new Error('the phantom hospital has no order');
  const there = () => deliveredOf(at, order);
  const pending = points();
  const kills: string[] = [];
  let starting: Promise<StartedProcess> | null = null;
  let killed = Promise.withResolvers<'killed'>();
  const reached = async (point: Point) => {
    kills.push(point.name);
    // A delivery may begin before the service has said that it is ready.
    await (await starting)?.kill();
    killed.resolve('killed');
  };
  const gates = await Promise.all([at.fhir, at.dicomweb].map((url) => startGate(new URL(url).origin, pending, reached)));
  const [fhir = '', dicomweb = ''] = [at.fhir, at.dicomweb].map((url, index) => `${gates[index]?.origin}${new URL(url).pathname}`);
  const path = site(fhir, dicomweb);
  try {
    for (let start = 0; ; start += 1) {
      killed = Promise.withResolvers<'killed'>();
      starting = startService('src/main.ts', path, env);
      const { said } = await starting;
      if (start === 0) await signOnce(said, order);
      const finished = pending.size === 0 ? everythingDelivered(there) : new Promise<never>(() => undefined);
      if ((await Promise.race([killed.promise, finished])) !== 'killed') break;
      await afterKill();
    }
    // Time for a second copy to appear, if one were made.
    await wait(1500);
    return { kills, ...(await there()) };
  } finally {
    await (await starting)?.stop();
    await Promise.all(gates.map((gate) => gate.close()));
    await at.close();
  }
}

async function everythingDelivered(there: () => Promise<Delivered>): Promise<'delivered'> {
  for (;;) {
    const { reports, provenance, srs } = await there();
    if (reports > 0 && provenance > 0 && srs > 0) return 'delivered';
    await wait(250);
  }
}

async function rowsOf(location: StoreLocation) {
  const store = await openStore(location);
  try {
    return {
      drafts: await store.query('select state from draft'),
      outbox: await store.query('select target, state from outbox order by target'),
      snapshots: await store.query('select 1 from snapshot'),
    };
  } finally {
    await store.close();
  }
}

const once = {
  drafts: [{ state: 'ready' }],
  outbox: [
    { target: 'fhir', state: 'delivered' },
    { target: 'pacs', state: 'delivered' },
  ],
  snapshots: [],
};

function siteIn(name: string, store: Parameters<typeof writeSite>[1]['store']) {
  return (fhir: string, dicomweb: string) =>
    writeSite(join(folder, name, 'service'), {
      fhir: { base: fhir, auth: { kind: 'none' } },
      dicomweb: { root: dicomweb, auth: { kind: 'none' } },
      patients: { defaultIssuer: patientIssuer, issuers: [{ issuer: patientIssuer, system: patientSystem }] },
      writeOn: 'ready',
      store,
      bundle,
      deadlineMs: 30_000,
    });
}

function expectOnce(result: Awaited<ReturnType<typeof killAtEveryPoint>>): void {
  expect([...result.kills].sort()).toEqual([...points()].map(({ name }) => name).sort());
  expect(result).toMatchObject({ reports: 1, provenance: 1, srs: 1 });
}

describe.concurrent('SIGKILL while pixels are fetched, before the draft is settled, and after each delivery: one draft, one report, one SR', () => {
  test('on the embedded store', { timeout: 240_000 }, async () => {
    const result = await killAtEveryPoint('embedded', siteIn('embedded', { kind: 'embedded' }), {}, async () => undefined);
    expectOnce(result);
    expect(await rowsOf({ kind: 'embedded', folder: join(folder, 'embedded/service/data/store') })).toEqual(once);
  });

  test.skipIf(!available('postgresql'))('on PostgreSQL', { timeout: 240_000 }, async () => {
    const database = await startPostgreSql();
    try {
      const location = { kind: 'postgresql', url: database.url } as const;
      const store = await openStore(location);
      const result = await killAtEveryPoint(
        'postgresql',
        siteIn('postgresql', { kind: 'postgresql', url: { env: databaseEnv } }),
        { [databaseEnv]: database.url },
        // Another process could hold the lease, so it runs for two minutes; here they pass at once.
        () => releaseLeases(store.query),
      );
      await store.close();
      expectOnce(result);
      expect(await rowsOf(location)).toEqual(once);
    } finally {
      database.stop();
    }
  });
});
