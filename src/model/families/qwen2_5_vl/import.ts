/**
 * Import of a Qwen2.5-VL checkpoint, one Hugging Face folder: every check on config, tensors, tokenizer and processor comes before the first
 * write. The processor's largest picture decides how many rows one may take: `imageSize` of the importer lowers it.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import { readJson } from '../../json.ts';
import type { Metadata } from '../../metadata.ts';
import type { Writing } from '../../onnx/files.ts';
import { writeGraphs } from '../../onnx/files.ts';
import { type PatchProcessor, readPatchProcessor } from '../../preprocess/smart-resize.ts';
import { readTokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { fileGeneration, generationNotes } from '../generation.ts';
import { checkTokenId, checkVocabulary, endIdSchema, endIds, processorConfig, tokenId } from '../hf-files.ts';
import { graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { type QwenArchitecture, qwenGraphs, qwenSizes, readArchitecture } from './architecture.ts';
import { marks, templateNamed, turnEnd } from './prompt.ts';
import { mostImages, published, tasks } from './tasks.ts';
import { headName, resolvedReader } from './weights.ts';

const topSchema = z.looseObject({
  eos_token_id: endIdSchema,
  text_config: z.looseObject({ eos_token_id: endIdSchema }).nullish(),
});

/** Steps that a config may switch off or change, and that are always done here. */
const fixedStepsSchema = z.looseObject({
  do_resize: z.literal(true).nullish(),
  do_rescale: z.literal(true).nullish(),
  do_normalize: z.literal(true).nullish(),
  resample: z.literal(3).nullish(),
});

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importQwen(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const { metadata } = options;
  const top = await readJson(join(from, 'config.json'), topSchema, 'architecture-unsupported');
  const source = await openCheckpoint(from);
  try {
    const architecture = readArchitecture(top, source.names.includes(headName));
    const read = resolvedReader(architecture, source);
    const files = await readTokenizerFiles(from);
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    const image = checkMarks(architecture, tokenizer);
    const template = templateNamed(metadata.template ?? 'chatml');
    const processor = checkedProcessor(architecture, await processorConfig([from], null), metadata.imageSize);
    const visualTokens = Math.floor(processor.maxPixels / (processor.patch * processor.merge) ** 2);
    const sizes = qwenSizes(architecture, visualTokens);
    const limits = limitsOf(metadata.limits ?? {}, sizes.contextTokens, visualTokens);
    const ends = await endIds(from, top.eos_token_id ?? top.text_config?.eos_token_id, tokenizer, files);
    const settings = await fileGeneration(from);
    const { values, ...patches } = processor;
    const manifest = {
      limits,
      tasks: { ...tasks, ...metadata.tasks },
      generation: {
        stopIds: [...new Set([...ends, tokenId(tokenizer, turnEnd, 'qwen2_5_vl')])],
        minNewTokens: 0,
        text: { strip: true },
        ...(settings === null ? {} : { published: settings }),
      },
      prompt: { template, placeholder: { rule: 'expand', text: marks.image, id: image } },
      processor: { pad: false, resize: null, filter: 'bicubic', crop: null, ...values },
      patches: { ...patches, window: architecture.windowUnits },
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...sizes, contextTokens: limits.contextTokens },
    } satisfies FamilyImport['manifest'];
    const notes = [
      `Template ${template.name}; tokenizer from ${files.source}.`,
      `A picture keeps its size and takes up to ${visualTokens} rows; imageSize sets another limit than that of preprocessor_config.json.`,
      ...generationNotes(settings),
    ];
    await writeGraphs(to, graphFiles.data, qwenGraphs(architecture), read, writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return { manifest, published, notes };
  } finally {
    await source.close();
  }
}

/** The id of the image's mark. @throws tokenizer-unsupported where config and tokenizer call another token by one of the three ids */
function checkMarks({ tokens }: QwenArchitecture, tokenizer: Tokenizer): number {
  for (const key of ['image', 'start', 'end'] as const) checkTokenId(tokenizer, marks[key], tokens[key], 'qwen2_5_vl');
  return tokens.image;
}

/** The processor's steps must give the tower's patches. @param side the importer's: a picture is at most side x side in area */
function checkedProcessor({ vision }: QwenArchitecture, config: unknown, side: number | undefined): PatchProcessor {
  const fixed = fixedStepsSchema.safeParse(config);
  if (!fixed.success) throw new WetreadError('architecture-unsupported', `preprocessor_config.json: ${z.prettifyError(fixed.error)}`);
  const read = readPatchProcessor(config);
  for (const key of ['patch', 'merge', 'temporal'] as const) {
    if (read[key] === vision[key]) continue;
    throw new WetreadError('architecture-unsupported', `${key}: the image processor says ${read[key]}, the vision tower ${vision[key]}`);
  }
  const processor = { ...read, maxPixels: Math.min(read.maxPixels, side === undefined ? read.maxPixels : side ** 2) };
  const least = Math.max(processor.minPixels, (processor.patch * processor.merge) ** 2);
  if (processor.maxPixels >= least) return processor;
  throw new WetreadError(
    'architecture-unsupported',
    `pictures of at most ${processor.maxPixels} pixels are asked for; the image processor makes none of fewer than ${least}`,
  );
}

/** Limits that are not given: as many of the largest pictures as fit, at most those of the authors' kit. */
function limitsOf(given: NonNullable<Metadata['limits']>, context: number, visualTokens: number): Manifest['limits'] {
  const contextTokens = Math.min(given.contextTokens ?? context, context);
  const fitting = Math.floor((contextTokens - 1) / visualTokens);
  return {
    maxImages: given.maxImages ?? Math.max(1, Math.min(mostImages, fitting)),
    contextTokens,
    maxNewTokens: given.maxNewTokens ?? 1024,
  };
}
