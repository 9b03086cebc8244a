/** The worker of a service: it makes drafts, delivers them, hands lost jobs to the queue again, and deletes what is old. */
import { performance } from 'node:perf_hooks';
import { startReaders } from '#reading/bundles.ts';
import { deliverFhir, deliverSr } from '#reading/deliver.ts';
import { openMemory } from '#reading/memory.ts';
import { type WorkerOptions, workOn } from '#reading/worker.ts';
import { serviceVersion } from '#src/version.ts';
import { audit } from '#work/audit.ts';
import { queuedKeys } from '#work/drafts.ts';
import { deliverDue, type OutboxOptions } from '#work/outbox.ts';
import { retain } from '#work/retention.ts';
import { every } from './every.ts';
import type { Parts } from './parts.ts';

/** Jobs that one worker has in hand: one asks its engine while the others wait for pixels. */
const jobsAtOnce = 4;
const deliverMs = 500;
const retainMs = 600_000;
/** A draft that is queued for longer than this, in seconds, is handed to the queue again. */
const lostAfterSeconds = 10;

/** Starts engines, jobs and timers; `stack` stops them. @throws device-unavailable, bundle-* */
export async function startWorker(parts: Parts, stack: AsyncDisposableStack): Promise<void> {
  const { site, log, now, store, lanes, jobs, pictures, metrics } = parts;
  const readers = stack.adopt(await startReaders(parts.bundles), (started) => started.close());
  const options: WorkerOptions = {
    pacs: lanes.pacs,
    fhir: lanes.fhir,
    pictures,
    memory: openMemory(site.limits.pixelBytes, jobsAtOnce),
    identity: site.patients,
    now,
    steady: () => performance.now(),
    store,
    readers,
    sealKey: parts.sealKey,
    release: site.writeOn === 'ready' ? 'pending' : 'held',
    targets: site.writer === 'outbox' ? ['fhir', 'pacs'] : ['pacs'],
    log,
    onSettled: ({ state, ms }) => metrics.drafts.observe({ state }, ms / 1000),
  };
  const outbox: OutboxOptions = {
    deliver: { fhir: deliverFhir(lanes.fhir, parts.write, now), pacs: deliverSr(lanes.pacs, serviceVersion) },
    maxAttempts: 10,
    leaseSeconds: 30,
    onFault: (err) => log.error({ code: 'internal', err }, 'delivery attempt failed'),
    onSettled: async ({ draftKey, target, state, code, result }) => {
      if (state === 'pending') return;
      log.info({ target, state, code }, 'delivery settled');
      // Paths alone, such as a label of artificial intelligence that the server dropped.
      const differences = Array.isArray(result?.differences) ? result.differences : [];
      if (differences.length > 0) log.warn({ target, differences }, 'the server changed what was written');
      const action = state === 'dead' ? 'delivery-dead' : 'delivered';
      await audit(store.query, { actor: 'wetread', action, draftKey, detail: { target, ...(code === null ? {} : { code }) } });
    },
  };
  const requeue = async (seconds: number) => {
    for (const key of await queuedKeys(store.query, seconds)) await jobs.enqueue(key, 'background');
  };
  await requeue(0);
  await jobs.work((key) => workOn(key, options), jobsAtOnce);
  const timers = [
    every(deliverMs, 'delivery', log, () => deliverDue(store, outbox)),
    every(lostAfterSeconds * 1000, 'looking for lost jobs', log, () => requeue(lostAfterSeconds)),
    every(retainMs, 'retention', log, () => retain(store, pictures, site.retention, now())),
  ];
  for (const timer of timers) stack.defer(() => timer.stop());
}
