/**
 * Templates of the llava family, and the two ways in which its authors put images among tokens.
 *
 * Original form: text is split at the placeholder and each piece is tokenised by itself, so every piece gets its own SentencePiece dummy
 * prefix. HF form: the placeholder is a token, repeated once per visual token. Source: LLaVA conversation.py and
 * mm_utils.tokenizer_image_token; LLaVA-Med; HuatuoGPT-Vision cli.py; transformers processing_llava.py.
 */
import type { PromptPart } from '#domain/answer.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPart, EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeInterleaved } from '../interleaved.ts';
import { templateOf, withoutMarks } from '../templates.ts';

const vicunaSystem =
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.";

const plain = { strip: false, specialTokens: true } as const;

/** What stands before and after the message, exactly. */
const templates: readonly Template[] = [
  { name: 'raw', before: '', after: '', ...plain },
  { name: 'vicuna_v1', before: `${vicunaSystem} USER: `, after: ' ASSISTANT:', ...plain },
  { name: 'llava_hf', before: 'USER: ', after: ' ASSISTANT:', ...plain },
  { name: 'mistral_instruct', before: '[INST] ', after: ' [/INST]', ...plain },
  // The role marks are ordinary text, and nothing is put in front: the authors tokenise without special tokens.
  { name: 'huatuo', before: '<|user|>\n', after: '\n<|assistant|>\n', strip: true, specialTokens: false },
  {
    name: 'chatml',
    before: '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n',
    after: '<|im_end|>\n<|im_start|>assistant\n',
    ...plain,
  },
  // LLaVA's own for ChatML decoders: another system text, and no line end behind a turn.
  {
    name: 'chatml_direct',
    before: '<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n',
    after: '<|im_end|><|im_start|>assistant\n',
    ...plain,
  },
  {
    name: 'llama_3',
    before: '<|start_header_id|>user<|end_header_id|>\n\n',
    after: '<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    ...plain,
  },
];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('llava', templates, name);

export interface EncodedText {
  readonly text: string;
  readonly parts: readonly EncodedPart[];
  readonly inputIds: readonly number[];
}

/** Parts to token ids with the images in their places; images are numbered in their order. */
export function encodeText(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedText {
  const { template, placeholder } = manifest.prompt;
  const reserved = [placeholder.text, ...tokenizer.special];
  // The authors' own prompts put a newline after every placeholder.
  const message = parts.map((part) => (part.kind === 'image' ? `${placeholder.text}\n` : withoutMarks(part.text, reserved))).join('');
  const text = template.before + (template.strip ? message.trim() : message) + template.after;
  const pieces =
    placeholder.rule === 'splice'
      ? text.split(placeholder.text).map((piece, index) => tokenizer.encode(piece, index === 0 && template.specialTokens))
      : splitAt(tokenizer.encode(text, template.specialTokens), placeholder.id);
  const marks = placeholder.rule === 'splice' ? [placeholder.id] : new Array<number>(manifest.sizes.visualTokens).fill(placeholder.id);
  const encoded: EncodedPart[] = [];
  const inputIds: number[] = [];
  for (const [index, ids] of pieces.entries()) {
    if (index > 0) {
      encoded.push({ kind: 'image', image: index - 1 });
      inputIds.push(...marks);
    }
    if (ids.length > 0) encoded.push({ kind: 'tokens', ids });
    inputIds.push(...ids);
  }
  return { text, parts: encoded, inputIds };
}

function splitAt(ids: readonly number[], mark: number): number[][] {
  const pieces: number[][] = [[]];
  for (const id of ids) {
    if (id === mark) pieces.push([]);
    else pieces.at(-1)?.push(id);
  }
  return pieces;
}

/** Text with the template around it, images as tensors. @throws too-many-images, prompt-too-long */
export function encodeLlava(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  return encodeInterleaved(manifest, parts, () => encodeText(manifest, tokenizer, parts));
}
