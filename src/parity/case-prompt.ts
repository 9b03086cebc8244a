/** The prompt of a golden case, as its family encodes it. */
import { join } from 'node:path';
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import { filled } from '#domain/task-text.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import type { EncodedPrompt, RawVolume, VolumePart } from '#model/encoded.ts';
import { familyOf } from '#model/families/registry.ts';
import { readPicture } from '#model/picture-file.ts';
import type { Tokenizer } from '#model/tokenizer/tokenizer.ts';
import type { CaseFile, ModelCase } from './case.ts';

/** A case and what its file says. */
export interface GoldenCase {
  readonly file: CaseFile;
  readonly golden: ModelCase;
}

/** What a prompt is encoded with. */
export interface Vocabulary {
  readonly manifest: Manifest;
  readonly tokenizer: Tokenizer;
}

/** The prompt of a case. */
export async function encodedOf(loaded: Vocabulary, { file, golden }: GoldenCase): Promise<EncodedPrompt> {
  const manifest = withSystem(loaded.manifest, golden);
  return encodedCase({ ...loaded, manifest }, await partsOf(file.folder, worded(manifest, golden)), golden.mask_count ?? null);
}

/** Segments as parts of a prompt: pictures, and volumes where a file holds tensors. */
async function partsOf(folder: string, golden: ModelCase): Promise<(PromptPart | VolumePart)[]> {
  const parts: (PromptPart | VolumePart)[] = [];
  for (const segment of golden.segments) {
    if ('text' in segment) parts.push({ kind: 'text', text: segment.text });
    else if (segment.image.endsWith('.safetensors')) parts.push({ kind: 'volume', volume: await readVolume(join(folder, segment.image)) });
    else parts.push({ kind: 'image', image: await readPicture(join(folder, segment.image)) });
  }
  return parts;
}

/** gemma3 has no system role: a case's system text stands in front of its user turn. Other families' templates hold theirs. */
function withSystem(manifest: Manifest, { system }: ModelCase): Manifest {
  if (manifest.family !== 'gemma3' || !system) return manifest;
  const { template } = manifest.prompt;
  return { ...manifest, prompt: { ...manifest.prompt, template: { ...template, before: `${template.before}${system}\n\n` } } };
}

/** The options of a choice stand after the question as the family's own task of choice says. */
function worded({ tasks }: Manifest, golden: ModelCase): ModelCase {
  const { choices } = golden;
  const task = tasks.vqa_choice;
  if (!choices || task === undefined) return golden;
  const segments = golden.segments.map((segment) =>
    'text' in segment ? { text: filled(task.text, segment.text, choices, task.between) } : segment,
  );
  return { ...golden, segments };
}

/** @param masks tokens of the answer, where it is read in one pass */
function encodedCase(
  { manifest, tokenizer }: Vocabulary,
  parts: readonly (PromptPart | VolumePart)[],
  masks: number | null,
): EncodedPrompt {
  const family = familyOf(manifest.family);
  const flat = parts.filter((part) => part.kind !== 'volume');
  if (masks !== null && family.encodeMasked !== undefined) return family.encodeMasked(manifest, tokenizer, flat, masks);
  if (flat.length === parts.length) return family.encode(manifest, tokenizer, flat);
  if (family.encodeVolumes === undefined)
    throw new WetreadError('pixel-unsupported', `the case has a volume, ${family.name} reads pictures`);
  return family.encodeVolumes(manifest, tokenizer, parts);
}

/** Tensor `volume` [depth, height, width] of a file. */
async function readVolume(path: string): Promise<RawVolume> {
  const source = await openSafetensors(path);
  try {
    const [depth = 0, height = 0, width = 0] = source.info('volume').shape;
    return { depth, height, width, values: await source.readF32('volume') };
  } finally {
    await source.close();
  }
}
