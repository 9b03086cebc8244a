/** `wetread models import | list | verify` as functions: data out, and the text that a person reads. */
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { codeOf } from '#domain/errors.ts';
import { bundleTokenizer, findBundles, manifestFile, openBundle } from './bundle.ts';
import { familyOf } from './families/registry.ts';
import { type ImportReport, type ImportRequest, importCheckpoint } from './import.ts';
import { readJson } from './json.ts';
import { type Metadata, metadataSchema } from './metadata.ts';
import type { WeightType } from './onnx/stored-weights.ts';

export interface ImportCommand {
  readonly from: string;
  /** Folder that holds the bundles; the new one is called `name`. */
  readonly root: string;
  readonly name: string | null;
  readonly tower: string | null;
  readonly template: string | null;
  /** DICOM modalities that may be drafted with it; empty = as wetread.json says. */
  readonly modalities: readonly string[];
  readonly maxImages: number | null;
  /** A file of the form of wetread.json that wins over the one beside the checkpoint. */
  readonly metadataPath: string | null;
  /** Number type that the weights are stored in. */
  readonly weights: WeightType;
  readonly progress?: ImportRequest['progress'];
}

/** Imports a checkpoint below `root`. @throws as importCheckpoint */
export async function modelsImport(command: ImportCommand): Promise<ImportReport & { readonly dir: string }> {
  const file: Metadata = command.metadataPath === null ? {} : await readJson(command.metadataPath, metadataSchema, 'import-option-missing');
  const metadata: Metadata = {
    ...file,
    ...(command.name === null ? {} : { name: command.name }),
    ...(command.template === null ? {} : { template: command.template }),
    intendedUse: { ...file.intendedUse, ...(command.modalities.length === 0 ? {} : { modalities: [...command.modalities] }) },
    limits: { ...file.limits, ...(command.maxImages === null ? {} : { maxImages: command.maxImages }) },
  };
  const to = join(command.root, command.name ?? basename(resolve(command.from)));
  const { bundle, report } = await importCheckpoint({
    from: command.from,
    to,
    metadata,
    weights: command.weights,
    ...(command.tower === null ? {} : { tower: command.tower }),
    ...(command.progress === undefined ? {} : { progress: command.progress }),
  });
  return { ...report, dir: bundle.dir };
}

export function importText(report: ImportReport & { readonly dir: string }): string {
  const lines = [
    `${report.name}: family ${report.family}, ${report.weights} weights, ${report.bytes} bytes in ${report.dir}`,
    `digest ${report.digest}`,
    ...report.notes,
  ];
  return lines.join('\n');
}

export interface BundleSummary {
  readonly dir: string;
  readonly name: string | null;
  readonly digest: string | null;
  readonly family: string | null;
  readonly weights: WeightType | null;
  readonly modalities: readonly string[];
  readonly maxImages: number | null;
  readonly stamped: 'test' | null;
  readonly license: string | null;
  /** Code and message where the bundle cannot be opened; null = it can. */
  readonly problem: string | null;
}

/** Bundles below `root`; a broken one is listed with its problem. Digests of files are not computed: that is `verify`. */
export async function modelsList(root: string): Promise<BundleSummary[]> {
  const summaries: BundleSummary[] = [];
  for (const dir of await findBundles(root)) {
    try {
      const { manifest, digest } = await openBundle(dir, { digests: 'sizes' });
      const { name, family, stamped } = manifest;
      const { modalities } = manifest.intendedUse;
      summaries.push({
        dir,
        name,
        digest,
        family,
        weights: manifest.numberType,
        modalities,
        maxImages: manifest.limits.maxImages,
        stamped,
        license: manifest.license.name,
        problem: null,
      });
    } catch (error) {
      const problem = `${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}`;
      summaries.push({
        dir,
        name: null,
        digest: null,
        family: null,
        weights: null,
        modalities: [],
        maxImages: null,
        stamped: null,
        license: null,
        problem,
      });
    }
  }
  return summaries;
}

export function listText(summaries: readonly BundleSummary[]): string {
  if (summaries.length === 0) return 'No bundle is here. Make one with: wetread models import CHECKPOINT';
  return summaries
    .map((bundle) => {
      if (bundle.problem !== null) return `${basename(bundle.dir)}  ${bundle.problem}`;
      const reads = bundle.modalities.length === 0 ? 'no modality declared' : bundle.modalities.join(', ');
      const stamp = bundle.stamped === null ? '' : `  stamped ${bundle.stamped}`;
      return `${bundle.name}  ${bundle.family}  ${bundle.weights}  ${reads}  up to ${bundle.maxImages} images  ${bundle.license}  ${bundle.digest?.slice(0, 12)}${stamp}`;
    })
    .join('\n');
}

export interface VerifyReport {
  readonly name: string;
  readonly digest: string;
  readonly files: number;
  readonly bytes: number;
  /** Files in the folder that bundle.json does not name; they are never read. */
  readonly unnamed: readonly string[];
}

/** Every digest, the tokenizer and the family of a bundle. @throws bundle-invalid, bundle-digest, tokenizer-unsupported */
export async function modelsVerify(dir: string): Promise<VerifyReport> {
  const bundle = await openBundle(dir, { digests: 'check' });
  const { manifest, digest } = bundle;
  familyOf(manifest.family);
  await bundleTokenizer(bundle);
  const unnamed = (await readdir(dir)).filter((file) => file !== manifestFile && manifest.files[file] === undefined);
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  return { name: manifest.name, digest, files: Object.keys(manifest.files).length, bytes, unnamed };
}

export function verifyText(report: VerifyReport): string {
  const lines = [
    `${report.name}: ${report.files} files, ${report.bytes} bytes, every digest as bundle.json says`,
    `digest ${report.digest}`,
  ];
  if (report.unnamed.length > 0) lines.push(`not of the bundle, never read: ${report.unnamed.join(', ')}`);
  return lines.join('\n');
}
