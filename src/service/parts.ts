/** What the doors and the worker of a service share: store, neighbours, bundles, queue, pictures. */
import { join } from 'node:path';
import type { Logger } from 'pino';
import { openSiteBundles, type SiteBundles } from '#reading/bundles.ts';
import { type Lanes, openLanes } from '#reading/lanes.ts';
import type { WriteOptions } from '#report/diagnostic-report.ts';
import type { Site } from '#site/site.ts';
import { serviceVersion } from '#src/version.ts';
import { type Jobs, openJobs } from '#work/jobs.ts';
import { openPictureCache, type PictureCache } from '#work/pictures.ts';
import type { SealKey } from '#work/snapshot.ts';
import { openStore, type Store, storeLocation } from '#work/store.ts';
import { type Metrics, openMetrics } from './metrics.ts';

export type Role = 'all' | 'api' | 'worker';

export interface Parts {
  readonly site: Site;
  readonly log: Logger;
  readonly now: () => Date;
  readonly store: Store;
  readonly lanes: Lanes;
  readonly bundles: SiteBundles;
  readonly jobs: Jobs;
  readonly pictures: PictureCache;
  readonly sealKey: SealKey;
  readonly write: WriteOptions;
  readonly metrics: Metrics;
}

/** Longest time of one job, seconds; after it the queue gives it to another worker. */
const jobLimitSeconds = 3600;
/** The queue's own count; the draft's row says when an attempt is the last. */
const queueAttempts = 4;

/** Opened in order; `stack` closes them in the opposite one. @throws data-locked, store-unavailable, bundle-*, site-invalid */
export async function openParts(
  { site, role, log, now }: { site: Site; role: Role; log: Logger; now: () => Date },
  stack: AsyncDisposableStack,
): Promise<Parts> {
  const store = stack.adopt(await openStore(storeLocation(site)), (opened) => opened.close());
  const bundles = await openSiteBundles(site);
  const lanes = stack.adopt(await openLanes(site), (opened) => opened.close());
  const sealKey = Buffer.from(site.snapshotKey.bytes());
  const pictures = await openPictureCache(join(site.dataFolder, 'pictures'), sealKey);
  const onError = (error: Error) => log.error({ err: error }, 'queue failed');
  const jobs = stack.adopt(
    await openJobs(store, { attempts: queueAttempts, limitSeconds: jobLimitSeconds, supervises: role !== 'api', onError }),
    (opened) => opened.stop(),
  );
  const write: WriteOptions = { imageRoot: site.dicomweb.publicRoot, organization: null, serviceVersion };
  return { site, log, now, store, lanes, bundles, jobs, pictures, sealKey, write, metrics: openMetrics(role, store) };
}
