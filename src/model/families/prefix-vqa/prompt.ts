/**
 * The one form of a prompt: five pieces, each encoded by itself with what the tokenizer puts around a text, their ids one after the other.
 *
 * Glued to one string they would have other tokens: GPT-2's `question: ` ends in a lone space. The picture's rows overwrite those of the slot,
 * which stands behind the question. Rows of prompt tuning come first, and are in no input_ids, as peft adds them later.
 * Source: tjvsonsbeek/open-ended-medical-vqa, dataloader.py (pad_sequences).
 */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeInterleaved } from '../interleaved.ts';
import { pictureAndText } from '../one-picture.ts';
import { templateOf } from '../templates.ts';

/** Where the picture's rows stand in a template. */
export const slotText = '{slot}';
/** The authors' id in the slot, whose row is overwritten. */
export const slotId = 1;

const templates: readonly Template[] = [
  { name: 'prefix-vqa', before: 'question: ', after: ` context:${slotText}answer `, strip: false, specialTokens: true },
];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('prefix-vqa', templates, name);

/** Pieces before and behind the slot. */
function around({ template, placeholder }: Manifest['prompt'], question: string): readonly [readonly string[], string] {
  const [before, behind, ...more] = template.after.split(placeholder.text);
  if (before === undefined || behind === undefined || more.length > 0)
    throw new WetreadError('bundle-invalid', `the template ${template.name} must hold ${placeholder.text} once, behind the question`);
  return [[template.before, question, before], behind];
}

function encodeText(manifest: Manifest, tokenizer: Tokenizer, question: string): Omit<EncodedPrompt, 'images'> {
  const { prompt, sizes } = manifest;
  const [before, behind] = around(prompt, question);
  const ids = before.map((piece, index) => {
    const encoded = tokenizer.encode(piece, prompt.template.specialTokens);
    return index === 1 ? encoded.slice(0, prompt.maxQuestionTokens) : encoded;
  });
  const first = ids.flat();
  const last = tokenizer.encode(behind, prompt.template.specialTokens);
  const learned = Array.from({ length: (sizes.embeddingRows ?? sizes.vocabSize) - sizes.vocabSize }, (_, row) => sizes.vocabSize + row);
  return {
    text: null,
    inputIds: [...first, ...new Array<number>(sizes.visualTokens).fill(prompt.placeholder.id), ...last],
    parts: [
      { kind: 'tokens', ids: [...learned, ...first] },
      { kind: 'image', image: 0 },
      { kind: 'tokens', ids: last },
    ],
  };
}

/**
 * A prompt as the engine runs it: one picture, and its question.
 * @throws too-many-images, request-malformed (no picture), prompt-too-long
 */
export function encodePrefixVqa(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  const { text } = pictureAndText(manifest, tokenizer, parts);
  return encodeInterleaved(manifest, parts, () => encodeText(manifest, tokenizer, text));
}
