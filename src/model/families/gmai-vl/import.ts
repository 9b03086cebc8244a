/** Import of a GMAI-VL checkpoint, one Hugging Face folder: every check on config, tensors, tokenizer and processor comes before the first write. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { openCheckpoint } from '../../checkpoint/open.ts';
import { readJson } from '../../json.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import { readProcessor } from '../../preprocess/processor.ts';
import { decodedBySentencePiece, readTokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';
import { generationNotes } from '../generation.ts';
import { checkPictureSize, checkVocabulary, endIdSchema, endIds, processorConfig, tokenId } from '../hf-files.ts';
import { graphFiles, imageDecoderGraphs, imageDecoderSizes } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { type GmaiVlArchitecture, readArchitecture } from './architecture.ts';
import { placeholderText, templateNamed } from './prompt.ts';
import { answerRules, demoGeneration, published, tasksOf } from './tasks.ts';
import { checkGmaiVlTensors, reader } from './weights.ts';

const topSchema = z.looseObject({
  eos_token_id: endIdSchema,
  text_config: z
    .looseObject({ eos_token_id: endIdSchema, rope_scaling: z.looseObject({ type: z.string().nullish() }).nullish() })
    .nullish(),
});

/** Rows of one training sample (`--max-length` of the authors' command). */
const trainedRows = 2048;

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importGmaiVl(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const top = await readJson(join(from, 'config.json'), topSchema, 'architecture-unsupported');
  const architecture = readArchitecture(top);
  const source = await openCheckpoint(from);
  try {
    checkGmaiVlTensors(architecture, source);
    const files = decodedBySentencePiece(await readTokenizerFiles(from));
    const tokenizer = openTokenizer(files.json, files.config);
    checkVocabulary(tokenizer, architecture.decoder.vocabSize);
    const template = templateNamed(options.metadata.template ?? 'internlm2');
    const read = readProcessor(await processorConfig([from, ...(options.tower === null ? [] : [options.tower])], null), false);
    const processor = { ...read, pad: options.metadata.pad ?? read.pad };
    checkPictureSize(processor, architecture.vision.imageSize);
    const sizes = imageDecoderSizes(architecture);
    const limits = limitsOf(options.metadata.limits ?? {}, architecture, sizes.visualTokens);
    const ends = await endIds(from, top.eos_token_id ?? top.text_config?.eos_token_id, tokenizer, files);
    const { zeroRowId } = architecture;
    const manifest = {
      limits,
      tasks: { ...tasksOf(template.name, options.metadata.intendedUse?.regions ?? []), ...options.metadata.tasks },
      generation: {
        stopIds: [...new Set([...ends, tokenId(tokenizer, '<|im_end|>', 'gmai-vl')])],
        minNewTokens: 0,
        text: answerRules,
        published: demoGeneration,
      },
      prompt: { template, placeholder: placeholderOf(architecture, tokenizer), ...(zeroRowId === null ? {} : { zeroRowId }) },
      processor,
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...sizes, contextTokens: limits.contextTokens },
    };
    const notes = [
      `Template ${template.name}; tokenizer from ${files.source}.`,
      processor.pad
        ? 'Pictures are padded to a square first, as in training.'
        : 'Pictures are cropped to their middle square, as in the demo; with `pad: true` nothing is lost, as in training.',
      ...generationNotes(demoGeneration),
      ...warnings(top, limits, sizes.visualTokens),
    ];
    await writeGraphs(to, graphFiles.data, imageDecoderGraphs(architecture), reader(architecture, source), writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    return { manifest, published, notes };
  } finally {
    await source.close();
  }
}

function placeholderOf(architecture: GmaiVlArchitecture, tokenizer: Tokenizer): Manifest['prompt']['placeholder'] {
  const id = tokenizer.idOf(placeholderText);
  if (id === architecture.imageTokenId) return { rule: 'replace', text: placeholderText, id };
  throw new WetreadError(
    'tokenizer-unsupported',
    `config.json says that ${placeholderText} has the id ${architecture.imageTokenId} (image_token_index), the tokenizer says ${id}`,
  );
}

/** Limits that are not given: as many images as one training sample could hold. */
function limitsOf(given: NonNullable<Metadata['limits']>, a: GmaiVlArchitecture, visualTokens: number): Manifest['limits'] {
  const context = a.decoder.maxPositions;
  return {
    maxImages: given.maxImages ?? Math.max(1, Math.floor(Math.min(trainedRows, context - 1) / visualTokens)),
    contextTokens: Math.min(given.contextTokens ?? context, context),
    maxNewTokens: given.maxNewTokens ?? 512,
  };
}

function warnings(top: z.infer<typeof topSchema>, limits: Manifest['limits'], visualTokens: number): string[] {
  const notes: string[] = [];
  if (limits.maxImages * visualTokens > trainedRows) {
    notes.push(
      `${limits.maxImages} images are ${limits.maxImages * visualTokens} rows: more than the ${trainedRows} of a training sample.`,
    );
  }
  if (top.text_config?.rope_scaling?.type === 'dynamic') {
    notes.push(`Dynamic rotary scaling begins beyond ${limits.contextTokens} rows: the bundle stops there.`);
  }
  return notes;
}
