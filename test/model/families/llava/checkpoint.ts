/** The checkpoint behind the sandbox's random bundle, for tests that take every family by the same name. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeRandomCheckpoint } from '#model/random.ts';

/** Random weights that draft, in a new folder `to`. */
export async function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  await mkdir(to, { recursive: true });
  await writeRandomCheckpoint(to, seed);
  await writeFile(join(to, 'wetread.json'), JSON.stringify({ template: 'llava_hf' }));
}
