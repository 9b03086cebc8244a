/**
 * Import of a MedVInT-TE checkpoint: the trainer's pytorch_model.bin, and below LLAMA_Model the base's config and tokenizer as the authors'
 * scripts load them. Every check on config, tensors and tokenizer comes before the first write.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { speltReader } from '../../checkpoint/spelling.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import { openTokenizer } from '../../tokenizer/tokenizer.ts';
import { checkIds, checkVocabulary } from '../hf-files.ts';
import { graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { checkOneImage } from '../one-picture.ts';
import { letterIds, letterNotes, openTrainerFile, published, readLanguageConfig, readLanguageTokenizer } from '../pmc-vqa.ts';
import { pictureSide, queryProcessor } from '../query-encoder.ts';
import { languageRoot, type MedvintTe, medvintTeGraphs, medvintTeSizes, readArchitecture } from './architecture.ts';
import { bosId, maskId, templateNamed } from './prompt.ts';
import { spelling } from './spelling.ts';
import { tasksOf } from './tasks.ts';
import { checkMedvintTeTensors, withoutTwins } from './weights.ts';

/** Longest answer that is tried, where the importer does not say it. */
const mostTokens = 8;

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importMedvintTe(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const { metadata, tower } = options;
  const template = templateNamed(metadata.template ?? 'blank');
  const config = await readLanguageConfig(from, languageRoot);
  const source = withoutTwins(await openTrainerFile(from));
  try {
    const architecture = await readArchitecture(config, source, { from, tower, imageSize: metadata.imageSize ?? null });
    checkMedvintTeTensors(architecture, source);
    const files = await readLanguageTokenizer(from, languageRoot);
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, Math.min(architecture.text.vocabSize, architecture.fusion.vocabSize));
    checkIds(tokenizer, { '<s>': bosId, '</s>': maskId });
    const sizes = medvintTeSizes(architecture);
    const limits = limitsOf(metadata.limits ?? {}, sizes.contextTokens);
    const tasks = tasksOf(letterIds(tokenizer));
    const manifest = {
      limits,
      tasks: { ...tasks, ...metadata.tasks },
      generation: { stopIds: [], minNewTokens: 0, ...answerForm(template.name, tasks, limits.maxNewTokens) },
      prompt: { template, placeholder: { rule: 'splice' as const, text: '<image>', id: -1 } },
      processor: queryProcessor(pictureSide(architecture.encoder)),
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes,
    };
    await writeGraphs(to, graphFiles.data, medvintTeGraphs(architecture), speltReader(source, spelling), writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return {
      manifest,
      published: published('xmcmic/MedVInT-TE', 'medvint-te-1'),
      notes: [...notesOf(architecture, files.source), ...letterNotes(tokenizer)],
    };
  } finally {
    await source.close();
  }
}

/** Without a task: of the template `choice` that of a choice, else every length up to the limit. */
function answerForm(template: string, tasks: Manifest['tasks'], most: number): NonNullable<Manifest['tasks'][string]['answer']> {
  const choice = template === 'choice' ? tasks.vqa_choice?.answer : undefined;
  return choice ?? { answerLengths: Array.from({ length: most }, (_, i) => i + 1) };
}

/** The context is what texts are padded to: a smaller one would give other numbers. */
function limitsOf(given: NonNullable<Metadata['limits']>, contextTokens: number): Manifest['limits'] {
  checkOneImage(given.maxImages);
  if (given.contextTokens !== undefined && given.contextTokens !== contextTokens) {
    throw new WetreadError(
      'architecture-unsupported',
      `limits.contextTokens is ${given.contextTokens}; every prompt of this model is padded to ${contextTokens} rows`,
    );
  }
  return { maxImages: 1, contextTokens, maxNewTokens: given.maxNewTokens ?? mostTokens };
}

function notesOf({ encoder, places }: MedvintTe, tokenizerSource: string): string[] {
  const side = pictureSide(encoder);
  return [
    `Tokenizer from ${tokenizerSource}; pictures of ${side} x ${side}; texts padded to ${places} tokens.`,
    'The model fills in as many words as it is given places for: the length of an open answer is a guess, and each answer says so.',
    'The published weights were trained on choices (task vqa_choice); open questions of PMC-VQA left the first word of the answer visible in training.',
  ];
}
