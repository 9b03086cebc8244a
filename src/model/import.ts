/**
 * `wetread models import`: a checkpoint as its authors published it becomes a bundle.
 *
 * Checks come first; everything is written into a folder beside the target that is renamed at the end, so a bundle is whole or absent.
 * The working folder is also the lock: a second import into the same target is refused.
 */
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { type Bundle, digestOf, manifestFile, openBundle } from './bundle.ts';
import { type Manifest, manifestSchema } from './bundle-manifest.ts';
import type { FamilyPart } from './families/import.ts';
import { type Family, families } from './families/registry.ts';
import { readJson } from './json.ts';
import { type Metadata, mergeMetadata, readMetadata } from './metadata.ts';

export interface ImportRequest {
  /** Folder of the checkpoint: config.json and what belongs to it. */
  readonly from: string;
  /** Folder of the bundle; must not exist. */
  readonly to: string;
  /** What the files do not say; wins over wetread.json key by key. */
  readonly metadata?: Metadata;
  /** Folder of the vision tower, where the checkpoint only names it. */
  readonly tower?: string;
  /** Called after each weight. */
  readonly progress?: (done: number, total: number) => void;
}

export interface ImportReport {
  readonly family: string;
  readonly name: string;
  readonly digest: string;
  readonly bytes: number;
  readonly notes: readonly string[];
}

/**
 * @throws architecture-unsupported, checkpoint-unreadable, checkpoint-hostile, checkpoint-tensors, tokenizer-unsupported,
 * import-option-missing, usage (target exists, or another import writes into it)
 */
export async function importCheckpoint(request: ImportRequest): Promise<{ bundle: Bundle; report: ImportReport }> {
  const to = resolve(request.to);
  const family = await detected(request.from);
  const metadata = await readMetadata(resolve(request.from), request.metadata ?? {});
  const work = await claim(to);
  try {
    await checkSpace(request.from, dirname(to));
    const options = { metadata, tower: request.tower ?? null };
    const made = await family.import(request.from, work, options, request.progress ?? (() => undefined));
    const files = await digests(work);
    await writeManifest(work, complete(request.from, family.name, mergeMetadata(made.published ?? {}, metadata), made.manifest, files));
    await rename(work, to);
    const bundle = await openBundle(to, { digests: 'sizes' });
    const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
    return {
      bundle,
      report: {
        family: family.name,
        name: bundle.manifest.name,
        digest: bundle.digest,
        bytes,
        notes: [...made.notes, ...gaps(bundle.manifest)],
      },
    };
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}

/** The family whose config lies where its authors put it. @throws architecture-unsupported, checkpoint-unreadable without any config */
async function detected(from: string): Promise<Family> {
  const read = (file: string) => readJson(join(from, file), z.record(z.string(), z.unknown()), 'checkpoint-unreadable');
  for (const family of families) {
    const file = family.configFile ?? 'config.json';
    if (existsSync(join(from, file)) && family.detect(await read(file))) return family;
  }
  const config = await read('config.json');
  throw new WetreadError(
    'architecture-unsupported',
    `config.json: model_type ${JSON.stringify(config.model_type)} is of no family that is built`,
    { hint: `built: ${families.map((candidate) => candidate.name).join(', ')}` },
  );
}

/** The working folder beside the target; its creation is atomic, so only one import has it. */
async function claim(to: string): Promise<string> {
  if (existsSync(to)) throw new WetreadError('usage', `${to} exists already`, { hint: 'remove it or name another folder' });
  const work = join(dirname(to), `.${basename(to)}.importing`);
  await mkdir(dirname(to), { recursive: true });
  try {
    await mkdir(work);
  } catch (cause) {
    throw new WetreadError('usage', `another import writes into ${basename(to)}, or one was cut off`, {
      cause,
      hint: `if none is running, remove ${work}`,
    });
  }
  return work;
}

/** fp32 graphs of 2-byte weights take about twice the checkpoint's bytes. */
async function checkSpace(from: string, target: string): Promise<void> {
  let bytes = 0;
  for (const entry of await readdir(from, { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && /\.(safetensors|bin)$/.test(entry.name)) bytes += (await stat(join(entry.parentPath, entry.name))).size * 2;
  }
  const disk = await statfs(target);
  const free = disk.bavail * disk.bsize;
  if (free < bytes)
    throw new WetreadError('usage', `the bundle may need ${bytes} bytes, ${free} are free where it shall lie`, {
      hint: 'free some space or name another folder',
    });
}

async function digests(folder: string): Promise<Manifest['files']> {
  const files: Record<string, { sha256: string; bytes: number }> = {};
  for (const name of (await readdir(folder)).sort()) files[name] = await digestOf(join(folder, name));
  return files;
}

function complete(from: string, family: string, metadata: Metadata, part: FamilyPart, files: Manifest['files']): Manifest {
  const name = metadata.name ?? basename(resolve(from));
  return {
    format: 1,
    name,
    version: metadata.version ?? '1',
    family,
    manufacturer: metadata.manufacturer ?? null,
    sources: metadata.sources ?? [basename(resolve(from))],
    license: {
      name: metadata.license?.name ?? 'not stated',
      clinicalUse: metadata.license?.clinicalUse ?? null,
      commercialUse: metadata.license?.commercialUse ?? null,
      terms: metadata.license?.terms ?? null,
    },
    stamped: metadata.stamped ?? null,
    intendedUse: {
      modalities: metadata.intendedUse?.modalities ?? [],
      regions: metadata.intendedUse?.regions ?? [],
      languages: metadata.intendedUse?.languages ?? ['en'],
      statement: metadata.intendedUse?.statement ?? null,
    },
    wording: metadata.wording ?? null,
    promptVersion: metadata.promptVersion ?? 'generic-1',
    attribution: {
      threshold: metadata.attribution?.threshold ?? null,
      citeUncalibrated: metadata.attribution?.citeUncalibrated ?? false,
      budgetMs: metadata.attribution?.budgetMs ?? 120_000,
    },
    numberType: 'fp32',
    ...part,
    files,
  };
}

async function writeManifest(folder: string, manifest: Manifest): Promise<void> {
  // Parsed before it is written: what openBundle would refuse must not be made.
  const text = `${JSON.stringify(manifestSchema.parse(manifest), null, 2)}\n`;
  await writeFile(join(folder, manifestFile), text);
}

/** What the importer was not told, in sentences. */
function gaps(manifest: Manifest): string[] {
  const notes: string[] = [];
  if (manifest.intendedUse.modalities.length === 0)
    notes.push('No modality is declared: nothing is drafted with this bundle until intendedUse.modalities says which.');
  if (manifest.license.name === 'not stated') notes.push('No licence was given.');
  if (manifest.attribution.threshold === null) notes.push('Support is not calibrated.');
  return notes;
}
