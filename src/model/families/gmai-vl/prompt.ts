/**
 * Templates of the family, and its prompts: items joined by newlines, one `<image>` token per picture, which the picture's rows replace.
 *
 * A text that holds `<image>` itself is refused: the authors' code drops or repeats pictures when the counts differ.
 * Source: the authors' xtuner chat/messages/chat.py, chat/templates/__init__.py, demo/gmai_vl_demo/app.py.
 */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPart, EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeInterleaved } from '../interleaved.ts';
import { templateOf, withoutMarks } from '../templates.ts';

export const placeholderText = '<image>';

/** Part of every template, and no part of a text, whether or not the tokenizer's files call them special. */
const turnMarks = ['<|im_start|>', '<|im_end|>'];
const turn = { before: '<|im_start|>user\n', after: '<|im_end|>\n<|im_start|>assistant\n' };

/** `internlm2`: the form of training. `internlm2-demo`: the tokenizer's own chat template writes `<s>`, and the tokenizer adds another. */
const templates: readonly Template[] = [
  { name: 'internlm2', ...turn, strip: true, specialTokens: false },
  { name: 'internlm2-demo', before: `<s>${turn.before}`, after: turn.after, strip: true, specialTokens: true },
];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('gmai-vl', templates, name);

/** Ids with the images in the places of the placeholder's id. @throws too-many-images when the counts differ */
function encodeText(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): Omit<EncodedPrompt, 'images'> {
  const { template, placeholder, zeroRowId } = manifest.prompt;
  const marks = [...turnMarks, ...tokenizer.special.filter((mark) => mark !== placeholder.text)];
  const items = parts.map((part) => (part.kind === 'image' ? placeholder.text : withoutMarks(part.text, marks).trim()));
  const text = template.before + items.join('\n') + template.after;
  const inputIds = tokenizer.encode(text, template.specialTokens);
  const encoded: EncodedPart[] = [];
  let image = 0;
  for (const id of inputIds) {
    const last = encoded.at(-1);
    if (id === placeholder.id) encoded.push({ kind: 'image', image: image++ });
    else if (last?.kind === 'tokens') encoded[encoded.length - 1] = { kind: 'tokens', ids: [...last.ids, id] };
    else encoded.push({ kind: 'tokens', ids: [id] });
  }
  const pictures = parts.filter((part) => part.kind === 'image').length;
  if (image !== pictures) {
    throw new WetreadError('too-many-images', `the prompt has ${image} ${placeholder.text} and ${pictures} images; one for each expected`, {
      hint: `take ${placeholder.text} out of the text: pictures are given as pictures`,
    });
  }
  // The authors' merge step, which blanks padding, runs only where there are pictures.
  return { text, parts: encoded, inputIds, ...(pictures > 0 && zeroRowId !== undefined ? { zeroRowId } : {}) };
}

/**
 * A prompt as the engine runs it.
 * @throws too-many-images (also where placeholders and images differ), prompt-too-long
 */
export function encodeGmaiVl(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  return encodeInterleaved(manifest, parts, () => encodeText(manifest, tokenizer, parts));
}
