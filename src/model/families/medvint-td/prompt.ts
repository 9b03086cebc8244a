/**
 * A MedVInT-TD prompt: the picture's rows, then BOS, then the question in its frame. The rows stand before BOS.
 *
 * There are no separators: blanks around a question and its options come from the data. What BOS is follows from the tokenizer's files, where
 * the published ones lead to the unknown id. Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TD/{Dataset,test*.py}.
 */
import type { PromptPart } from '#domain/answer.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeInterleaved } from '../interleaved.ts';
import { pictureAndText } from '../one-picture.ts';
import { templateOf } from '../templates.ts';

const frame = { before: 'Question: ', after: 'The Answer is:', strip: false, specialTokens: true } as const;

/** The first stage of training: the picture and BOS alone. */
export const captionTemplate: Template = { name: 'caption', before: '', after: '', strip: true, specialTokens: true };

/**
 * Open questions and choices stand in one frame; the options are part of the text. `vqa_rad`: the authors' test on VQA-RAD overwrites the first id
 * by that of `<s>`.
 */
const templates: readonly Template[] = [
  { name: 'raw', ...frame, before: '', after: '' },
  { name: 'blank', ...frame },
  { name: 'choice', ...frame },
  { name: 'vqa_rad', ...frame, before: `<s>${frame.before}`, specialTokens: false },
  captionTemplate,
];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('medvint-td', templates, name);

/**
 * A prompt as the engine runs it.
 * @throws too-many-images, request-malformed (no image), prompt-too-long
 */
export function encodeMedvintTd(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  const { template } = manifest.prompt;
  const { text: message } = pictureAndText(manifest, tokenizer, parts);
  const text = template.before + (template.strip ? message.trim() : message) + template.after;
  const inputIds = tokenizer.encode(text, template.specialTokens);
  return encodeInterleaved(manifest, parts, () => ({
    text,
    parts: [
      { kind: 'image', image: 0 },
      { kind: 'tokens', ids: inputIds },
    ],
    inputIds,
  }));
}
