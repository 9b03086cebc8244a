/**
 * The working folder of an import, `.NAME.importing` beside the bundle that it will be: one import has it at a time, and what a stopped one
 * left is gone on with when sources and options are the same, else thrown away.
 *
 * The lock is an exclusive transaction on a small SQLite file: the operating system gives it back however the process ends, where a pid file
 * would have to guess. The bundle lies below the folder until it is renamed, so a bundle is whole or absent.
 */
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { WetreadError } from '#domain/errors.ts';

export interface Claim {
  /** The folder that becomes the bundle. */
  readonly dir: string;
  /** Path for the journal of what has been written. */
  readonly journal: string;
  /** Makes the bundle of `dir`. @throws usage when somebody made the target meanwhile */
  finish(): Promise<void>;
  /** Removes the working folder and gives the lock back; after `finish`, or instead of it. */
  release(): Promise<void>;
}

/** A folder that is removed between two steps of ours is claimed anew. */
const ATTEMPTS = 20;

function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
}

function refuseExisting(to: string): void {
  if (existsSync(to)) throw new WetreadError('usage', `${to} exists already`, { hint: 'remove it or name another folder' });
}

async function fileId(path: string): Promise<string | null> {
  try {
    const { dev, ino } = await stat(path, { bigint: true });
    return `${dev} ${ino}`;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
}

/**
 * The lock on a file that is made if need be; null when the file was removed while it was being locked.
 * @throws data-locked when another import has it
 */
async function lockOf(path: string, name: string): Promise<DatabaseSync | null> {
  try {
    await (await open(path, 'a')).close();
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw error;
  }
  const before = await fileId(path);
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
  } catch (cause) {
    database.close();
    throw new WetreadError('data-locked', `another import writes into ${name}`, { cause, hint: 'wait for it, or name another folder' });
  }
  // A lock on a file that its last owner has removed keeps nobody out.
  if (before !== null && before === (await fileId(path))) return database;
  database.close();
  return null;
}

/** Removes a working folder; a newcomer who already has it keeps it. */
async function clear(work: string): Promise<void> {
  const names = await readdir(work).catch(() => []);
  for (const name of names.filter((entry) => entry !== 'lock')) await rm(join(work, name), { recursive: true, force: true });
  await rm(join(work, 'lock'), { force: true });
  await rmdir(work).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error;
  });
}

/** Keeps what an import of the same identity left in the folder, and nothing else. */
async function takeOver(work: string, identity: string): Promise<void> {
  const path = join(work, 'identity');
  const before = await readFile(path, 'utf8').catch(() => null);
  if (before !== identity) {
    for (const name of await readdir(work)) if (name !== 'lock') await rm(join(work, name), { recursive: true, force: true });
    await writeFile(path, identity);
  }
  await mkdir(join(work, 'bundle'), { recursive: true });
}

/**
 * @param to folder of the bundle
 * @param identity of sources and options
 * @throws usage when `to` exists or its parent cannot be written; data-locked when another import has it
 */
export async function claim(to: string, identity: string): Promise<Claim> {
  const work = join(dirname(to), `.${basename(to)}.importing`);
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    refuseExisting(to);
    try {
      await mkdir(work, { recursive: true });
    } catch (cause) {
      throw new WetreadError('usage', `${dirname(to)} cannot be written to`, { cause, hint: 'name another folder' });
    }
    const lock = await lockOf(join(work, 'lock'), basename(to));
    if (lock === null) continue;
    const release = async () => {
      await clear(work);
      lock.close();
    };
    try {
      refuseExisting(to);
      await takeOver(work, identity);
    } catch (error) {
      await release();
      throw error;
    }
    const dir = join(work, 'bundle');
    const finish = async () => {
      refuseExisting(to);
      await rename(dir, to);
    };
    return { dir, journal: join(work, 'journal'), finish, release };
  }
  throw new WetreadError('data-locked', `other imports write into ${basename(to)}`, { hint: 'wait for them, or name another folder' });
}
