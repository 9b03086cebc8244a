/**
 * The service of one site: its doors, its worker and its outbox, wired together and stopped in the opposite order.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import express from 'express';
import helmet from 'helmet';
import type { Logger } from 'pino';
import { codeOf, WetreadError } from '#domain/errors.ts';
import { authenticator } from '#hooks/authenticate.ts';
import { type Caller, createHooksRouter } from '#hooks/router.ts';
import { launchReach } from '#launch/reach.ts';
import { createReviewRouter } from '#launch/review-router.ts';
import { createLaunchRouter } from '#launch/router.ts';
import { openSessions } from '#launch/sessions.ts';
import { openNeighbour } from '#net/neighbour.ts';
import { answerOrderSign } from '#reading/answer.ts';
import { openReaders } from '#reading/bundles.ts';
import { deliverFhir, deliverSr } from '#reading/deliver.ts';
import { openLanes } from '#reading/lanes.ts';
import { roleReader } from '#reading/roles.ts';
import { workOn } from '#reading/worker.ts';
import type { WriteOptions } from '#report/diagnostic-report.ts';
import type { Site } from '#site/site.ts';
import { audit } from '#work/audit.ts';
import { recordFeedback } from '#work/cards.ts';
import { resolveContext, useJti } from '#work/contexts.ts';
import { queuedKeys } from '#work/drafts.ts';
import { openJobs } from '#work/jobs.ts';
import { deliverDue, type OutboxOptions, releaseLeases } from '#work/outbox.ts';
import { openPictureCache } from '#work/pictures.ts';
import { retain } from '#work/retention.ts';
import { openStore, type Store } from '#work/store.ts';
import type { Listening } from './listen.ts';
import { serviceVersion } from './version.ts';

export interface Service {
  /** Stops in order; the listening socket is closed by whoever opened it, before. */
  close(): Promise<void>;
}

export interface ServeOptions {
  /** Where the service answers: opened before, so that its address is known to the site. */
  readonly listening: Listening;
  readonly log: Logger;
  readonly now: () => Date;
}

const orderSign: { id: string; hook: string } = JSON.parse(readFileSync(join(import.meta.dirname, '../cds-hooks/order-sign.json'), 'utf8'));
const reviewScope = 'launch openid fhirUser patient/Patient.r';

/** Runs `step` every `ms` until stopped; one run at a time, a failure is logged and the next run comes all the same. */
function every(ms: number, what: string, log: Logger, step: () => Promise<unknown>): { stop(): Promise<void> } {
  let stopped = false;
  let running: Promise<unknown> = Promise.resolve();
  let timer: NodeJS.Timeout;
  const run = () => {
    running = step()
      .catch((error: unknown) =>
        log.error({ code: codeOf(error), err: error instanceof WetreadError ? undefined : error }, `${what} failed`),
      )
      .finally(() => {
        if (!stopped) timer = setTimeout(run, ms);
      });
  };
  timer = setTimeout(run, 0);
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

function storeLocation(site: Site): Parameters<typeof openStore>[0] {
  return site.store.kind === 'postgresql'
    ? { kind: 'postgresql', url: site.store.url.reveal() }
    : { kind: 'embedded', folder: join(site.dataFolder, 'store') };
}

/** A day at the hospital is the day of this machine's clock. */
function dayOf(date: Date): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

/** @throws data-locked, store-unavailable, bundle-*, device-unavailable, site-invalid */
export async function serve(site: Site, { listening, log, now }: ServeOptions): Promise<Service> {
  for (const warning of site.warnings) log.warn({ code: warning.code }, warning.message);
  await using stack = new AsyncDisposableStack();
  const store = stack.adopt(await openStore(storeLocation(site)), (opened) => opened.close());
  // The embedded store's folder is locked, so nobody else delivers from it.
  if (store.kind === 'embedded') await releaseLeases(store.query);
  const readers = stack.adopt(await openReaders(site), (opened) => opened.close());
  const lanes = stack.adopt(await openLanes(site), (opened) => opened.close());
  const sealKey = Buffer.from(site.snapshotKey.bytes());
  const pictures = await openPictureCache(join(site.dataFolder, 'pictures'), sealKey);
  const jobs = stack.adopt(
    await openJobs(store, { attempts: 4, limitSeconds: 3600, onError: (error) => log.error({ err: error }, 'queue failed') }),
    (opened) => opened.stop(),
  );
  const write: WriteOptions = { imageRoot: site.dicomweb.publicRoot, organization: null, serviceVersion };
  const outbox: OutboxOptions = {
    deliver: { fhir: deliverFhir(lanes.fhir, write, now), pacs: deliverSr(lanes.pacs, serviceVersion) },
    maxAttempts: 10,
    leaseSeconds: 120,
    onSettled: (row) => {
      if (row.state === 'pending') return;
      log.info({ target: row.target, state: row.state, code: row.code }, 'delivery settled');
    },
  };
  const tools = { pacs: lanes.pacs, fhir: lanes.fhir, pictures, identity: site.patients, now, steady: () => performance.now() };
  const release = site.writeOn === 'ready' ? 'pending' : 'held';
  const targets = site.writer === 'outbox' ? (['fhir', 'pacs'] as const) : (['pacs'] as const);
  for (const key of await queuedKeys(store.query)) await jobs.enqueue(key, 'background');
  await jobs.work((key, last) => workOn(key, last, { ...tools, store, readers, sealKey, release, targets, log }));
  const delivering = every(500, 'delivery', log, () => deliverDue(store, outbox));
  stack.defer(() => delivering.stop());
  const retention = every(600_000, 'retention', log, () => retain(store, pictures, site.retention, now()));
  stack.defer(() => retention.stop());

  const app = express().disable('x-powered-by');
  app.use(helmet({ contentSecurityPolicy: false, crossOriginResourcePolicy: { policy: 'cross-origin' }, frameguard: false }));
  app.get('/healthz', (_request, response) => void response.json({ alive: true }));
  app.get('/readyz', async (_request, response) => {
    const ready = await isReady(store);
    response.status(ready ? 200 : 503).json({ ready });
  });
  app.get(
    '/.well-known/jwks.json',
    (_request, response) => void response.set('Cache-Control', 'max-age=300').json({ keys: lanes.publicKeys }),
  );
  const { keySets, hooksRouter } = hooksDoor(site, { log, now, store, lanes, readers, jobs, sealKey, write });
  stack.adopt(keySets, (neighbour) => neighbour.close());
  app.use(hooksRouter);
  if (site.launch !== undefined) {
    const { launch } = site;
    const reach = stack.adopt(launchReach(launch.issuers), (opened) => opened.close());
    const sessions = openSessions(now);
    app.use(
      createLaunchRouter({
        publicUrl: site.service.publicUrl,
        clientId: launch.clientId,
        scope: reviewScope,
        issuers: launch.issuers.map((issuer) => issuer.replace(/\/$/, '')),
        sessions,
        readJson: reach.readJson,
        fetch: reach.fetch,
        resolveContext: (token) => resolveContext(store.query, token),
        onRefused: ({ draftKey, user }) => audit(store.query, { actor: user ?? 'unknown', action: 'access-refused', draftKey }),
        now,
        log,
      }),
    );
    app.use(createReviewRouter({ sessions, store, pictures, frameAncestors: launch.frameAncestors, log }));
  }
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

interface HooksDoor {
  readonly log: Logger;
  readonly now: () => Date;
  readonly store: Store;
  readonly lanes: Awaited<ReturnType<typeof openLanes>>;
  readonly readers: Awaited<ReturnType<typeof openReaders>>;
  readonly jobs: Awaited<ReturnType<typeof openJobs>>;
  readonly sealKey: Buffer;
  readonly write: WriteOptions;
}

function hooksDoor(site: Site, { log, now, store, lanes, readers, jobs, sealKey, write }: HooksDoor) {
  const keySetUrls = site.hooks.clients.flatMap(({ jwksUrl, jku }) => [...(jwksUrl === undefined ? [] : [jwksUrl]), ...jku]);
  const keySets = openNeighbour({
    name: 'key set of a CDS client',
    origins: keySetUrls,
    maxBytes: 256 * 1024,
    idleMs: 5_000,
    totalMs: 5_000,
  });
  const limitsOf = (caller: Caller) => {
    const client = site.hooks.clients.find(({ issuer }) => issuer === caller.issuer);
    return { deadlineMs: client?.deadlineMs ?? site.hooks.deadlineMs, fhirBases: client?.fhirBases ?? [] };
  };
  const answering = {
    lanes,
    readers,
    store,
    jobs,
    sealKey,
    patients: site.patients,
    statementsFor: site.cards.statementsFor,
    rolesOf: roleReader(lanes.fhir, now),
    writer: site.writer,
    write,
    log,
    launchUrl: site.launch === undefined ? null : `${site.service.publicUrl}/launch`,
    now,
    today: () => dayOf(now()),
  };
  const hooksRouter = createHooksRouter({
    service: orderSign,
    publicUrl: site.service.publicUrl,
    maxBodyBytes: site.limits.hookBodyBytes,
    authenticate: authenticator({
      hooks: site.hooks,
      fetchKeySet: async (target) => (await keySets.fetch(target, { headers: { accept: 'application/json' } })).json(),
      useJti: (issuer, jti, expiresAt) => useJti(store.query, issuer, jti, expiresAt),
      now,
    }),
    answer: (request, caller) => answerOrderSign(request, limitsOf(caller), answering),
    feedback: async ({ feedback }, caller) => {
      for (const entry of feedback) {
        const draftKey = await recordFeedback(store, {
          card: entry.card,
          outcome: entry.outcome,
          at: entry.outcomeTimestamp,
          reason: entry.overrideReason,
        });
        if (draftKey !== null)
          await audit(store.query, { actor: caller.issuer, action: 'feedback', draftKey, detail: { outcome: entry.outcome } });
      }
    },
    log,
  });
  return { keySets, hooksRouter };
}
