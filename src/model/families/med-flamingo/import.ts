/**
 * Import of a Med-Flamingo checkpoint: what was trained, its LLaMA base and its CLIP tower become one bundle, with the importer's exemplars. Every
 * check on configs, tensors, tokenizer and exemplars comes before the first write.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import { checkExemplars, copyExemplars } from '../../exemplars.ts';
import type { Metadata } from '../../metadata.ts';
import { type Writing, writeGraphs } from '../../onnx/files.ts';
import { graphFiles } from '../image-decoder.ts';
import type { FamilyImport, FamilyOptions } from '../import.ts';
import { type FlamingoArchitecture, flamingoGraphs, flamingoSizes, readArchitecture } from './architecture.ts';
import { readTower, towerProcessor } from './open-clip.ts';
import { findParts, openParts } from './parts.ts';
import { templateNamed } from './prompt.ts';
import { exemplarsOf, published, tasks } from './tasks.ts';
import { idOf, marks, readFlamingoTokenizer } from './tokenizer.ts';
import { resolvedReader } from './weights.ts';

/** Of the authors' demo: new tokens of an answer, and pictures of a prompt with its exemplars. */
const demo = { newTokens: 10, images: 7 };

/** @throws the coded error of whatever does not fit; nothing is written before all checks are done */
export async function importMedFlamingo(from: string, to: string, options: FamilyOptions, writing: Writing): Promise<FamilyImport> {
  const { metadata } = options;
  const { mediaMask, exemplars } = metadata;
  if (mediaMask === undefined) throw missingMask();
  const template = templateNamed(metadata.template ?? (exemplars === undefined ? 'raw' : 'few-shot vqa'));
  const places = await findParts(from, { base: metadata.base ?? null, tower: options.tower ?? metadata.tower ?? null });
  const { source, baseConfig, tower } = await openParts(from, places);
  try {
    const architecture = readArchitecture(baseConfig, readTower(tower, source), source);
    const read = resolvedReader(architecture, tower.kind, source);
    const { files, tokenizer } = await readFlamingoTokenizer(places.base, architecture.decoder.vocabSize);
    const pictures = exemplars?.items.map(({ image }) => image) ?? [];
    await checkExemplars(from, pictures);
    const sizes = flamingoSizes(architecture);
    const limits = limitsOf(metadata.limits ?? {}, sizes.contextTokens);
    const manifest = {
      limits,
      tasks: { ...tasks, ...metadata.tasks },
      // A question that the model goes on to ask is not part of its answer.
      generation: {
        stopIds: [idOf(tokenizer, marks.endOfChunk)],
        minNewTokens: 0,
        ...(architecture.headRows < architecture.decoder.vocabSize ? { endless: true } : {}),
        text: { strip: true, cutAt: ['Question:'] },
      },
      prompt: { template, placeholder: { rule: 'replace', text: marks.image, id: idOf(tokenizer, marks.image) }, mediaMask },
      ...(exemplars === undefined ? {} : { exemplars: exemplarsOf(exemplars) }),
      processor: towerProcessor(tower, architecture.vision.imageSize),
      tokenizer: { json: 'tokenizer.json', config: 'tokenizer_config.json' },
      graphs: graphFiles,
      sizes: { ...sizes, contextTokens: limits.contextTokens },
    } satisfies FamilyImport['manifest'];
    await writeGraphs(to, graphFiles.data, flamingoGraphs(architecture), read, writing);
    await writeFile(join(to, manifest.tokenizer.json), JSON.stringify(files.json));
    await writeFile(join(to, manifest.tokenizer.config), JSON.stringify(files.config));
    await copyExemplars(from, to, pictures);
    return { manifest, published, notes: notesOf(architecture, manifest, files.source) };
  } finally {
    await source.close();
  }
}

function missingMask(): WetreadError {
  return new WetreadError('import-option-missing', 'which picture a text sees is in no file of the checkpoint: mediaMask is needed', {
    hint: 'put "mediaMask": "following" into wetread.json for the code that the authors name (open_flamingo 0.0.2), "preceding" for that of 2.x',
  });
}

function limitsOf(given: NonNullable<Metadata['limits']>, most: number): Manifest['limits'] {
  return {
    maxImages: given.maxImages ?? demo.images,
    contextTokens: Math.min(given.contextTokens ?? most, most),
    maxNewTokens: given.maxNewTokens ?? demo.newTokens,
  };
}

function notesOf(
  { gated, decoder, headRows }: FlamingoArchitecture,
  manifest: FamilyImport['manifest'],
  tokenizerSource: string,
): string[] {
  const { mediaMask, template } = manifest.prompt;
  const before = gated.map(({ layer }) => layer).join(', ');
  const notes = [
    `Template ${template.name}; tokenizer from the base's ${tokenizerSource}; gated layers before ${before} of ${decoder.windows.length}.`,
  ];
  notes.push(
    mediaMask === 'following'
      ? 'A text sees the picture that follows it: the last question and its answer see none by cross-attention, so expect small shares of images.'
      : 'A text sees the last picture before it, which is not what the code that the authors name does.',
  );
  if (headRows < decoder.vocabSize) {
    notes.push(`The head has no rows for ${decoder.vocabSize - headRows} added tokens: their logit is 0, so an answer ends by its length.`);
  }
  const { exemplars } = manifest;
  if (exemplars === undefined) notes.push('No exemplars were given: questions are asked alone, though the authors ask with some.');
  else notes.push(`${exemplars.items.length} exemplars of ${exemplars.source} (${exemplars.license}) stand before each question.`);
  return notes;
}
