/** The encrypted cache of the pictures that the model saw: files, never rows; written, synced, renamed. Retention deletes them. */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type SealKey, seal, unseal } from './snapshot.ts';

export interface PictureCache {
  /** Stores an image file (PNG) and gives its digest. The same bytes twice are one file. */
  put(bytes: Uint8Array): Promise<string>;
  /** The bytes, or null once retention removed them. */
  get(digest: string): Promise<Buffer | null>;
  /** Deletes what is older than `before`; gives the number of files deleted. */
  deleteOlderThan(before: Date): Promise<number>;
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

export async function openPictureCache(folder: string, key: SealKey): Promise<PictureCache> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = (digest: string) => join(folder, digest);
  return {
    async put(bytes) {
      const digest = createHash('sha256').update(bytes).digest('hex');
      const temporary = join(folder, `${digest}.${process.pid}.${Math.random().toString(36).slice(2)}`);
      const file = await open(temporary, 'w', 0o600);
      try {
        await file.writeFile(seal(key, `picture:${digest}`, bytes));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path(digest));
      return digest;
    },
    async get(digest) {
      if (!/^[0-9a-f]{64}$/.test(digest)) return null;
      try {
        return unseal(key, `picture:${digest}`, await readFile(path(digest)));
      } catch (error) {
        if (isAbsent(error)) return null;
        throw error;
      }
    },
    async deleteOlderThan(before) {
      let deleted = 0;
      for (const name of await readdir(folder)) {
        const found = await stat(path(name)).catch((error: unknown) => {
          if (isAbsent(error)) return null;
          throw error;
        });
        if (found === null || found.mtime >= before) continue;
        await rm(path(name), { force: true });
        deleted += 1;
      }
      return deleted;
    },
  };
}
