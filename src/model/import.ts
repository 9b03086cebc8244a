/**
 * `wetread models import`: a checkpoint as its authors published it becomes a bundle.
 *
 * Checks come first; everything is written into a working folder beside the target (claim.ts) that is renamed at the end, so a bundle is
 * whole or absent. An import that was killed leaves that folder, and the next one goes on with it.
 */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { type Bundle, digestOf, manifestFile, openBundle } from './bundle.ts';
import { type Manifest, manifestSchema } from './bundle-manifest.ts';
import { claim } from './claim.ts';
import type { FamilyPart } from './families/import.ts';
import { type Family, families } from './families/registry.ts';
import { readJson } from './json.ts';
import { type Metadata, mergeMetadata, readMetadata } from './metadata.ts';
import type { Written } from './onnx/files.ts';
import type { WeightType } from './onnx/stored-weights.ts';
import { sourcesDigest } from './sources.ts';

export interface ImportRequest {
  /** Folder of the checkpoint: config.json and what belongs to it. */
  readonly from: string;
  /** Folder of the bundle; must not exist. */
  readonly to: string;
  /** What the files do not say; wins over wetread.json key by key. */
  readonly metadata?: Metadata;
  /** Folder of the vision tower, where the checkpoint only names it. */
  readonly tower?: string;
  /** Number type that the weights are stored in; absent = fp32. */
  readonly weights?: WeightType;
  /** Called after each weight, and while a large one is written. */
  readonly progress?: (written: Written) => void;
}

export interface ImportReport {
  readonly family: string;
  readonly name: string;
  readonly digest: string;
  readonly weights: WeightType;
  readonly bytes: number;
  readonly notes: readonly string[];
}

/**
 * @throws architecture-unsupported, checkpoint-unreadable, checkpoint-hostile, checkpoint-tensors, tokenizer-unsupported,
 * import-option-missing, usage (target exists), data-locked (another import writes into it), disk-full
 */
export async function importCheckpoint(request: ImportRequest): Promise<{ bundle: Bundle; report: ImportReport }> {
  const { from, tower, weights = 'fp32', progress = () => undefined } = request;
  const to = resolve(request.to);
  const family = await detected(from);
  const metadata = await readMetadata(resolve(from), request.metadata ?? {});
  const parts = [metadata.base, metadata.tower, tower === undefined ? undefined : resolve(tower)].filter((part) => part !== undefined);
  const identity = await sourcesDigest(from, parts, { metadata, tower, weights });
  const work = await claim(to, identity);
  try {
    const notes: string[] = [];
    const writing = { weights, progress, note: (text: string) => notes.push(text), journal: { path: work.journal, identity } };
    const made = await family.import(from, work.dir, { metadata, tower: tower ?? null }, writing);
    const files = await digests(work.dir);
    const all = mergeMetadata(made.published ?? {}, metadata);
    await writeManifest(work.dir, complete({ from, family: family.name, metadata: all, part: made.manifest, weights, files }));
    await work.finish();
    const bundle = await openBundle(to, { digests: 'sizes' });
    const { name } = bundle.manifest;
    const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
    const said = [...made.notes, ...notes, ...gaps(bundle.manifest)];
    return { bundle, report: { family: family.name, name, digest: bundle.digest, weights, bytes, notes: said } };
  } catch (error) {
    throw withoutRoom(error) ?? error;
  } finally {
    await work.release();
  }
}

/** What the system says when a disk, a quota or a limit on files is full, in our words. */
function withoutRoom(error: unknown): WetreadError | null {
  if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) return null;
  if (!['ENOSPC', 'EDQUOT', 'EFBIG'].includes(error.code)) return null;
  return new WetreadError('disk-full', `the bundle could not be written: ${error.code}; what was written is removed`, {
    cause: error,
    hint: 'free some space, name another folder, or take --weights fp16 or int8; then import again',
  });
}

/** The family whose config lies where its authors put it. @throws architecture-unsupported, checkpoint-unreadable without any config */
async function detected(from: string): Promise<Family> {
  const read = (file: string) => readJson(join(from, file), z.record(z.string(), z.unknown()), 'checkpoint-unreadable');
  for (const family of families) {
    if (family.detectFolder?.(from) === true) return family;
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

async function digests(folder: string): Promise<Manifest['files']> {
  const files: Record<string, { sha256: string; bytes: number }> = {};
  for (const name of (await readdir(folder)).sort()) files[name] = await digestOf(join(folder, name));
  return files;
}

interface Made {
  readonly from: string;
  readonly family: string;
  readonly metadata: Metadata;
  readonly part: FamilyPart;
  readonly weights: WeightType;
  readonly files: Manifest['files'];
}

function complete({ from, family, metadata, part, weights, files }: Made): Manifest {
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
    ...(metadata.questions === undefined ? {} : { questions: metadata.questions }),
    promptVersion: metadata.promptVersion ?? 'generic-1',
    attribution: {
      threshold: metadata.attribution?.threshold ?? null,
      citeUncalibrated: metadata.attribution?.citeUncalibrated ?? false,
      budgetMs: metadata.attribution?.budgetMs ?? 120_000,
    },
    numberType: weights,
    ...part,
    sizes: weights === 'int8' ? { ...part.sizes, needs: [...part.sizes.needs, 'rows8'] } : part.sizes,
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
