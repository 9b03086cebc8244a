/**
 * The embedded store: PGlite in a worker thread behind a private unix socket, so that it and PostgreSQL have one driver and one code path.
 *
 * It does not fsync: for the sandbox and tests. A folder that a killed first start left half-written is moved aside, and said.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { WetreadError } from '#domain/errors.ts';

export interface Embedded {
  /** Folder of the unix socket; `pg` takes it as host. */
  readonly host: string;
  readonly port: 5432;
  /** What was found half-written and moved aside, or null. */
  readonly movedAside: string | null;
  close(): Promise<void>;
}

/** The name that `pg` expects for port 5432. */
const socketName = '.s.PGSQL.5432';

function moveUnusableAside(folder: string): string | null {
  if (!existsSync(folder)) return null;
  if (existsSync(join(folder, 'PG_VERSION')) && existsSync(join(folder, 'global/pg_control'))) return null;
  const aside = `${folder}.unusable-${process.pid}-${Date.now()}`;
  renameSync(folder, aside);
  return aside;
}

/** A unix socket's path has at most about 100 bytes: it lies in the data folder where that is short enough, so that a kill leaves nothing elsewhere. */
function socketFolder(folder: string): { readonly host: string; readonly temporary: boolean } {
  const own = join(folder, 'socket');
  if (Buffer.byteLength(join(own, socketName)) > 100) return { host: mkdtempSync(join(tmpdir(), 'wetread-store-')), temporary: true };
  mkdirSync(own, { recursive: true, mode: 0o700 });
  // The folder's lock is held, so a socket that is still there is a dead process's.
  rmSync(join(own, socketName), { force: true });
  return { host: own, temporary: false };
}

/** Opens or creates the store below `folder`; the caller holds the folder's lock. @throws store-unavailable */
export async function openEmbedded(folder: string): Promise<Embedded> {
  const files = join(folder, 'postgres');
  const movedAside = moveUnusableAside(files);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const { host, temporary } = socketFolder(folder);
  const worker = new Worker(new URL('./embedded-worker.ts', import.meta.url), {
    workerData: { folder: files, socketPath: join(host, socketName) },
  });
  await new Promise<void>((ready, refuse) => {
    worker.once('message', () => ready());
    worker.once('error', (cause) =>
      refuse(
        new WetreadError('store-unavailable', `the embedded store in ${folder} does not open`, {
          hint: 'restore the folder or start with a new one',
          cause,
        }),
      ),
    );
  });
  return {
    host,
    port: 5432,
    movedAside,
    close: async () => {
      await new Promise<void>((closed) => {
        worker.once('exit', () => closed());
        worker.postMessage('close');
      });
      if (temporary) rmSync(host, { recursive: true, force: true });
    },
  };
}
