/** The encrypted cache of the pictures that the model saw: files, never rows; written, synced, renamed. Retention deletes them. */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import { type SealKey, seal, unseal } from './snapshot.ts';

export interface PictureCache {
  /** Stores an image file (PNG) and gives its digest. The same bytes twice are one file. @throws disk-full */
  put(bytes: Uint8Array): Promise<string>;
  /** The bytes, or null once retention removed them. */
  get(digest: string): Promise<Buffer | null>;
  /** Deletes what is older than `before`; gives the number of files deleted. */
  deleteOlderThan(before: Date): Promise<number>;
}

function systemCode(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

function isAbsent(error: unknown): boolean {
  return systemCode(error) === 'ENOENT';
}

/** Nothing half written stays, and a disk that is full is said so. */
async function writeFault(error: unknown, temporary: string): Promise<unknown> {
  await rm(temporary, { force: true });
  const code = systemCode(error);
  if (code === null || !['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code)) return error;
  return new WetreadError('disk-full', `a picture could not be kept (${code})`, { hint: 'free some space in dataFolder', cause: error });
}

export async function openPictureCache(folder: string, key: SealKey): Promise<PictureCache> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = (digest: string) => join(folder, digest);
  return {
    async put(bytes) {
      const digest = createHash('sha256').update(bytes).digest('hex');
      const temporary = join(folder, `${digest}.${process.pid}.${Math.random().toString(36).slice(2)}`);
      try {
        await writeFile(temporary, seal(key, `picture:${digest}`, bytes), { mode: 0o600, flush: true });
      } catch (error) {
        throw await writeFault(error, temporary);
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
