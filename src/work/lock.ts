/**
 * One process per data folder.
 *
 * The lock is an exclusive transaction on a small SQLite file, so the operating system gives it back however the process ends;
 * a pid file would have to guess. PGlite itself takes no lock, and a second process would destroy its folder.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { WetreadError } from '#domain/errors.ts';

export interface Lock {
  release(): void;
}

/** @throws data-locked when another process holds the folder. */
export function lockFolder(folder: string): Lock {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const database = new DatabaseSync(join(folder, 'lock'));
  try {
    database.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    throw new WetreadError('data-locked', `another wetread process uses the data folder ${folder}`, {
      hint: 'stop that process, or give this one another folder with --data',
      cause,
    });
  }
  return { release: () => database.close() };
}
