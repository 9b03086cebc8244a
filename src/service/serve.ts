/**
 * The service of one site, or one role of it: doors, worker, health and metrics, stopped in the opposite order of their start.
 *
 * `all` is both roles in one process. Several processes of one role each need a PostgreSQL that they share, and one data folder for the
 * pictures.
 */
import express, { type Request } from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { WetreadError } from '#domain/errors.ts';
import { isLoopback } from '#hooks/authenticate.ts';
import { sameSecret } from '#launch/sessions.ts';
import type { Site } from '#site/site.ts';
import type { Listening } from '#src/listen.ts';
import { releaseLeases } from '#work/outbox.ts';
import type { Store } from '#work/store.ts';
import { reportDecoders } from './decoders.ts';
import { openDoors } from './doors.ts';
import { openParts, type Role } from './parts.ts';
import { startWorker } from './worker.ts';

export interface Service {
  /** Stops in order; the listening socket is closed by whoever opened it, before. */
  close(): Promise<void>;
}

export interface ServeOptions {
  readonly role: Role;
  /** Where the service answers: opened before, so that its address is known to the site. */
  readonly listening: Listening;
  readonly log: Logger;
  readonly now: () => Date;
}

/** @throws usage, data-locked, store-unavailable, bundle-*, device-unavailable, site-invalid */
export async function serve(site: Site, { role, listening, log, now }: ServeOptions): Promise<Service> {
  if (role !== 'all' && site.store.kind === 'embedded') {
    throw new WetreadError('usage', `found --role ${role} with the embedded store, which one process has for itself`, {
      hint: 'use a PostgreSQL (store.kind), or --role all',
    });
  }
  for (const warning of site.warnings) log.warn({ code: warning.code }, warning.message);
  await using stack = new AsyncDisposableStack();
  const parts = await openParts({ site, role, log, now }, stack);
  // The embedded store's folder is locked, so nobody else delivers from it.
  if (parts.store.kind === 'embedded') await releaseLeases(parts.store.query);
  if (role !== 'api') await Promise.all([startWorker(parts, stack), reportDecoders(log)]);
  const app = express().disable('x-powered-by');
  app.use(helmet({ contentSecurityPolicy: false, crossOriginResourcePolicy: { policy: 'cross-origin' }, frameguard: false }));
  app.get('/healthz', (_request, response) => void response.json({ alive: true }));
  app.get('/readyz', async (_request, response) => {
    const ready = await isReady(parts.store);
    response.status(ready ? 200 : 503).json({ ready });
  });
  app.get('/metrics', async (request, response) => {
    if (mayMeasure(request, site)) response.type(parts.metrics.contentType).send(await parts.metrics.text());
    else response.status(403).json({ code: 'client-forbidden' });
  });
  if (role !== 'worker') openDoors(app, parts, stack);
  listening.serve(app);
  const opened = stack.move();
  return { close: () => opened.disposeAsync() };
}

async function isReady(store: Store): Promise<boolean> {
  try {
    await store.query('select 1');
    return true;
  } catch {
    // Not ready is the answer; why is in the log of whatever failed for it.
    return false;
  }
}

/** With the site's token from anywhere, without one from this machine: counts and times name nobody, but they are not for everyone. */
function mayMeasure(request: Request, site: Site): boolean {
  const { metricsToken } = site.service;
  if (metricsToken === null) return isLoopback(request.socket.remoteAddress);
  return sameSecret(request.get('authorization') ?? '', `Bearer ${metricsToken.reveal()}`);
}
