/** A bundle is stopped from the command line while its service runs: running jobs, cards, deliveries, the page's draft. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import type { Case } from '#phantom/hospital.ts';
import { patientIssuer, patientSystem } from '#phantom/person.ts';
import { openSiteBundles, startReaders } from '#reading/bundles.ts';
import { whileAllowed } from '#reading/while-allowed.ts';
import { noSwitches } from '#sandbox/dicomweb/switches.ts';
import { startBundle, stopBundle } from '#work/bundle-stops.ts';
import { openStore, type Store } from '#work/store.ts';
import { type PostgreSql, startPostgreSql } from '../postgresql/postgresql.ts';
import { available } from '../setup/require.ts';
import { openWard, orderSign, sign, signUntilSettled, type Ward } from './ward.ts';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');

describe.skipIf(!available('postgresql'))('a stopped bundle', () => {
  let database: PostgreSql;
  let ward: Ward;
  let store: Store;
  let service: Awaited<ReturnType<Ward['start']>>;

  beforeAll(async () => {
    [database, ward] = await Promise.all([startPostgreSql(), openWard()]);
    writeFileSync(join(ward.folder, 'url'), database.url);
    writeFileSync(join(ward.folder, 'key'), '5e'.repeat(32));
    service = await ward.start('service', {
      store: { kind: 'postgresql', url: { file: 'url' } },
    });
    store = await openStore({ kind: 'postgresql', url: database.url });
    writeFileSync(
      join(ward.folder, 'site.json'),
      JSON.stringify({
        environment: 'test',
        service: { publicUrl: service.url, port: 0 },
        dataFolder: 'service',
        fhir: { base: ward.sandbox.fhir, auth: { kind: 'none' } },
        dicomweb: { root: ward.sandbox.dicomweb, auth: { kind: 'none' } },
        patients: { defaultIssuer: patientIssuer, issuers: [{ issuer: patientIssuer, system: patientSystem }] },
        hooks: { requireJwt: false, allowAnonymousLoopback: true },
        store: { kind: 'postgresql', url: { file: 'url' } },
        snapshotKey: { file: 'key' },
        bundles: [{ path: 'bundle' }],
      }),
    );
  });
  afterAll(async () => {
    await service.stop();
    await store.close();
    await ward.close();
    database.stop();
  });

  const patientOf = (wanted: Case) => ward.patients.find((patient) => patient.case === wanted)?.person.id ?? '';
  const bundles = async (...args: string[]): Promise<unknown> => {
    const command = ['--disable-warning=ExperimentalWarning', 'src/main.ts', 'bundles', ...args];
    const { stdout } = await run(process.execPath, [...command, '--site', join(ward.folder, 'site.json'), '--json'], { cwd: root });
    return JSON.parse(stdout);
  };
  const nameOf = async () => ((await bundles('list')) as { name: string; stopped: boolean }[])[0]?.name ?? '';

  test('a running job ends with bundle-stopped, cards say so instead of a draft, and everything comes back with the bundle', async () => {
    const [written, asked] = [patientOf('unread-with-prior'), patientOf('unread-alone')];
    expect((await signUntilSettled(service.url, orderSign(written))).topics).toEqual(['draft-ready']);
    const name = await nameOf();
    // The next job hangs at its pixels, so that it is running when the switch is thrown.
    Object.assign(ward.sandbox.pacs.switches, noSwitches(), { at: 'retrieve', stallAfter: 0 });
    expect((await sign(service.url, orderSign(asked))).topics).toEqual(['draft-preparing']);
    expect(await bundles('stop', name, '--reason', 'sides are mixed up')).toMatchObject({ bundle: name, stopped: true, written: 1 });
    await vi.waitFor(
      async () => {
        const rows = await store.query('select code from draft where state = $1', ['failed']);
        expect(rows).toEqual([{ code: 'bundle-stopped' }]);
      },
      { timeout: 12_000, interval: 100 },
    );
    Object.assign(ward.sandbox.pacs.switches, noSwitches());
    for (const [patient, summary] of [
      [written, 'The draft report is withdrawn'],
      [asked, 'No draft report is made'],
    ] as const) {
      const answer = await sign(service.url, orderSign(patient, { order: 'after' }));
      expect(answer.topics).toEqual(['model-stopped']);
      expect(answer.cards[0]?.summary).toContain(summary);
      expect(answer.cards[0]?.detail).toContain('sides are mixed up');
      expect(answer.cards[0]?.suggestions).toBeUndefined();
    }
    expect(await bundles('list')).toMatchObject([{ name, inSite: true, stopped: true, reason: 'sides are mixed up' }]);
    expect(await bundles('drafts', name)).toMatchObject([{ report: 'held', reference: null, sr: 'held' }]);
    await bundles('start', name);
    expect((await sign(service.url, orderSign(written, { order: 'again' }))).topics).toEqual(['draft-ready']);
  });

  test('a name that no bundle has is refused with the names that there are', async () => {
    const name = await nameOf();
    await expect(bundles('stop', 'nobody')).rejects.toMatchObject({ stderr: expect.stringContaining(name) });
  });

  test('a job that waits for the engine ends at once, its engine with it, and the next job of the bundle does not start it again', async () => {
    const opened = await openSiteBundles({
      environment: 'test',
      bundles: [{ path: join(ward.folder, 'bundle'), device: 'cpu', threads: 1 }],
    });
    const readers = await startReaders(opened);
    const reader = readers.byDigest(opened.all[0]?.bundle.digest ?? '');
    const pid = (await reader.device.processId()) ?? 0;
    const parts: PromptPart[] = [
      { kind: 'image', image: { width: 8, height: 8, channels: 1, pixels: new Uint8Array(64) } },
      { kind: 'text', text: 'Findings?' },
    ];
    let begun = 0;
    let asked = 0;
    const job = () =>
      whileAllowed(reader, store.query, (allowed) => {
        begun += 1;
        return allowed.exclusive(() => {
          asked += 1;
          return allowed.device.ask({ parts, maxNewTokens: null });
        });
      });
    process.kill(pid, 'SIGSTOP');
    const both = Promise.allSettled([job(), job()]);
    await vi.waitFor(() => expect(begun).toBe(2));
    const bundle = reader.bundle.digest;
    await stopBundle(store, { bundle, reason: null, actor: 'local:test' });
    for (const ended of await both) expect(ended).toMatchObject({ status: 'rejected', reason: { code: 'bundle-stopped' } });
    await vi.waitFor(() => expect(() => process.kill(pid, 0)).toThrow(), { timeout: 5000, interval: 50 });
    await reader.exclusive(async () => null);
    expect([asked, await reader.device.processId()]).toEqual([1, null]);
    await startBundle(store, { bundle, actor: 'local:test' });
    expect((await job()).answer.text).not.toBe('');
    await readers.close();
  });
});
