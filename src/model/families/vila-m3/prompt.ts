/**
 * Templates of VILA-M3, and its prompts: the text is cut at `<image>`, each piece is tokenised by itself, and -200 stands between them.
 *
 * Text and images are joined as they are given, without separators. The Llama-3 template writes its begin-of-text token and the tokenizer
 * adds another: two stand in front, as in training. Finished turns end with the template's own mark, so an answer stops at it too.
 * Source: NVlabs/VILA 355fda9, llava/conversation.py, llava/mm_utils.py (tokenizer_image_token).
 */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPart, EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeInterleaved } from '../interleaved.ts';
import { withoutMarks } from '../templates.ts';

/** IMAGE_TOKEN_INDEX of the authors' code. */
export const placeholder: Manifest['prompt']['placeholder'] = { rule: 'splice', text: '<image>', id: -200 };

interface Conversation {
  readonly template: Template;
  /** Special tokens that must be there for the template to mean anything; the last one ends a turn. */
  readonly marks: readonly [...string[], string];
}

const vicunaSystem =
  "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions.";
const llamaSystem =
  'You are a helpful language and vision assistant. You are able to understand the visual content that the user provides, and assist the user with a variety of tasks using natural language.';

const plain = { strip: false, specialTokens: true } as const;

const conversations: readonly Conversation[] = [
  {
    template: {
      name: 'llama_3',
      before: `<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n${llamaSystem}<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n`,
      after: '<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
      ...plain,
    },
    marks: ['<|begin_of_text|>', '<|start_header_id|>', '<|end_header_id|>', '<|eot_id|>'],
  },
  {
    template: {
      name: 'hermes-2',
      before: '<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n',
      after: '<|im_end|><|im_start|>assistant\n',
      ...plain,
    },
    marks: ['<|im_start|>', '<|im_end|>'],
  },
  { template: { name: 'vicuna_v1', before: `${vicunaSystem} USER: `, after: ' ASSISTANT:', ...plain }, marks: ['</s>'] },
];

/** The caller's text is the whole conversation, marks included; for text that no record has a part in. */
const raw = 'raw';

/** The first template whose marks the tokenizer has: the order above is from the most to the least particular. */
function ownConversation(tokenizer: Tokenizer): Conversation {
  const found = conversations.find(({ marks }) => marks.every((mark) => tokenizer.idOf(mark) !== null));
  if (found !== undefined) return found;
  throw new WetreadError('tokenizer-unsupported', 'llm: the tokenizer has the marks of none of the templates', {
    hint: conversations.map(({ template, marks }) => `${template.name}: ${marks.join(' ')}`).join('; '),
  });
}

export interface ChosenTemplate {
  readonly template: Template;
  /** Id of the token that ends a turn. */
  readonly turnEnd: number;
}

/**
 * @param name null = by the tokenizer's marks
 * @throws import-option-missing when there is no such template; tokenizer-unsupported when the tokenizer lacks its marks
 */
export function chooseTemplate(name: string | null, tokenizer: Tokenizer): ChosenTemplate {
  const named = conversations.find(({ template }) => template.name === name);
  if (name !== null && name !== raw && named === undefined) {
    throw new WetreadError('import-option-missing', `no template of vila-m3 is called ${name}`, {
      hint: `one of ${[...conversations.map(({ template }) => template.name), raw].join(', ')}`,
    });
  }
  const { template, marks } = named ?? ownConversation(tokenizer);
  const lacking = marks.filter((mark) => tokenizer.idOf(mark) === null);
  const turnEnd = tokenizer.idOf(marks.at(-1) ?? '');
  if (turnEnd === null || lacking.length > 0) {
    throw new WetreadError('tokenizer-unsupported', `the template ${template.name} needs ${lacking.join(' ')}, which the tokenizer lacks`);
  }
  return { template: name === raw ? { name: raw, before: '', after: '', ...plain } : template, turnEnd };
}

function encodeText(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): Omit<EncodedPrompt, 'images'> {
  const { template } = manifest.prompt;
  const { text: mark, id } = manifest.prompt.placeholder;
  // Marks of turns are no part of a text, whether or not the tokenizer's files call them special.
  const reserved = template.name === raw ? [mark] : [mark, ...conversations.flatMap(({ marks }) => marks), ...tokenizer.special];
  const message = parts.map((part) => (part.kind === 'image' ? mark : withoutMarks(part.text, reserved))).join('');
  const text = template.before + message + template.after;
  const encoded: EncodedPart[] = [];
  const inputIds: number[] = [];
  for (const [index, piece] of text.split(mark).entries()) {
    const ids = tokenizer.encode(piece, index === 0 && template.specialTokens);
    if (index > 0) encoded.push({ kind: 'image', image: index - 1 });
    if (ids.length > 0) encoded.push({ kind: 'tokens', ids });
    inputIds.push(...(index > 0 ? [id] : []), ...ids);
  }
  return { text, parts: encoded, inputIds };
}

/**
 * A prompt as the engine runs it. The authors' code cuts what is too long from its end, where the question stands; here it is refused.
 * @throws too-many-images, prompt-too-long
 */
export function encodeVilaM3(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  return encodeInterleaved(manifest, parts, () => encodeText(manifest, tokenizer, parts));
}
