/**
 * The family's template, its prompts, and what each of their rows sees.
 *
 * The template writes `<bos>`, so the tokenizer adds none. Every text is trimmed by itself; an image is `<start_of_image>`, which the processor
 * surrounds with newlines and fills with soft tokens. Source: transformers processing_gemma3.py; the authors' chat_template.json.
 */
import type { PromptPart } from '#domain/answer.ts';
import type { AnswerRules } from '../../answer-text.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { AxisPositions, EncodedPart, EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeInterleaved } from '../interleaved.ts';
import { templateOf, withoutMarks } from '../templates.ts';

export const marks = { image: '<image_soft_token>', start: '<start_of_image>', end: '<end_of_image>' } as const;
export const turnEnd = '<end_of_turn>';
const turn = { before: '<bos><start_of_turn>user\n', after: `${turnEnd}\n<start_of_turn>model\n` };

const plain = { name: 'gemma3', ...turn, strip: true, specialTokens: false } as const satisfies Template;

/** There is no system role: a system text stands in front of the first user turn. */
export function withSystem(system: string): Template {
  return { ...plain, before: `${turn.before}${system}\n\n` };
}

/** Tasks that the authors ask with a system text have one of their own (tasks.ts). */
const templates: readonly Template[] = [plain, { ...withSystem('You are an expert radiologist.'), name: 'gemma3-radiologist' }];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('gemma3', templates, name);

/** A thought may come before the answer, asked for (27B) or not (1.5). */
export const answerRules: AnswerRules = { strip: true, thought: { open: '<unused94>', close: '<unused95>' } };

/** The last row that each row sees: itself in a text, the end of its image in an image. */
export function lastSeen(parts: readonly EncodedPart[], imageRows: number): AxisPositions {
  const last: number[] = [];
  for (const part of parts) {
    if (part.kind === 'tokens') for (const _ of part.ids) last.push(last.length);
    else last.push(...new Array<number>(imageRows).fill(last.length + imageRows - 1));
  }
  return [last];
}

function encodeText(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): Omit<EncodedPrompt, 'images'> {
  const { template, placeholder } = manifest.prompt;
  const { visualTokens } = manifest.sizes;
  const reserved = [...Object.values(marks), '<start_of_turn>', turnEnd, ...tokenizer.special];
  const items = parts.map((part) => (part.kind === 'image' ? marks.start : withoutMarks(part.text, reserved).trim()));
  const text = template.before + items.join('') + template.after;
  const surrounded = text.replaceAll(marks.start, `\n\n${marks.start}${marks.image}${marks.end}\n\n`);
  const encoded: EncodedPart[] = [];
  const inputIds: number[] = [];
  let ids: number[] = [];
  let image = 0;
  for (const id of tokenizer.encode(surrounded, template.specialTokens)) {
    if (id !== placeholder.id) {
      ids.push(id);
      inputIds.push(id);
      continue;
    }
    encoded.push({ kind: 'tokens', ids }, { kind: 'image', image: image++ });
    inputIds.push(...new Array<number>(visualTokens).fill(id));
    ids = [];
  }
  encoded.push({ kind: 'tokens', ids });
  return { text, parts: encoded, inputIds, positions: lastSeen(encoded, visualTokens) };
}

/**
 * A prompt as the engine runs it.
 * @throws too-many-images, prompt-too-long
 */
export function encodeGemma3(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  return encodeInterleaved(manifest, parts, () => encodeText(manifest, tokenizer, parts));
}
