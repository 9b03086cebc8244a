/**
 * Bundles of files and folders loaded into the FHIR server, each file once: its digest is kept beside the resources.
 *
 * A file that cannot be loaded is reported and left out whole; the others are loaded all the same.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Loaded } from './load.ts';
import { FhirRefusal } from './refusal.ts';
import type { FhirServer } from './server.ts';

export interface LoadedFile {
  readonly path: string;
  /** null = it was loaded by an earlier start, or `refused` says why not. */
  readonly loaded: Loaded | null;
  readonly refused: string | null;
}

async function jsonFiles(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path];
  const names = await readdir(path, { recursive: true });
  return names
    .filter((name) => name.endsWith('.json'))
    .map((name) => join(path, name))
    .sort();
}

function load(server: FhirServer, path: string, text: string): LoadedFile {
  const { store } = server.services;
  const digest = createHash('sha256').update(text).digest('hex');
  const known = store.db.prepare('SELECT 1 AS one FROM loaded WHERE digest = ?').get(digest) !== undefined;
  if (known) return { path, loaded: null, refused: null };
  try {
    return store.atomic(() => {
      const loaded = server.loadBundle(JSON.parse(text));
      store.db.prepare('INSERT INTO loaded (digest) VALUES (?)').run(digest);
      return { path, loaded, refused: null };
    });
  } catch (error) {
    if (error instanceof FhirRefusal || error instanceof SyntaxError) return { path, loaded: null, refused: error.message };
    throw error;
  }
}

/** `paths` are files, or folders whose .json files are all taken. */
export async function loadFiles(server: FhirServer, paths: readonly string[]): Promise<LoadedFile[]> {
  server.services.store.db.exec('CREATE TABLE IF NOT EXISTS loaded (digest TEXT PRIMARY KEY)');
  const files = (await Promise.all(paths.map(jsonFiles))).flat();
  const results: LoadedFile[] = [];
  for (const path of files) results.push(load(server, path, await readFile(path, 'utf8')));
  return results;
}
