/**
 * A MedVInT-TE prompt: the question in its frame, as many masks as the answer has tokens, an end, and padding to the model's whole length.
 *
 * The text is split at white space and joined by single blanks, as the authors do it to count words: double blanks vanish. The mask is `</s>`,
 * which is also the end. Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TE/dataset/dataset.py (encode_mlm).
 */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPrompt } from '../../encoded.ts';
import { pythonSpace } from '../../python-space.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeImage } from '../interleaved.ts';
import { pictureAndText } from '../one-picture.ts';
import { templateOf } from '../templates.ts';
import { imageMarkId, marks, paddingId } from './graphs.ts';

const frame = { before: 'Question: ', after: 'The Answer is: ', strip: false, specialTokens: false } as const;

/** Open questions and choices stand in one frame; the options are part of the text. */
const templates: readonly Template[] = [
  { name: 'blank', ...frame },
  { name: 'choice', ...frame },
];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('medvint-te', templates, name);

/** Ids as the authors set them after loading, whatever the tokenizer's files say. */
export const bosId = 1;
export const maskId = 2;
const maskText = '</s>';
/** The id in the authors' padding. */
const zeroId = 0;

const space = new RegExp(`${pythonSpace}+`);

/** Tokens of text, masks and end together at most. */
function placesOf({ sizes }: Manifest): number {
  return sizes.contextTokens - 1 - sizes.visualTokens;
}

/**
 * The prompt with `length` masks.
 * @throws too-many-images, request-malformed (no image), prompt-too-long: the authors cut there, and an answer's places with it
 */
export function encodeMasked(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[], length: number): EncodedPrompt {
  const { template } = manifest.prompt;
  const { image, text } = pictureAndText(manifest, tokenizer, parts);
  const words = (template.before + text + template.after).split(space).filter((word) => word !== '');
  const before = [bosId, ...tokenizer.encode(words.join(' '), false)];
  const used = [...before, ...new Array<number>(length + 1).fill(maskId)];
  const places = placesOf(manifest);
  if (used.length > places) {
    throw new WetreadError(
      'prompt-too-long',
      `the question has ${used.length} tokens with ${length} for its answer, the bundle ${manifest.name} takes ${places}`,
      { hint: 'shorten the question' },
    );
  }
  const vocabulary = (manifest.sizes.embeddingRows ?? 0) - marks;
  const padding = (id: number) => new Array<number>(places - used.length).fill(id);
  return {
    text: [...words, ...new Array<string>(length + 1).fill(maskText)].join(' '),
    parts: [
      { kind: 'tokens', ids: [...used, ...padding(paddingId(vocabulary)), imageMarkId(vocabulary)] },
      { kind: 'image', image: 0 },
    ],
    images: [encodeImage(image, manifest.processor)],
    inputIds: [...used, ...padding(zeroId)],
    answerRows: Array.from({ length }, (_, i) => before.length + i),
  };
}

/** With the least number of masks that the bundle tries. */
export function encodeMedvintTe(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  return encodeMasked(manifest, tokenizer, parts, manifest.generation.answerLengths?.[0] ?? 1);
}
