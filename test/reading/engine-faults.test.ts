/** The engine of a running service fails or is busy: what becomes of the order, and what the hook says meanwhile. */
import { createHash } from 'node:crypto';
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Case } from '#phantom/hospital.ts';
import { available } from '../setup/require.ts';
import { openWard, orderSign, sign, signUntilSettled, type Ward } from './ward.ts';

let ward: Ward;

beforeAll(async () => {
  ward = await openWard();
});
afterAll(() => ward.close());

const patientOf = (wanted: Case) => ward.patients.find((patient) => patient.case === wanted)?.person.id ?? '';

/** Processes that this one started: engines, since everything else of a service is a thread. */
function children(): number[] {
  const tasks = readdirSync('/proc/self/task');
  return tasks.flatMap((task) => readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number));
}

/** Processor time that a process has used, in hundredths of a second (proc(5), utime). */
function ticksOf(pid: number): number {
  const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
  return Number(fields.split(' ')[11]);
}

async function withService(name: string, change: Parameters<Ward['start']>[1], use: (url: string, engine: number) => Promise<void>) {
  const before = new Set(children());
  const service = await ward.start(name, change);
  const engine = children().find((pid) => !before.has(pid)) ?? 0;
  try {
    await use(service.url, engine);
  } finally {
    await service.stop();
  }
}

describe.skipIf(!available('linux'))('the engine of a running service', () => {
  test('while it computes nothing else waits: hooks are answered, and the draft comes when it is done', () =>
    withService('busy', {}, async (url, engine) => {
      expect(getPriority(engine)).toBeGreaterThanOrEqual(10);
      process.kill(engine, 'SIGSTOP');
      expect((await sign(url, orderSign(patientOf('unread-with-prior')))).topics).toEqual(['draft-preparing']);
      expect((await sign(url, orderSign(patientOf('unread-alone')))).topics).toEqual(['draft-preparing']);
      expect((await sign(url, orderSign(patientOf('reported-only')))).topics).toEqual(['report-quoted']);
      expect((await sign(url, orderSign(patientOf('unread-alone')))).topics).toEqual([]);
      process.kill(engine, 'SIGCONT');
      for (const wanted of ['unread-with-prior', 'unread-alone'] as const) {
        expect((await signUntilSettled(url, orderSign(patientOf(wanted), { order: 'after' }))).topics).toEqual(['draft-ready']);
      }
    }));

  test('killed while it has a draft in hand: a new one takes the draft up', () =>
    withService('killed', {}, async (url, engine) => {
      const idle = ticksOf(engine);
      expect((await sign(url, orderSign(patientOf('unread-with-prior')))).topics).toEqual(['draft-preparing']);
      // It computes by now.
      await vi.waitFor(() => expect(ticksOf(engine)).toBeGreaterThan(idle + 4), { timeout: 20_000, interval: 10 });
      process.kill(engine, 'SIGKILL');
      expect((await signUntilSettled(url, orderSign(patientOf('unread-with-prior')))).topics).toEqual(['draft-ready']);
      expect(children()).not.toContain(engine);
    }));

  test('numbers that are none: not-finite on the card, and no draft', async () => {
    const spoilt = join(ward.folder, 'spoilt');
    cpSync(join(ward.folder, 'bundle'), spoilt, { recursive: true });
    const manifest = JSON.parse(readFileSync(join(spoilt, 'bundle.json'), 'utf8'));
    const { data } = manifest.graphs;
    const bytes = Buffer.from(new Float32Array(Math.ceil(statSync(join(spoilt, data)).size / 4)).fill(Number.NaN).buffer);
    writeFileSync(join(spoilt, data), bytes);
    manifest.files[data] = { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    writeFileSync(join(spoilt, 'bundle.json'), JSON.stringify(manifest));
    await withService('spoilt', { bundles: [{ path: spoilt, device: 'cpu', threads: 1 }] }, async (url) => {
      const answer = await signUntilSettled(url, orderSign(patientOf('unread-with-prior')));
      expect(answer.topics).toEqual(['draft-failed']);
      expect(answer.cards[0]?.detail).toContain('(code not-finite)');
    });
  });

  test.each([
    ['an instance', 20_000],
    ['the pixels of an image', 100_000],
  ])('a study of which %s does not fit into limits.pixelBytes is dicom-too-large, and no draft', (what, pixelBytes) =>
    withService(`small-${pixelBytes}`, { limits: { pixelBytes } }, async (url) => {
      const answer = await signUntilSettled(url, orderSign(patientOf('unread-alone')));
      expect(answer.topics).toEqual(['draft-failed']);
      expect(answer.cards[0]?.detail).toContain(what);
      expect(answer.cards[0]?.detail).toContain('(code dicom-too-large)');
    }),
  );
});
