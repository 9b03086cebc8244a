import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openBundle } from '#model/bundle.ts';
import { temporaryFolder } from './folder.ts';
import { type Large, writeLargeCheckpoint } from './large-checkpoint.ts';

const script = join(import.meta.dirname, 'importing.ts');
const MIB = 2 ** 20;
/** What an import may take beyond its largest tensor: Node itself, the readers' pieces, and what is not yet collected. */
const ALLOWANCE = 256 * MIB;

const folder = await temporaryFolder();
/** Some 100 MB. */
let medium: Large;
/** Digest of a bundle of it that was imported without interruption. */
let wholeDigest: string;

const messageSchema = z.object({
  share: z.number().optional(),
  report: z.object({ digest: z.string(), notes: z.array(z.string()) }).optional(),
  peakBytes: z.number().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
});
type Message = z.infer<typeof messageSchema>;

interface Importing {
  readonly child: ChildProcess;
  /** The last message, once the process is gone. */
  readonly ended: Promise<Message>;
  /** Resolves when so much of the bundle is written. */
  reached(share: number): Promise<void>;
}

function start(to: string, from = medium.from): Importing {
  const child = fork(script, [from, to]);
  let last: Message = {};
  const waiting: { share: number; done: () => void }[] = [];
  child.on('message', (message) => {
    last = messageSchema.parse(message);
    for (const { share, done } of waiting) if ((last.share ?? 0) >= share) done();
  });
  return {
    child,
    ended: once(child, 'close').then(() => last),
    reached: (share) => new Promise((done) => waiting.push({ share, done })),
  };
}

/** What lies beside the target under its name. */
async function left(to: string): Promise<string[]> {
  return (await readdir(dirname(to))).filter((name) => name.includes(basename(to)));
}

async function killedAt(to: string, share: number, signal: 'SIGKILL' | 'SIGINT'): Promise<void> {
  const running = start(to);
  await running.reached(share);
  running.child.kill(signal);
  expect((await running.ended).report).toBeUndefined();
  expect(await left(to)).toEqual([`.${basename(to)}.importing`]);
}

beforeAll(async () => {
  medium = await writeLargeCheckpoint(folder, 'medium', { layers: 12, intermediate: 8192, vocabulary: 50_000 });
  wholeDigest = (await start(join(folder, 'whole')).ended).report?.digest ?? '';
}, 60_000);

test('memory is bounded by the largest tensor, not by the checkpoint', async () => {
  const large = await writeLargeCheckpoint(folder, 'large', { layers: 60, intermediate: 8192, vocabulary: 200_000 });
  expect(large.largestTensorBytes + ALLOWANCE).toBeLessThan(0.8 * large.bytes);
  const { peakBytes } = await start(join(folder, 'bounded'), large.from).ended;
  expect(peakBytes).toBeLessThan(large.largestTensorBytes + ALLOWANCE);
  await rm(join(folder, 'bounded'), { recursive: true });
});

describe('an import that was killed', () => {
  test('leaves its working folder alone, and the next goes on with what it had written', async () => {
    const to = join(folder, 'killed');
    await killedAt(to, 0.8, 'SIGKILL');
    const { report } = await start(to).ended;
    expect(report?.notes.join(' ')).toMatch(/[1-9]\d* of \d+ weights were there from an import that was stopped\./);
    expect(report?.digest).toBe(wholeDigest);
    expect(await left(to)).toEqual(['killed']);
    await expect(openBundle(to)).resolves.toMatchObject({ digest: wholeDigest });
  });

  test('by a signal of the terminal, after which the checkpoint was changed: the next starts over', async () => {
    const to = join(folder, 'interrupted');
    await killedAt(to, 0.8, 'SIGINT');
    const { mtime } = await stat(medium.shard);
    await utimes(medium.shard, mtime, new Date(mtime.getTime() + 5000));
    const { report } = await start(to).ended;
    await utimes(medium.shard, mtime, mtime);
    expect(report?.notes.join(' ')).not.toContain('stopped');
    expect(report?.digest).toBe(wholeDigest);
    expect(await left(to)).toEqual(['interrupted']);
  });

  test('while it lives another is refused; when it is dead its folder is taken over', async () => {
    const to = join(folder, 'two');
    const first = start(to);
    await first.reached(0.1);
    expect(await start(to).ended).toMatchObject({ code: 'data-locked', message: 'another import writes into two' });
    first.child.kill('SIGKILL');
    await first.ended;
    expect((await start(to).ended).report?.digest).toBe(wholeDigest);
  });
});

test('a file that may not grow ends the import as disk-full, and nothing is left', async () => {
  const to = join(folder, 'full');
  // Blocks of 512 or 1024 bytes: at most 64 MiB.
  const child = spawn('sh', ['-c', 'ulimit -f 65536 && exec "$@"', 'sh', process.execPath, script, medium.from, to], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  let last: Message = {};
  child.on('message', (message) => {
    last = messageSchema.parse(message);
  });
  await once(child, 'close');
  expect(last).toMatchObject({ code: 'disk-full', message: expect.stringContaining('EFBIG') });
  expect(await left(to)).toEqual([]);
});

test('a target that somebody makes while the import runs is not touched', async () => {
  const to = join(folder, 'taken');
  const running = start(to);
  await running.reached(0.1);
  await writeFile(join(folder, 'mine'), 'mine');
  await rename(join(folder, 'mine'), to);
  expect(await running.ended).toMatchObject({ code: 'usage', message: expect.stringContaining('exists already') });
  expect(await left(to)).toEqual(['taken']);
});
