/** The bundles of a site with their engines: who reads which study, with which words. */

import { WetreadError } from '#domain/errors.ts';
import type { IntendedUse } from '#gather/candidates.ts';
import { type Bundle, bundleTokenizer, checkStamp, openBundle } from '#model/bundle.ts';
import { type Wording, wordingSchema } from '#prompt/wording.ts';
import { type Device, startDevice } from '#runtime/device.ts';
import type { Site } from '#site/site.ts';

export const task = 'report';

export interface Reader {
  readonly bundle: Bundle;
  readonly device: Device;
  readonly wording: Wording;
  readonly intendedUse: IntendedUse;
  countTokens(text: string): number;
}

export interface Readers {
  readonly all: readonly Reader[];
  /** @throws bundle-invalid when the bundle was replaced under a draft */
  byDigest(digest: string): Reader;
  close(): Promise<void>;
}

const engineSilenceMs = 600_000;

async function openReader(entry: Site['bundles'][number], environment: Site['environment']): Promise<Reader> {
  const bundle = await openBundle(entry.path);
  checkStamp(bundle, environment);
  const { manifest } = bundle;
  const report = manifest.tasks[task];
  if (report === undefined)
    throw new WetreadError('bundle-invalid', `${manifest.name}: found no task "${task}", which drafts are written with`);
  const tokenizer = await bundleTokenizer(bundle);
  const device = await startDevice({
    device: entry.device,
    bundleDir: entry.path,
    threads: entry.threads ?? null,
    timeoutMs: engineSilenceMs,
  });
  return {
    bundle,
    device,
    wording: wordingSchema.parse({ ...manifest.wording, version: manifest.promptVersion, task: report.text }),
    intendedUse: { bundle: bundle.digest, modalities: manifest.intendedUse.modalities, regions: manifest.intendedUse.regions },
    countTokens: (text) => tokenizer.encode(text, false).length,
  };
}

/** Opens every bundle of the site and starts its engine. @throws bundle-*, device-unavailable */
export async function openReaders(site: Pick<Site, 'bundles' | 'environment'>): Promise<Readers> {
  const all: Reader[] = [];
  const close = async () => {
    await Promise.all(all.map(({ device }) => device.close()));
  };
  try {
    for (const entry of site.bundles) all.push(await openReader(entry, site.environment));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    all,
    close,
    byDigest(digest) {
      const found = all.find(({ bundle }) => bundle.digest === digest);
      if (found === undefined) {
        throw new WetreadError('bundle-invalid', 'the bundle that this draft was asked with is not loaded any more', {
          hint: 'sign the order again',
        });
      }
      return found;
    },
  };
}
