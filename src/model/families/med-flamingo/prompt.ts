/**
 * Prompts of the family: one `<image>` token per picture in its place of the text, and which picture each row sees.
 *
 * The mask rule is the trap: by `following` (the authors' release of the code) a text sees the NEXT picture, and the question after the last one,
 * with its answer, sees none; by `preceding` (later releases) it sees the last one before it, and so does the answer.
 * Source: mlfoundations/open_flamingo 0.0.2 and 2.0.1, helpers.py (MaskedCrossAttention), flamingo_lm.py; snap-stanford/med-flamingo scripts/demo.py.
 */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPart, EncodedPrompt, Sight } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeInterleaved } from '../interleaved.ts';
import { templateOf, withoutMarks } from '../templates.ts';
import { marks } from './tokenizer.ts';

/** Nothing surrounds a message: the few-shot form is the exemplars of the bundle before it. */
const bare = { before: '', after: '', strip: false, specialTokens: true };
const templates: readonly Template[] = [
  { name: 'few-shot vqa', ...bare },
  { name: 'raw', ...bare },
];

/** @throws import-option-missing when there is no such template */
export const templateNamed = (name: string): Template => templateOf('med-flamingo', templates, name);

/** Which picture each of `ids` sees, `image` being the token of a picture. */
export function sightOf(ids: readonly number[], image: number, rule: 'following' | 'preceding'): Sight {
  const count = ids.filter((id) => id === image).length;
  let before = 0;
  const rows = ids.map((id) => {
    if (id === image) return ++before;
    if (rule === 'preceding') return before;
    return before < count ? before + 1 : 0;
  });
  return { rows, after: rule === 'preceding' ? count : 0 };
}

/** The ids with each image part before the first row that sees its picture. */
function partsOf(ids: readonly number[], { rows }: Sight): EncodedPart[] {
  const parts: EncodedPart[] = [];
  let images = 0;
  let piece: number[] = [];
  for (const [row, id] of ids.entries()) {
    while (images < (rows[row] ?? 0)) {
      parts.push({ kind: 'tokens', ids: piece }, { kind: 'image', image: images++ });
      piece = [];
    }
    piece.push(id);
  }
  return [...parts, { kind: 'tokens', ids: piece }];
}

function encodeText(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): Omit<EncodedPrompt, 'images'> {
  const { template, placeholder, mediaMask } = manifest.prompt;
  if (mediaMask === undefined) throw new WetreadError('bundle-invalid', 'bundle.json does not say prompt.mediaMask');
  // `<|endofchunk|>` ends an exemplar wherever it stands: it adds no picture and ends no turn.
  const reserved = tokenizer.special.filter((mark) => mark !== marks.endOfChunk && mark !== placeholder.text);
  const items = parts.map((part) => (part.kind === 'image' ? placeholder.text : withoutMarks(part.text, reserved)));
  const text = template.before + items.join('') + template.after;
  const inputIds = tokenizer.encode(text, template.specialTokens);
  const sight = sightOf(inputIds, placeholder.id, mediaMask);
  const found = inputIds.filter((id) => id === placeholder.id).length;
  const given = parts.filter((part) => part.kind === 'image').length;
  if (found !== given) {
    throw new WetreadError('too-many-images', `the prompt has ${found} ${placeholder.text} and ${given} images; one for each expected`, {
      hint: `take ${placeholder.text} out of the text: pictures are given as pictures`,
    });
  }
  return { text, parts: partsOf(inputIds, sight), inputIds, sight };
}

/**
 * A prompt as the engine runs it.
 * @throws too-many-images (also where placeholders and images differ), prompt-too-long
 */
export function encodeMedFlamingo(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  return encodeInterleaved(manifest, parts, () => encodeText(manifest, tokenizer, parts));
}
