/**
 * The store: PostgreSQL by URL, or the embedded one below a folder; same driver, same tables.
 *
 * No network call is made inside a transaction: the embedded store has one backend, and everything else would wait.
 */
import { join } from 'node:path';
import pg from 'pg';
import { WetreadError } from '#domain/errors.ts';
import type { Site } from '#site/site.ts';
import { openEmbedded } from './embedded.ts';
import { lockFolder } from './lock.ts';
import { migrations } from './migrations.ts';
import { storeFault } from './store-fault.ts';

export type StoreLocation = { readonly kind: 'postgresql'; readonly url: string } | { readonly kind: 'embedded'; readonly folder: string };

/** Where a site keeps its drafts. */
export function storeLocation({ store, dataFolder }: Pick<Site, 'store' | 'dataFolder'>): StoreLocation {
  return store.kind === 'postgresql'
    ? { kind: 'postgresql', url: store.url.reveal() }
    : { kind: 'embedded', folder: join(dataFolder, 'store') };
}

/** Runs one statement; rows are trusted because only our own migrations shape them. @throws store-unavailable, disk-full */
export type Query = <Row extends object>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

export interface Store {
  readonly kind: StoreLocation['kind'];
  readonly query: Query;
  /** All statements of `work` or none. @throws store-unavailable, disk-full */
  transaction<Result>(work: (query: Query) => Promise<Result>): Promise<Result>;
  /** For pg-boss, which shares our connections. */
  executeSql(text: string, values?: unknown[]): Promise<{ rows: object[] }>;
  readonly warnings: readonly string[];
  close(): Promise<void>;
}

function queryOf(client: { query: pg.Pool['query'] }): Query {
  return async <Row extends object>(sql: string, values: readonly unknown[] = []) => {
    try {
      const result = await client.query<Row>(sql, [...values]);
      return result.rows;
    } catch (error) {
      throw storeFault(error);
    }
  };
}

async function transaction<Result>(pool: pg.Pool, work: (query: Query) => Promise<Result>): Promise<Result> {
  const client = await pool.connect().catch((error: unknown) => {
    throw storeFault(error);
  });
  const query = queryOf(client);
  let broken = false;
  try {
    await query('begin');
    const result = await work(query);
    await query('commit');
    return result;
  } catch (error) {
    // On a connection that is gone there is nothing to roll back; it must not be used again.
    await query('rollback').catch(() => {
      broken = true;
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

async function migrate(pool: pg.Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await client.query('begin');
    // Two processes that start together migrate one after the other.
    await client.query('select pg_advisory_xact_lock(815231)');
    await client.query('create table if not exists migration (id integer primary key, applied_at timestamptz not null default now())');
    const done = new Set((await client.query<{ id: number }>('select id from migration')).rows.map((row) => row.id));
    for (const step of migrations) {
      if (done.has(step.id)) continue;
      await client.query(step.sql);
      await client.query('insert into migration (id) values ($1)', [step.id]);
    }
    await client.query('commit');
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

/** @throws data-locked, store-unavailable */
export async function openStore(location: StoreLocation): Promise<Store> {
  const warnings: string[] = [];
  const closers: (() => Promise<void> | void)[] = [];
  let connection: pg.PoolConfig;
  let pooling: pg.PoolConfig = { max: 8 };
  if (location.kind === 'embedded') {
    const lock = lockFolder(location.folder);
    closers.unshift(() => lock.release());
    const embedded = await openEmbedded(location.folder);
    closers.unshift(() => embedded.close());
    if (embedded.movedAside !== null) warnings.push(`a half-written store was moved aside to ${embedded.movedAside}`);
    connection = { host: embedded.host, port: embedded.port, user: 'postgres', database: 'postgres' };
    // One session holds all unnamed statements of PGlite: two connections would run each other's. It is kept for life.
    pooling = { max: 1, idleTimeoutMillis: 0 };
  } else {
    // A server that went silent is noticed: by the system's probes on an idle connection, by us in a statement.
    connection = { connectionString: location.url, keepAlive: true, query_timeout: 60_000 };
  }
  const pool = new pg.Pool({ ...connection, ...pooling, connectionTimeoutMillis: 20_000, idle_in_transaction_session_timeout: 30_000 });
  // An idle connection that breaks is replaced by the pool; the next statement reports what is wrong.
  pool.on('error', (error) => warnings.push(`store connection lost: ${error.message}`));
  closers.unshift(() => pool.end());
  const close = async () => {
    for (const closer of closers) await closer();
  };
  try {
    await migrate(pool);
  } catch (cause) {
    await close();
    throw new WetreadError('store-unavailable', `the ${location.kind} store does not answer or cannot be migrated`, {
      hint:
        location.kind === 'postgresql'
          ? 'check store.postgresUrl, and that the user may create tables'
          : 'restore the data folder or start with a new one',
      cause,
    });
  }
  const query = queryOf(pool);
  return {
    kind: location.kind,
    query,
    executeSql: async (text, values) => {
      try {
        return await pool.query(text, values);
      } catch (error) {
        throw storeFault(error);
      }
    },
    warnings,
    close,
    transaction: (work) => transaction(pool, work),
  };
}
