/** The prompt of a golden case, as its family encodes it. */
import { join } from 'node:path';
import { filled } from '#domain/task-text.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import type { EncodedPrompt, Part, RawVolume } from '#model/encoded.ts';
import { encodePrompt } from '#model/families/encode.ts';
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
  const manifest = asAsked(loaded.manifest, golden);
  return encodePrompt(manifest, loaded.tokenizer, await partsOf(file.folder, worded(manifest, golden)), golden.mask_count ?? null);
}

/** Segments as parts of a prompt: pictures, and volumes where a file holds tensors. */
async function partsOf(folder: string, golden: ModelCase): Promise<Part[]> {
  const parts: Part[] = [];
  for (const segment of golden.segments) {
    if ('text' in segment) parts.push({ kind: 'text', text: segment.text });
    else if (segment.image.endsWith('.safetensors')) parts.push({ kind: 'volume', volume: await readVolume(join(folder, segment.image)) });
    else parts.push({ kind: 'image', image: await readPicture(join(folder, segment.image)) });
  }
  return parts;
}

/**
 * The bundle as a case has it: a length at which questions are cut; and, as gemma3 has no system role, a system text in front of the user
 * turn. Other families' templates hold theirs.
 */
function asAsked(manifest: Manifest, { system, generation }: ModelCase): Manifest {
  const { prompt } = manifest;
  const maxQuestionTokens = generation?.max_question_tokens ?? prompt.maxQuestionTokens;
  const cut = maxQuestionTokens === undefined ? {} : { maxQuestionTokens };
  if (manifest.family !== 'gemma3' || !system) return { ...manifest, prompt: { ...prompt, ...cut } };
  const template = { ...prompt.template, before: `${prompt.template.before}${system}\n\n` };
  return { ...manifest, prompt: { ...prompt, ...cut, template } };
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
