/**
 * Import of a model that the authors' code trained: `open_ended_latest.pt`, the folder of the base model (config and tokenizer), and CLIP, as
 * OpenAI's file or as a Hugging Face folder. Every check on config, tensors and tokenizer comes before the first write.
 */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { openTorchPickle } from '../../checkpoint/torch-pickle.ts';
import { readJson } from '../../json.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import { type Processor, readProcessor } from '../../preprocess/processor.ts';
import { readTokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { checkPictureSize, checkVocabulary } from '../hf-files.ts';
import { readVision } from '../hf-vision.ts';
import { graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { checkOneImage } from '../one-picture.ts';
import { openaiProjection, readOpenaiClip } from '../openai-clip.ts';
import { type PrefixVqaArchitecture, prefixVqaGraphs, prefixVqaSizes, readArchitecture } from './architecture.ts';
import type { PooledTower } from './mapper.ts';
import { slotId, slotText, templateNamed } from './prompt.ts';
import { published, tasks } from './tasks.ts';
import { authorsLoraAlpha, checkPrefixVqaTensors, openedClip, openedLanguage, reader, type Sources } from './weights.ts';

/** What the authors' code saves; its name alone says the family. */
const weightsFile = 'open_ended_latest.pt';

export const isPrefixVqa = (from: string): boolean => existsSync(join(from, weightsFile));

/** Beams of the authors' search. Their limit of answer tokens is that of the data set, which no file of the model holds. */
const beams = 5;
const answerTokens = 32;
/** The first id of this text's encoding ends an answer, whatever the tokenizer makes of it. */
const endText = '<|endoftext|>';

type Config = Record<string, unknown>;

interface Folder {
  readonly path: string;
  readonly config: Config;
}

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importPrefixVqa(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const { metadata } = options;
  checkOneImage(metadata.limits?.maxImages);
  const base = await baseFolder(from);
  const where = `${basename(base.path)}/config.json`;
  const { sources, tower, towerFolder, isLora, close } = await openSources(from, options);
  try {
    const architecture = readArchitecture(sources.language, tower, base.config, where);
    await checkPrefixVqaTensors(architecture, sources);
    const files = await readTokenizerFiles(base.path);
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    const template = templateNamed(metadata.template ?? 'prefix-vqa');
    const processor = await processorOf(towerFolder, tower);
    checkPictureSize(processor, tower.vision.imageSize);
    const sizes = prefixVqaSizes(architecture);
    const limits = limitsOf(metadata.limits ?? {}, sizes.contextTokens);
    const { maxQuestionTokens } = metadata;
    const manifest = {
      limits,
      tasks: { ...tasks, ...metadata.tasks },
      generation: { stopIds: [endId(tokenizer)], minNewTokens: 0, beams: { count: beams, rule: 'length-averaged' as const } },
      prompt: {
        template,
        placeholder: { rule: 'slot' as const, text: slotText, id: slotId },
        ...(maxQuestionTokens === undefined ? {} : { maxQuestionTokens }),
      },
      processor,
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...sizes, contextTokens: Math.min(sizes.contextTokens, limits.contextTokens) },
    };
    await writeGraphs(to, graphFiles.data, prefixVqaGraphs(architecture), reader(architecture, sources), writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return {
      manifest,
      published,
      notes: notesOf(architecture, { ...sources, isLora }, metadata, `${basename(base.path)}/${files.source}`),
    };
  } finally {
    await close();
  }
}

const anyConfig = z.record(z.string(), z.unknown());

/** Folders with a config.json: the given one and those in it. */
async function configured(from: string): Promise<Folder[]> {
  const inside = (await readdir(from, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(from, entry.name));
  const paths = [from, ...inside.sort()].filter((path) => existsSync(join(path, 'config.json')));
  return await Promise.all(
    paths.map(async (path) => ({ path, config: await readJson(join(path, 'config.json'), anyConfig, 'architecture-unsupported') })),
  );
}

const isClip = ({ config }: Folder): boolean => ['clip', 'clip_vision_model'].includes(String(config.model_type));

/** The base model's folder: the one config.json that is not CLIP's. @throws import-option-missing, architecture-unsupported */
async function baseFolder(from: string): Promise<Folder> {
  const [base, ...others] = (await configured(from)).filter((folder) => !isClip(folder));
  if (base === undefined) {
    throw new WetreadError('import-option-missing', `${weightsFile} has no config: the base model's folder is not in the checkpoint`, {
      hint: 'put config.json and the tokenizer of gpt2-xl, BioMedLM or biogpt into a folder beside it',
    });
  }
  if (others.length === 0) return base;
  throw new WetreadError(
    'architecture-unsupported',
    `found ${[base, ...others].map(({ path }) => basename(path)).join(', ')}; one base model expected`,
  );
}

interface Opened {
  readonly sources: Sources;
  readonly tower: PooledTower;
  /** Folder that may hold CLIP's preprocessor_config.json; null = OpenAI's file, whose transform is in code. */
  readonly towerFolder: string | null;
  readonly isLora: boolean;
  close(): Promise<void>;
}

/** @throws checkpoint-unreadable, checkpoint-hostile, checkpoint-tensors, import-option-missing without a CLIP */
async function openSources(from: string, { tower: given, metadata }: FamilyOptions): Promise<Opened> {
  const open: TensorSource[] = [];
  const close = async () => {
    for (const source of open) await source.close();
  };
  try {
    const language = await openTorchPickle(join(from, weightsFile));
    open.push(language);
    const isLora = language.names.some((name) => name.includes('.lora_A.'));
    const merged = await openedLanguage(language, metadata.loraAlpha ?? authorsLoraAlpha);
    const folder = (await configured(given ?? from)).find(isClip);
    if (folder !== undefined) {
      const clip = await openCheckpoint(folder.path);
      open.push(clip);
      const sources = { language: merged, clip, clipForm: 'hf' as const };
      return { sources, tower: hfTower(folder.config), towerFolder: folder.path, isLora, close };
    }
    const stored = await openTorchPickle(await clipFile(given ?? from));
    open.push(stored);
    const clip = await openedClip(stored);
    const tower = { vision: readOpenaiClip(stored), projection: openaiProjection(stored) };
    return { sources: { language: merged, clip, clipForm: 'openai' }, tower, towerFolder: null, isLora, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** OpenAI's file in a folder. @throws import-option-missing when there is none, or several */
async function clipFile(folder: string): Promise<string> {
  const found = (await readdir(folder)).filter((name) => name.endsWith('.pt') && name !== weightsFile).sort();
  const [file, ...others] = found;
  if (file !== undefined && others.length === 0) return join(folder, file);
  throw new WetreadError(
    'import-option-missing',
    `found ${file === undefined ? 'no CLIP' : found.join(', ')} beside ${weightsFile}; one expected`,
    {
      hint: 'put ViT-B-32.pt of OpenAI or the folder of openai/clip-vit-base-patch32 there, or name its folder with --tower',
    },
  );
}

const clipSchema = z.looseObject({ projection_dim: z.int().positive().default(512), vision_config: anyConfig.optional() });

function hfTower(config: Config): PooledTower {
  const { projection_dim: projection, vision_config: vision } = clipSchema.parse(config);
  const given = { ...(vision ?? config), model_type: 'clip_vision_model' };
  return { vision: readVision(given, { layer: -1, dropFirst: false, where: "CLIP's config.json" }), projection };
}

/** OpenAI's transform: CLIP's steps with a crop that is rounded half to even. */
async function processorOf(folder: string | null, { vision }: PooledTower): Promise<Processor> {
  const path = folder === null ? null : join(folder, 'preprocessor_config.json');
  const config =
    path !== null && existsSync(path)
      ? await readJson(path, anyConfig, 'architecture-unsupported')
      : { size: vision.imageSize, crop_size: vision.imageSize };
  const processor = readProcessor(config, false);
  return { ...processor, crop: processor.crop === null ? null : { ...processor.crop, rounding: 'half-even' } };
}

/** @throws tokenizer-unsupported when the tokenizer makes nothing of the authors' end mark */
function endId(tokenizer: Tokenizer): number {
  const [id] = tokenizer.encode(endText, true);
  if (id !== undefined) return id;
  throw new WetreadError('tokenizer-unsupported', `the tokenizer makes nothing of ${endText}, whose first id ends an answer`);
}

function limitsOf(given: NonNullable<Metadata['limits']>, context: number): Manifest['limits'] {
  return {
    maxImages: 1,
    contextTokens: Math.min(given.contextTokens ?? context, context),
    maxNewTokens: given.maxNewTokens ?? Math.min(answerTokens, context),
  };
}

interface Found extends Pick<Sources, 'clipForm'> {
  readonly isLora: boolean;
}

function notesOf({ tuning, slot, mapper }: PrefixVqaArchitecture, found: Found, metadata: Metadata, tokenizer: string): string[] {
  const clip = found.clipForm === 'hf' ? 'CLIP from a Hugging Face folder' : 'CLIP under OpenAI’s names';
  const { loraAlpha, maxQuestionTokens } = metadata;
  return [
    `Tokenizer from ${tokenizer}; ${clip}; the ${mapper.kind} mapper gives ${slot.rows} rows.`,
    ...(tuning.kind === 'prefix' ? [`Prefix tuning: ${tuning.rows} virtual rows of keys and values in every layer.`] : []),
    ...(tuning.kind === 'prompt' ? [`Prompt tuning: ${tuning.rows} learned rows in front of every prompt.`] : []),
    ...(found.isLora
      ? [`LoRA merged with alpha ${loraAlpha ?? authorsLoraAlpha}${loraAlpha === undefined ? ', the constant of the authors’ code' : ''}.`]
      : []),
    maxQuestionTokens === undefined
      ? 'Questions are not cut; training cut them at a length that only its data set file says (maxQuestionTokens).'
      : `Questions are cut after ${maxQuestionTokens} tokens, as in training.`,
  ];
}
