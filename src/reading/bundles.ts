/**
 * The bundles of a site: what each may read and in which words, for the hook; and with its engine, for the worker.
 *
 * An engine is for one job at a time: `exclusive` is taken for the question and all that is scored of its answer, while other jobs may
 * wait for pixels.
 */

import { WetreadError } from '#domain/errors.ts';
import type { IntendedUse } from '#gather/candidates.ts';
import { type Bundle, bundleTokenizer, checkStamp, openBundle } from '#model/bundle.ts';
import { type Device, startDevice } from '#runtime/device.ts';
import type { Site } from '#site/site.ts';
import { type DraftTask, draftTaskOf } from './task.ts';

export interface SiteBundle {
  readonly entry: Site['bundles'][number];
  readonly bundle: Bundle;
  readonly task: DraftTask;
  readonly intendedUse: IntendedUse;
}

export interface SiteBundles {
  readonly all: readonly SiteBundle[];
  /** @throws bundle-invalid when the bundle was replaced under a draft */
  byDigest(digest: string): SiteBundle;
}

export interface Reader extends SiteBundle {
  readonly device: Device;
  countTokens(text: string): number;
  /** Runs one job's use of the engine; others wait for its end, in their order. */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result>;
}

export interface Readers {
  /** @throws bundle-invalid when the bundle was replaced under a draft */
  byDigest(digest: string): Reader;
  close(): Promise<void>;
}

const engineSilenceMs = 600_000;

async function openSiteBundle(entry: Site['bundles'][number], environment: Site['environment']): Promise<SiteBundle> {
  const bundle = await openBundle(entry.path);
  checkStamp(bundle, environment);
  const { manifest } = bundle;
  return {
    entry,
    bundle,
    task: draftTaskOf(manifest),
    intendedUse: { bundle: bundle.digest, modalities: manifest.intendedUse.modalities, regions: manifest.intendedUse.regions },
  };
}

function found<Entry extends SiteBundle>(all: readonly Entry[], digest: string): Entry {
  const entry = all.find(({ bundle }) => bundle.digest === digest);
  if (entry !== undefined) return entry;
  throw new WetreadError('bundle-invalid', 'the bundle that this draft was asked with is not loaded any more', {
    hint: 'sign the order again',
  });
}

/** Opens every bundle of the site, without an engine. @throws bundle-* */
export async function openSiteBundles(site: Pick<Site, 'bundles' | 'environment'>): Promise<SiteBundles> {
  const all: SiteBundle[] = [];
  for (const entry of site.bundles) all.push(await openSiteBundle(entry, site.environment));
  return { all, byDigest: (digest) => found(all, digest) };
}

/** One after the other, in the order of the calls; a failure is its own caller's. */
function inTurn(): Reader['exclusive'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const mine = last.then(work);
    last = mine.catch(() => null);
    return mine;
  };
}

async function startReader(of: SiteBundle): Promise<Reader> {
  const tokenizer = await bundleTokenizer(of.bundle);
  const { path, device: wanted, threads } = of.entry;
  const device = await startDevice({ device: wanted, bundleDir: path, threads: threads ?? null, timeoutMs: engineSilenceMs });
  if (device.info.bundle.digest !== of.bundle.digest) {
    await device.close();
    throw new WetreadError('bundle-digest', `${of.bundle.manifest.name} was replaced while its engine started`, { hint: 'start again' });
  }
  return {
    ...of,
    device,
    countTokens: (text) => tokenizer.encode(text, false).length,
    exclusive: inTurn(),
  };
}

/** Starts an engine for each bundle. @throws device-unavailable, bundle-* */
export async function startReaders(bundles: SiteBundles): Promise<Readers> {
  const all: Reader[] = [];
  const close = async () => {
    await Promise.all(all.map(({ device }) => device.close()));
  };
  try {
    for (const bundle of bundles.all) all.push(await startReader(bundle));
  } catch (error) {
    await close();
    throw error;
  }
  return { close, byDigest: (digest) => found(all, digest) };
}
