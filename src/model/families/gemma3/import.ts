/** Import of a Gemma 3 checkpoint, one Hugging Face folder: every check on config, tensors, tokenizer and processor comes before the first write. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import { readJson } from '../../json.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { type Processor, readProcessor } from '../../preprocess/processor.ts';
import { readTokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { fileGeneration, generationNotes } from '../generation.ts';
import { checkPictureSize, checkTokenId, checkVocabulary, endIdSchema, endIds, processorConfig, tokenId } from '../hf-files.ts';
import { graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { type GemmaArchitecture, gemmaGraphs, gemmaSizes, readArchitecture } from './architecture.ts';
import { answerRules, marks, templateNamed, turnEnd } from './prompt.ts';
import { ctWindows, published, tasks } from './tasks.ts';
import { resolvedReader } from './weights.ts';

const topSchema = z.looseObject({ eos_token_id: endIdSchema });

/** Images that a prompt takes where the importer says nothing: our choice; the authors' comparison shows two. */
const mostImages = 8;

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importGemma3(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const { metadata } = options;
  const top = await readJson(join(from, 'config.json'), topSchema, 'architecture-unsupported');
  const architecture = readArchitecture(top);
  const source = await openCheckpoint(from);
  try {
    const read = resolvedReader(architecture, source);
    const files = await readTokenizerFiles(from);
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    const image = checkMarks(architecture, tokenizer);
    const template = templateNamed(metadata.template ?? 'gemma3');
    const processor = wholePictures(await processorConfig([from], null));
    checkPictureSize(processor, architecture.vision.imageSize);
    const sizes = gemmaSizes(architecture);
    const limits = limitsOf(metadata.limits ?? {}, sizes);
    const ends = await endIds(from, top.eos_token_id, tokenizer, files);
    const settings = await fileGeneration(from);
    const manifest = {
      limits,
      tasks: { ...tasks, ...metadata.tasks },
      generation: {
        stopIds: [...new Set([...ends, tokenId(tokenizer, turnEnd, 'gemma3')])],
        minNewTokens: 0,
        text: answerRules,
        ...(settings === null ? {} : { published: settings }),
      },
      prompt: { template, placeholder: { rule: 'expand', text: marks.image, id: image } },
      processor,
      ctWindows,
      sliceRule: 'ends',
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...sizes, contextTokens: limits.contextTokens },
    } satisfies FamilyImport['manifest'];
    await writeGraphs(to, graphFiles.data, gemmaGraphs(architecture), read, writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return { manifest, published, notes: [`Template ${template.name}; tokenizer from ${files.source}.`, ...generationNotes(settings)] };
  } finally {
    await source.close();
  }
}

/** The id of the image's mark. @throws tokenizer-unsupported where config and tokenizer call another token by one of the three ids */
function checkMarks({ tokens }: GemmaArchitecture, tokenizer: Tokenizer): number {
  for (const key of ['image', 'start', 'end'] as const) checkTokenId(tokenizer, marks[key], tokens[key], 'gemma3');
  return tokens.image;
}

/** @throws architecture-unsupported where the processor cuts pictures into several */
function wholePictures(config: unknown): Processor {
  if (z.looseObject({ do_pan_and_scan: z.literal(true) }).safeParse(config).success) {
    throw new WetreadError('architecture-unsupported', 'preprocessor_config.json: do_pan_and_scan is true; only whole pictures are built');
  }
  return readProcessor(config, false);
}

function limitsOf(given: NonNullable<Metadata['limits']>, sizes: ModelSizes): Manifest['limits'] {
  const contextTokens = Math.min(given.contextTokens ?? sizes.contextTokens, sizes.contextTokens);
  const fitting = Math.floor((contextTokens - 1) / sizes.visualTokens);
  return {
    maxImages: given.maxImages ?? Math.max(1, Math.min(mostImages, fitting)),
    contextTokens,
    maxNewTokens: given.maxNewTokens ?? 600,
  };
}
