/**
 * Import of a MedVInT-TD checkpoint: the trainer's pytorch_model.bin, and below LLAMA the base's config and tokenizer as the authors' scripts load
 * them. Every check on config, tensors and tokenizer comes before the first write.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Manifest } from '../../bundle-manifest.ts';
import { speltReader } from '../../checkpoint/spelling.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { checkVocabulary, endIdSchema } from '../hf-files.ts';
import { decoderSizes, graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { checkOneImage } from '../one-picture.ts';
import { letterIds, letterNotes, openTrainerFile, published, readLanguageConfig, readLanguageTokenizer } from '../pmc-vqa.ts';
import { pictureSide, queryProcessor } from '../query-encoder.ts';
import { checkMedvintTdTensors, languageRoot, type MedvintTd, medvintTdGraphs, readArchitecture } from './architecture.ts';
import { templateNamed } from './prompt.ts';
import { spelling } from './spelling.ts';
import { tasksOf } from './tasks.ts';

const endSchema = z.looseObject({ eos_token_id: endIdSchema });
/** The end of an answer in training, where the config names none. */
const trainedEnd = 1;
/** max_new_tokens of the authors' tests. */
const testTokens = 50;

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importMedvintTd(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const { metadata, tower } = options;
  const template = templateNamed(metadata.template ?? 'blank');
  const config = await readLanguageConfig(from, languageRoot);
  const source = await openTrainerFile(from);
  try {
    const given = { from, tower, imageSize: metadata.imageSize ?? null, heads: metadata.qformerHeads ?? null };
    const architecture = await readArchitecture(config, source, given);
    checkMedvintTdTensors(architecture, source);
    const files = await readLanguageTokenizer(from, languageRoot);
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    const tasks = tasksOf(letterIds(tokenizer));
    const limits = limitsOf(metadata.limits ?? {}, architecture.decoder.maxPositions);
    const choice = template.name === 'choice' ? tasks.vqa_choice?.answer : undefined;
    const manifest = {
      limits,
      tasks: { ...tasks, ...metadata.tasks },
      generation: { stopIds: [endSchema.parse(config).eos_token_id ?? trainedEnd].flat(), minNewTokens: 0, ...choice },
      prompt: { template, placeholder: { rule: 'splice' as const, text: '<image>', id: -1 } },
      processor: queryProcessor(pictureSide(architecture.encoder)),
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...decoderSizes(architecture.decoder, architecture.encoder.queries.queries), contextTokens: limits.contextTokens },
    };
    await writeGraphs(to, graphFiles.data, medvintTdGraphs(architecture), speltReader(source, spelling), writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return {
      manifest,
      published: published('xmcmic/MedVInT-TD', 'medvint-td-1'),
      notes: [...notesOf(architecture, tokenizer, manifest, files.source), ...letterNotes(tokenizer)],
    };
  } finally {
    await source.close();
  }
}

function limitsOf(given: NonNullable<Metadata['limits']>, context: number): Manifest['limits'] {
  checkOneImage(given.maxImages);
  return {
    maxImages: 1,
    contextTokens: Math.min(given.contextTokens ?? context, context),
    maxNewTokens: given.maxNewTokens ?? testTokens,
  };
}

function notesOf(
  { encoder }: MedvintTd,
  tokenizer: Tokenizer,
  { prompt, generation }: Pick<Manifest, 'prompt' | 'generation'>,
  tokenizerSource: string,
): string[] {
  const side = pictureSide(encoder);
  const [first] = tokenizer.encode('a', prompt.template.specialTokens);
  return [
    `Template ${prompt.template.name}; tokenizer from ${tokenizerSource}; pictures of ${side} x ${side}, ${encoder.queries.heads} heads of the queries.`,
    ...(prompt.template.specialTokens
      ? [`A text begins with id ${first}, as the tokenizer's files say; the template vqa_rad has that of <s>.`]
      : []),
    `Answers end at ${generation.stopIds.join(', ')}.`,
  ];
}
