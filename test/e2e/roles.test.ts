/** Two processes that answer, three that read, one PostgreSQL: any of them may take any order, and one of each may die. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeRandomBundle } from '#model/random.ts';
import { patientIssuer, patientSystem } from '#phantom/person.ts';
import { registerDraft } from '#work/drafts.ts';
import { openStore, type Store } from '#work/store.ts';
import { type PostgreSql, startPostgreSql } from '../postgresql/postgresql.ts';
import { available } from '../setup/require.ts';
import { deliveredOf, startHospital, type TestHospital } from './hospital.ts';
import type { StartedProcess } from './pacs/process.ts';
import { signOnce, startService, writeSite } from './pacs/service.ts';

const databaseEnv = 'WETREAD_E2E_DATABASE';
const root = resolve(import.meta.dirname, '../..');
const run = promisify(execFile);

describe.skipIf(!available('postgresql'))('two api processes and three workers on one PostgreSQL', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-roles-'));
  const running: StartedProcess[] = [];
  let database: PostgreSql;
  let hospital: TestHospital;
  let site: string;
  let store: Store;
  const env = () => ({ [databaseEnv]: database.url });
  const start = async (role: 'api' | 'worker') => {
    const started = await startService('src/main.ts', site, env(), ['--role', role, '--port', '0']);
    running.push(started);
    return started;
  };
  /** The command line's own answer, parsed. */
  const jobs = async (...args: string[]): Promise<unknown> => {
    const { stdout } = await run(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', 'src/main.ts', 'jobs', ...args, '--site', site, '--json'],
      {
        cwd: root,
        env: { ...process.env, WETREAD_E2E_SNAPSHOT_KEY: '5e'.repeat(32), ...env() },
      },
    );
    return JSON.parse(stdout);
  };

  beforeAll(async () => {
    const bundle = await makeRandomBundle({
      dir: join(folder, 'bundle'),
      seed: 8,
      modalities: ['DX'],
      maxImages: 2,
      citeUncalibrated: true,
    });
    [database, hospital] = await Promise.all([startPostgreSql(), startHospital(folder, ['roles'])]);
    site = writeSite(join(folder, 'service'), {
      fhir: { base: hospital.fhir, auth: { kind: 'none' } },
      dicomweb: { root: hospital.dicomweb, auth: { kind: 'none' } },
      patients: { defaultIssuer: patientIssuer, issuers: [{ issuer: patientIssuer, system: patientSystem }] },
      writeOn: 'ready',
      store: { kind: 'postgresql', url: { env: databaseEnv } },
      bundle: bundle.dir,
      deadlineMs: 30_000,
    });
    store = await openStore({ kind: 'postgresql', url: database.url });
  }, 120_000);
  afterAll(async () => {
    await Promise.all(running.map((process) => process.stop()));
    await store.close();
    await hospital.close();
    database.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  test('every order ends in one report and one SR, though a worker and an api process are killed on the way', {
    timeout: 240_000,
  }, async () => {
    const apis = [await start('api'), await start('api')];
    const workers = [await start('worker'), await start('worker'), await start('worker')];
    for (const [index, order] of hospital.orders.entries()) {
      const cards = await signOnce(apis[index % 2]?.said ?? '', order);
      expect(cards).toMatchObject([{ source: { topic: { code: 'draft-preparing' } } }]);
    }
    await workers[0]?.kill();
    await apis[0]?.kill();
    const wanted = { reports: 1, provenance: 1, srs: 1 };
    for (const order of hospital.orders) {
      for (;;) {
        const there = await deliveredOf(hospital, order);
        if (Object.values(there).every((count) => count > 0)) break;
        await wait(250);
      }
    }
    await wait(1500);
    for (const order of hospital.orders) expect(await deliveredOf(hospital, order)).toEqual(wanted);
    // The api process that is left shows a draft that was asked for at the other.
    const [first] = hospital.orders;
    if (first === undefined) throw new Error('the hospital has no order');
    expect(await signOnce(apis[1]?.said ?? '', first)).toMatchObject([{ source: { topic: { code: 'draft-ready' } } }]);
    expect(await jobs('list')).toEqual([]);
  });

  test('a job that cannot be opened, and one that took its process with it each time, end as visible dead letters', {
    timeout: 120_000,
  }, async () => {
    const dead = { patientId: 'p', studyUid: '1.2.3', snapshot: Buffer.from('sealed with another key, and far too short') };
    await registerDraft(store, { key: 'unopenable', ...dead });
    await registerDraft(store, { key: 'poison', ...dead });
    await store.query(`update draft set starts = 10 where key = 'poison'`);
    await store.query(`update draft set failures = 3 where key = 'unopenable'`);
    await store.query(`update draft set created_at = now() - interval '1 minute' where state = 'queued'`);
    const failed = async () => (await store.query(`select key from draft where state = 'failed'`)).length;
    while ((await failed()) < 2) await wait(250);
    const listed = await jobs('list');
    expect(listed).toHaveLength(2);
    expect(listed).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ key: 'unopenable', of: 'draft', state: 'failed', code: 'store-unavailable', retryable: true }),
        expect.objectContaining({ key: 'poison', of: 'draft', state: 'failed', code: 'job-poisoned', tries: 11, retryable: true }),
      ]),
    );
    expect(await jobs('retry', 'poi')).toEqual({ key: 'poison', of: ['draft'] });
    await expect(jobs('retry', 'nobody')).rejects.toThrow(/usage: found 0 keys/);
  });

  test('each process measures itself; depths and ages are those of the store, and nothing of a patient is in a label', async () => {
    await registerDraft(store, { key: 'waits', patientId: 'p-secret', studyUid: '1.2.840.99', snapshot: Buffer.from('x') });
    await store.query(`update draft set created_at = now() - interval '1 hour', state = 'failed' where key = 'waits'`);
    const texts = await Promise.all(
      running.map(async ({ said }) => {
        const response = await fetch(`${said}/metrics`).catch(() => null);
        return response === null ? null : response.text();
      }),
    );
    const alive = texts.filter((text) => text !== null);
    expect(alive).toHaveLength(3);
    for (const text of alive) {
      expect(text).toMatch(/wetread_info\{version="[^"]+",role="(api|worker)"\} 1/);
      expect(Number(/wetread_waiting_seconds\{of="draft",state="failed"\} (\S+)/.exec(text)?.[1])).toBeGreaterThan(3500);
      expect(text).not.toMatch(/p-secret|1\.2\.840\.99|phantom-/);
    }
    expect(alive.join('')).toMatch(/wetread_hook_seconds_count\{status="200"\} \d/);
    expect(alive.join('')).toMatch(/wetread_draft_seconds_count\{state="ready"\} [1-9]/);
  });

  test('a role on the embedded store is refused', async () => {
    const alone = writeSite(join(folder, 'alone'), {
      fhir: { base: hospital.fhir, auth: { kind: 'none' } },
      dicomweb: { root: hospital.dicomweb, auth: { kind: 'none' } },
      patients: {},
      writeOn: 'ready',
      store: { kind: 'embedded' },
      bundle: join(folder, 'bundle'),
      deadlineMs: 1000,
    });
    await expect(startService('src/main.ts', alone, {}, ['--role', 'worker'])).rejects.toThrow(
      /usage: found --role worker with the embedded store/,
    );
  });
});
