/** Import of a VILA-M3 folder: every check on configs, tensors, tokenizer and processor comes before the first write. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { readJson } from '../../json.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import { readTokenizerFiles, type TokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { checkPictureSize, checkVocabulary, endIdSchema, endIds, processorConfig } from '../hf-files.ts';
import { graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { readArchitecture, type VilaArchitecture, type VilaConfigs, vilaGraphs, vilaSizes } from './architecture.ts';
import { experts } from './experts.ts';
import { vilaProcessor } from './preprocess.ts';
import { chooseTemplate, placeholder } from './prompt.ts';
import { published, tasks } from './tasks.ts';
import { openParts, resolveWeights } from './weights.ts';

const anyObject = z.record(z.string(), z.unknown());

/** Settings of the authors' demo: no end token among the first two, at most 1024 tokens; a training sample had up to five pictures. */
const demo = { minNewTokens: 2, maxNewTokens: 1024 };
const trainedImages = 5;

async function readConfigs(from: string): Promise<VilaConfigs & { readonly llm: Record<string, unknown> }> {
  const read = async (folder: string) => {
    try {
      return await readJson(join(from, folder, 'config.json'), anyObject, 'architecture-unsupported');
    } catch (cause) {
      const what = cause instanceof Error ? cause.message : String(cause);
      throw new WetreadError('architecture-unsupported', `${folder === '' ? '' : `${folder}/`}${what}`, {
        cause,
        hint: 'a VILA folder holds llm/, vision_tower/ and mm_projector/, each with a config.json',
      });
    }
  };
  return { top: await read(''), llm: await read('llm'), tower: await read('vision_tower'), projector: await read('mm_projector') };
}

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importVilaM3(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const configs = await readConfigs(from);
  const { metadata } = options;
  const architecture = readArchitecture(configs, metadata.mergeOrder ?? null);
  const source = await openParts(from);
  try {
    const read = resolveWeights(architecture, source);
    const files = await tokenizerFiles(join(from, 'llm'));
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    const { template, turnEnd } = chooseTemplate(metadata.template ?? null, tokenizer);
    const processor = vilaProcessor(await processorConfig([join(from, 'vision_tower')], 'vision_tower'), architecture.aspect);
    checkPictureSize(processor, architecture.vision.imageSize);
    const configured = z.looseObject({ eos_token_id: endIdSchema }).parse(configs.llm).eos_token_id;
    const ends = await endIds(join(from, 'llm'), configured, tokenizer, files);
    const limits = limitsOf(metadata.limits ?? {}, architecture);
    const manifest = {
      limits,
      tasks: { ...tasks, ...metadata.tasks },
      experts,
      generation: { stopIds: [...new Set([...ends, turnEnd])], minNewTokens: demo.minNewTokens, barredIds: ends, text: { strip: true } },
      prompt: { template, placeholder },
      processor,
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...vilaSizes(architecture), contextTokens: limits.contextTokens },
    };
    await writeGraphs(to, graphFiles.data, vilaGraphs(architecture), read, writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return { manifest, published, notes: notesOf(architecture, template.name, files.source, tokenizer) };
  } finally {
    await source.close();
  }
}

/** The authors' loader asks for the slow tokenizer: SentencePiece itself writes the text, one replacement character for each broken byte. */
async function tokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const files = await readTokenizerFiles(folder, 'slow');
  return files.source === 'tokenizer.model' ? { ...files, config: { ...files.config, broken_bytes: 'byte' } } : files;
}

function limitsOf(given: NonNullable<Metadata['limits']>, { decoder }: VilaArchitecture): Manifest['limits'] {
  return {
    maxImages: given.maxImages ?? trainedImages,
    contextTokens: Math.min(given.contextTokens ?? decoder.maxPositions, decoder.maxPositions),
    maxNewTokens: given.maxNewTokens ?? demo.maxNewTokens,
  };
}

function notesOf({ decoder, projector }: VilaArchitecture, template: string, tokenizerSource: string, tokenizer: Tokenizer): string[] {
  const notes = [`Template ${template}; tokenizer from llm/${tokenizerSource}.`];
  if (projector.kind === 'merge') notes.push(`Merged blocks follow ${projector.order === 'columns' ? 'column by column' : 'row by row'}.`);
  if (template === 'raw')
    notes.push('With the template raw a text is the whole conversation, its marks included: give it no text of a record.');
  if (tokenizer.size < decoder.vocabSize) notes.push(`${decoder.vocabSize - tokenizer.size} rows of the head have no token.`);
  return notes;
}
