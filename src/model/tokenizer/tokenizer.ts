/**
 * The tokenizer of a bundle: encoding by @huggingface/tokenizers from tokenizer.json, decoding with spans by decode.ts.
 *
 * tokenizer.json is complete here: what tokenizer_config.json or added_tokens.json add to it is merged at import (files.ts).
 */
import { Tokenizer as Library } from '@huggingface/tokenizers';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { type Decoded, decoderRule, decodeTokens } from './decode.ts';
import { mosesWords } from './moses.ts';

export interface Tokenizer {
  /** Highest id + 1: ids at and above it are padding rows of the head and are never sampled. */
  readonly size: number;
  /** Contents of special tokens; they are not part of decoded text, and a text from outside must not contain them. */
  readonly special: readonly string[];
  /** Ids of a text. `special` true adds what the tokenizer puts around a text (BOS). */
  encode(text: string, special: boolean): number[];
  /**
   * Text and spans. Special tokens have empty spans, unless they are to be shown.
   * @throws tokenizer-unsupported for an id that has no token
   */
  decode(ids: readonly number[], specialTokens?: 'hidden' | 'shown'): Decoded;
  idOf(token: string): number | null;
}

const jsonSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int().nonnegative(), content: z.string(), special: z.boolean() })),
  decoder: z.unknown(),
  model: z.looseObject({ type: z.string() }),
});
const configSchema = z.looseObject({
  clean_up_tokenization_spaces: z.boolean().nullish(),
  /** Ours, not Hugging Face's: `byte` where the authors decode by SentencePiece itself. */
  broken_bytes: z.enum(['run', 'byte']).default('run'),
  /** Ours too: what splits a text before tokenizer.json sees it, which has no steps for it. */
  words: z.enum(['moses']).optional(),
});

/** Opens a tokenizer from parsed tokenizer.json and tokenizer_config.json. @throws tokenizer-unsupported */
export function openTokenizer(json: unknown, config: unknown): Tokenizer {
  const parsed = jsonSchema.safeParse(json);
  if (!parsed.success) throw new WetreadError('tokenizer-unsupported', `tokenizer.json: ${z.prettifyError(parsed.error)}`);
  const settings = configSchema.safeParse(config);
  if (!settings.success) throw new WetreadError('tokenizer-unsupported', `tokenizer_config.json: ${z.prettifyError(settings.error)}`);
  const { clean_up_tokenization_spaces: cleansUp, broken_bytes: brokenBytes, words } = settings.data;
  const rule = decoderRule(parsed.data.decoder, cleansUp === true, brokenBytes, words === 'moses');
  const library = openLibrary(parsed.data, settings.data);
  const special = new Set(parsed.data.added_tokens.filter((token) => token.special).map((token) => token.content));
  let size = 0;
  for (const id of library.get_vocab(true).values()) size = Math.max(size, id + 1);
  return {
    size,
    special: [...special],
    encode(text, withSpecial) {
      if (text === '' && !withSpecial) return [];
      const split = words === 'moses' ? mosesWords(text).join(' ') : text;
      return library.encode(split, { add_special_tokens: withSpecial }).ids;
    },
    decode: (ids, specialTokens = 'hidden') =>
      decodeTokens(
        ids.map((id) => {
          const token = library.id_to_token(id);
          if (token === undefined)
            throw new WetreadError('tokenizer-unsupported', `the token id ${id} has no text, the tokenizer has ${size} ids`);
          return special.has(token) && specialTokens === 'hidden' ? null : token;
        }),
        rule,
      ),
    idOf: (token) => library.token_to_id(token) ?? null,
  };
}

function openLibrary(json: object, config: object): Library {
  try {
    return new Library(json, config);
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw new WetreadError('tokenizer-unsupported', `tokenizer.json: ${what}`, { cause });
  }
}
