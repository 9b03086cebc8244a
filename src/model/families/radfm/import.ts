/**
 * Import of a RadFM checkpoint: pytorch_model.bin and the folder Language_files, which the authors keep in their code repository.
 * Every check on config, tensors and tokenizer comes before the first write.
 */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { readJson } from '../../json.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import type { Processor } from '../../preprocess/processor.ts';
import { readTokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer } from '../../tokenizer/tokenizer.ts';
import { checkIds, checkVocabulary } from '../hf-files.ts';
import { graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { imageMarks, languageFolder, type RadfmArchitecture, radfmGraphs, radfmSizes, readArchitecture } from './architecture.ts';
import { deepest } from './preprocess.ts';
import { bosId, eosId, template } from './prompt.ts';
import { published, tasks } from './tasks.ts';
import { framePatch } from './volume-encoder.ts';
import { checkRadfmTensors, reader } from './weights.ts';

const configSchema = z.looseObject({ eos_token_id: z.union([z.int(), z.array(z.int())]).nullish() });

/** Images of a case and new tokens in the authors' test script. */
const testImages = 8;
const testTokens = 200;

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importRadfm(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const config = await readJson(join(from, languageFolder, 'config.json'), configSchema, 'architecture-unsupported');
  const source = await openWeights(from);
  try {
    const architecture = readArchitecture(config, source);
    checkRadfmTensors(architecture, source);
    const files = await readTokenizerFiles(join(from, languageFolder));
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    checkIds(tokenizer, { '<s>': bosId, '</s>': eosId });
    checkTemplate(options.metadata.template);
    const limits = limitsOf(options.metadata.limits ?? {}, architecture);
    const manifest = {
      limits,
      tasks: { ...tasks, ...options.metadata.tasks },
      // The demo's config calls BOS the end, the training data end in 2.
      generation: {
        stopIds: [...new Set([config.eos_token_id ?? [], eosId].flat())].filter((id) => id >= 0),
        minNewTokens: 0,
        text: { strip: true },
      },
      prompt: { template, placeholder: { rule: 'indexed' as const, text: '<image>', id: architecture.decoder.vocabSize } },
      processor: processorOf(options.metadata.imageSize ?? null, architecture),
      depth: { step: framePatch, most: Math.min(deepest, framePatch * architecture.encoder.tables.dep[0]) },
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...radfmSizes(architecture), contextTokens: limits.contextTokens },
    };
    await writeGraphs(to, graphFiles.data, radfmGraphs(architecture), reader(source), writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return { manifest, published, notes: notesOf(manifest, files.source) };
  } finally {
    await source.close();
  }
}

/** @throws checkpoint-unreadable; with what to do where the authors' zip was not unpacked */
async function openWeights(from: string): Promise<TensorSource> {
  const zipped = (await readdir(from)).filter((name) => /\.z(ip|\d+)$/.test(name)).sort();
  if (!existsSync(join(from, 'pytorch_model.bin')) && zipped.length > 0) {
    throw new WetreadError('checkpoint-unreadable', `found ${zipped.join(', ')}; expected pytorch_model.bin, which is inside`, {
      hint: 'unpack it first; of several parts, name the .zip to a program that joins them',
    });
  }
  return await openCheckpoint(from);
}

function checkTemplate(name: string | undefined): void {
  if (name === undefined || name === template.name) return;
  throw new WetreadError('import-option-missing', `no template of radfm is called ${name}`, { hint: `only ${template.name} is there` });
}

/** Pictures of the table's whole side, or of a smaller one of whole patches that the importer names. */
function processorOf(given: number | null, { encoder }: RadfmArchitecture): Processor {
  const whole = encoder.tables.row[0] * encoder.patchSize;
  const side = given ?? whole;
  if (side % encoder.patchSize !== 0 || side > whole) {
    throw new WetreadError(
      'architecture-unsupported',
      `imageSize is ${side}; a multiple of ${encoder.patchSize} up to ${whole} is what the encoder takes`,
    );
  }
  return {
    pad: false,
    resize: { to: 'size', height: side, width: side },
    filter: 'bicubic',
    crop: null,
    scale: 1 / 255,
    mean: [0, 0, 0],
    std: [1, 1, 1],
  };
}

function limitsOf(given: NonNullable<Metadata['limits']>, a: RadfmArchitecture): Manifest['limits'] {
  const context = a.decoder.maxPositions;
  const fitting = Math.max(1, Math.floor((context - 1) / (a.encoder.perceiver.latents + imageMarks)));
  return {
    maxImages: given.maxImages ?? Math.min(testImages, fitting),
    contextTokens: Math.min(given.contextTokens ?? context, context),
    maxNewTokens: given.maxNewTokens ?? testTokens,
  };
}

function notesOf({ processor, generation }: Pick<Manifest, 'processor' | 'generation'>, tokenizerSource: string): string[] {
  const side = processor.resize?.to === 'size' ? processor.resize.height : null;
  return [
    `Tokenizer from ${tokenizerSource}; answers end at the ids ${generation.stopIds.join(', ')}.`,
    `Pictures and volumes are brought to ${side} x ${side}; 3D batches were trained at 256 x 256, which imageSize asks for.`,
    'A picture without pattern is the same to this model whatever its grey: the black and the mean null give equal numbers.',
  ];
}
