/**
 * A bundle: one folder with graphs, one data file, tokenizer and bundle.json, which names every file with its digest.
 *
 * The bundle's own digest covers bundle.json too, so that a changed prompt or limit is another bundle and another draft key.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { type Manifest, manifestSchema } from './bundle-manifest.ts';
import { readJson } from './json.ts';
import { openTokenizer, type Tokenizer } from './tokenizer/tokenizer.ts';

export const manifestFile = 'bundle.json';

export interface Bundle {
  readonly dir: string;
  /** sha256 (hex) over the sorted names and digests of all files, bundle.json included. */
  readonly digest: string;
  readonly manifest: Manifest;
}

/** sha256 (hex) and length of a file, read as a stream. */
export async function digestOf(path: string): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256');
  let bytes = 0;
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      hash.update(chunk);
      bytes += chunk.byteLength;
    }
  });
  return { sha256: hash.digest('hex'), bytes };
}

/**
 * Opens a bundle. `digests: 'sizes'` compares lengths only: for a process whose parent has just checked the digests.
 * @throws bundle-invalid (missing file, unknown key, wrong form), bundle-digest (a file that is not what bundle.json says)
 */
export async function openBundle(dir: string, options: { digests: 'check' | 'sizes' } = { digests: 'check' }): Promise<Bundle> {
  const bytes = await readManifest(dir);
  const manifest = parseManifest(dir, bytes);
  const pictures = manifest.exemplars?.items.map(({ image }) => image) ?? [];
  const needed = [manifest.tokenizer.json, manifest.tokenizer.config, ...Object.values(manifest.graphs), ...pictures];
  for (const file of needed) {
    if (manifest.files[file] === undefined) throw invalid(dir, `${file} is needed and not among its files`);
  }
  for (const [file, expected] of Object.entries(manifest.files)) {
    const found = await sizeOf(join(dir, file));
    if (found === null) throw invalid(dir, `${file} is missing`);
    if (found !== expected.bytes) throw wrongDigest(dir, file, `${found} bytes`, `${expected.bytes}`);
    if (options.digests !== 'check') continue;
    const { sha256 } = await digestOf(join(dir, file));
    if (sha256 !== expected.sha256) throw wrongDigest(dir, file, `sha256 ${sha256}`, expected.sha256);
  }
  const lines = [...Object.entries(manifest.files).map(([file, { sha256 }]) => `${file} ${sha256}`)];
  lines.push(`${manifestFile} ${createHash('sha256').update(bytes).digest('hex')}`);
  return { dir, manifest, digest: createHash('sha256').update(lines.sort().join('\n')).digest('hex') };
}

async function readManifest(dir: string): Promise<Buffer> {
  try {
    return await readFile(join(dir, manifestFile));
  } catch (cause) {
    throw new WetreadError('bundle-invalid', `${basename(dir)}: no readable ${manifestFile}: this folder is no bundle`, {
      cause,
      hint: 'make one with: wetread models import CHECKPOINT',
    });
  }
}

function parseManifest(dir: string, bytes: Buffer): Manifest {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new WetreadError('bundle-invalid', `${basename(dir)}: ${manifestFile} is no JSON`, { cause });
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) throw invalid(dir, `${manifestFile}: ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

function invalid(dir: string, what: string): WetreadError {
  return new WetreadError('bundle-invalid', `${basename(dir)}: ${what}`, { hint: 'import the checkpoint again' });
}

function wrongDigest(dir: string, file: string, found: string, expected: string): WetreadError {
  return new WetreadError('bundle-digest', `${basename(dir)}: ${file} has ${found}, bundle.json says ${expected}`, {
    hint: 'the file was changed or damaged after the import: import the checkpoint again',
  });
}

async function sizeOf(path: string): Promise<number | null> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** The tokenizer of a bundle. @throws tokenizer-unsupported */
export async function bundleTokenizer(bundle: Bundle): Promise<Tokenizer> {
  const { json, config } = bundle.manifest.tokenizer;
  const any = z.record(z.string(), z.unknown());
  return openTokenizer(
    await readJson(join(bundle.dir, json), any, 'tokenizer-unsupported'),
    await readJson(join(bundle.dir, config), any, 'tokenizer-unsupported'),
  );
}

/** Folders below `root` that hold a bundle.json, by name. */
export async function findBundles(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const dirs: string[] = [];
  for (const entry of entries) {
    if (entry.isDirectory() && (await sizeOf(join(root, entry.name, manifestFile))) !== null) dirs.push(join(root, entry.name));
  }
  return dirs.sort();
}

/** Stamped bundles draft only in a test or sandbox. @throws bundle-stamped-test */
export function checkStamp(bundle: Bundle, environment: 'production' | 'test' | 'sandbox'): void {
  if (bundle.manifest.stamped === null || environment !== 'production') return;
  throw new WetreadError(
    'bundle-stamped-test',
    `the bundle ${bundle.manifest.name} is stamped ${bundle.manifest.stamped}: its weights are not a model's`,
    {
      hint: 'use a bundle of real weights, or environment: test',
    },
  );
}
