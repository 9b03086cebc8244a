/**
 * Resources, their history and their search index in one SQLite file. Everything is synchronous: a request's reads and writes happen in one
 * turn of the event loop inside one SQL transaction, so two parallel conditional creates cannot both find nothing.
 *
 * Versions count from 1; a deletion is a version too (R4 http, delete and history).
 */
import { DatabaseSync } from 'node:sqlite';
import type { Resource } from '@medplum/fhirtypes';
import { entriesFor } from './entries.ts';
import { FhirRefusal } from './refusal.ts';
import { isServed, type ServedType } from './types.ts';

type Method = 'POST' | 'PUT' | 'DELETE';

export interface Version {
  readonly type: ServedType;
  readonly id: string;
  readonly version: number;
  /** Milliseconds since 1970 UTC. */
  readonly updatedMs: number;
  readonly method: Method;
  /** null = this version is a deletion. */
  readonly resource: Resource | null;
}

export interface FhirStore {
  readonly db: DatabaseSync;
  /** Base URL without a trailing slash; references under it are local. */
  readonly base: string;
  /** Newest version, null = never existed. */
  newest(type: ServedType, id: string): Version | null;
  /** One version, null = never existed. */
  version(type: ServedType, id: string, version: number): Version | null;
  /** All versions, newest first. */
  history(type: ServedType, id: string): Version[];
  byKey(key: number): Version | null;
  /** Writes the next version; sets id and meta. The resource has been validated. */
  write(type: ServedType, id: string, resource: Resource, method: 'POST' | 'PUT'): Version;
  remove(type: ServedType, id: string): Version;
  /** Runs `work` atomically; nested calls join the outer transaction. */
  atomic<T>(work: () => T): T;
  close(): void;
}

const schema = `
  CREATE TABLE IF NOT EXISTS resource (
    key INTEGER PRIMARY KEY, type TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, updated INTEGER NOT NULL,
    deleted INTEGER NOT NULL, UNIQUE (type, id)
  );
  CREATE TABLE IF NOT EXISTS version (
    key INTEGER NOT NULL, version INTEGER NOT NULL, updated INTEGER NOT NULL, method TEXT NOT NULL, body TEXT,
    PRIMARY KEY (key, version)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS entry (key INTEGER NOT NULL, parameter TEXT NOT NULL, system TEXT, value TEXT, low INTEGER, high INTEGER);
  CREATE INDEX IF NOT EXISTS entry_value ON entry (parameter, value, key);
  CREATE INDEX IF NOT EXISTS entry_key ON entry (key, parameter);
`;

const newestSql = `SELECT r.type, r.id, v.version, v.updated, v.method, v.body FROM resource r
  JOIN version v ON v.key = r.key AND v.version = r.version`;
const versionSql = 'SELECT r.type, r.id, v.version, v.updated, v.method, v.body FROM resource r JOIN version v ON v.key = r.key';

function versionOf(row: Record<string, unknown> | undefined): Version | null {
  if (row === undefined) return null;
  const { type, id, version, updated, method, body } = row;
  if (typeof type !== 'string' || !isServed(type))
    throw new FhirRefusal(500, 'exception', `the store holds type ${String(type)}, which is not served`);
  return {
    type,
    id: String(id),
    version: Number(version),
    updatedMs: Number(updated),
    method: method as Method, // written by `put` below, which takes a Method
    resource: typeof body === 'string' ? (JSON.parse(body) as Resource) : null, // written by `put` from a Resource
  };
}

/** Opens (or makes) the store in `file`; ':memory:' keeps nothing. `now` gives meta.lastUpdated. */
export function openStore(file: string, base: string, now: () => Date): FhirStore {
  const db = new DatabaseSync(file);
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
  db.exec(schema);
  const statements = {
    newest: db.prepare(`${newestSql} WHERE r.type = ? AND r.id = ?`),
    byKey: db.prepare(`${newestSql} WHERE r.key = ?`),
    version: db.prepare(`${versionSql} WHERE r.type = ? AND r.id = ? AND v.version = ?`),
    history: db.prepare(`${versionSql} WHERE r.type = ? AND r.id = ? ORDER BY v.version DESC`),
    resource: db.prepare(`INSERT INTO resource (type, id, version, updated, deleted) VALUES (?, ?, ?, ?, ?)
      ON CONFLICT (type, id) DO UPDATE SET version = excluded.version, updated = excluded.updated, deleted = excluded.deleted RETURNING key`),
    put: db.prepare('INSERT INTO version (key, version, updated, method, body) VALUES (?, ?, ?, ?, ?)'),
    clear: db.prepare('DELETE FROM entry WHERE key = ?'),
    entry: db.prepare('INSERT INTO entry (key, parameter, system, value, low, high) VALUES (?, ?, ?, ?, ?, ?)'),
  };
  let depth = 0;

  function put(type: ServedType, id: string, resource: Resource | null, method: Method): Version {
    const version = (newest(type, id)?.version ?? 0) + 1;
    const updated = now();
    const stored =
      resource === null
        ? null
        : { ...resource, id, meta: { ...resource.meta, versionId: String(version), lastUpdated: updated.toISOString() } };
    const row = statements.resource.get(type, id, version, updated.getTime(), stored === null ? 1 : 0);
    const key = Number(row?.key);
    statements.put.run(key, version, updated.getTime(), method, stored === null ? null : JSON.stringify(stored));
    if (version > 1) statements.clear.run(key);
    for (const one of stored === null ? [] : entriesFor(type, stored, base)) {
      statements.entry.run(key, one.parameter, one.system, one.value, one.low, one.high);
    }
    return { type, id, version, updatedMs: updated.getTime(), method, resource: stored };
  }

  function newest(type: ServedType, id: string): Version | null {
    return versionOf(statements.newest.get(type, id));
  }

  function atomic<T>(work: () => T): T {
    if (depth > 0) return work();
    db.exec('BEGIN IMMEDIATE');
    depth += 1;
    try {
      const result = work();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      db.exec('ROLLBACK');
      throw error;
    } finally {
      depth -= 1;
    }
  }

  return {
    db,
    base,
    newest,
    version: (type, id, version) => versionOf(statements.version.get(type, id, version)),
    history: (type, id) =>
      statements.history
        .all(type, id)
        .map(versionOf)
        .filter((one) => one !== null),
    byKey: (key) => versionOf(statements.byKey.get(key)),
    write: (type, id, resource, method) => atomic(() => put(type, id, resource, method)),
    remove: (type, id) => atomic(() => put(type, id, null, 'DELETE')),
    atomic,
    close: () => db.close(),
  };
}
