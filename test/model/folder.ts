/** A folder of its own for each test file, removed at the end; and the committed golden checkpoints, copied so that they may be spoilt. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll } from 'vitest';

export const golden = resolve(import.meta.dirname, '../golden');

export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'wetread-model-'));
  afterAll(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of a committed checkpoint below `folder`. */
export async function copyCheckpoint(variant: string, folder: string, name: string): Promise<string> {
  const to = join(folder, name, 'checkpoint');
  await cp(join(golden, 'llava', variant, 'checkpoint'), to, { recursive: true });
  return to;
}
