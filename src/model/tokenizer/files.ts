/**
 * The tokenizer files of a checkpoint as one complete tokenizer.json: tokenizer.json where there is one, else vocab.json with merges.txt,
 * else tokenizer.model; then the tokens that tokenizer_config.json and added_tokens.json add.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { readJson } from '../json.ts';
import { convertFastBpe } from './fast-bpe.ts';
import { convertSentencePiece } from './sentencepiece.ts';

export interface TokenizerFiles {
  /** tokenizer.json, complete. */
  readonly json: Record<string, unknown>;
  /** What of tokenizer_config.json decoding and templates need. */
  readonly config: Record<string, unknown>;
  /** The file that it came from, for the import report. */
  readonly source: string;
}

const tokenName = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish();
const addedToken = z.looseObject({
  content: z.string(),
  special: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  single_word: z.boolean().default(false),
  normalized: z.boolean().default(false),
});
const configSchema = z.looseObject({
  tokenizer_class: z.string().nullish(),
  legacy: z.boolean().nullish(),
  add_bos_token: z.boolean().nullish(),
  bos_token: tokenName,
  eos_token: tokenName,
  unk_token: tokenName,
  pad_token: tokenName,
  sep_token: tokenName,
  clean_up_tokenization_spaces: z.boolean().nullish(),
  added_tokens_decoder: z.record(z.string(), addedToken).nullish(),
});
type Config = z.infer<typeof configSchema>;

/**
 * Reads the tokenizer of a folder.
 * @param loading `slow`: the authors' loader asks for the SentencePiece tokenizer with legacy=False whatever the files say, so tokenizer.model
 * comes first and no dummy prefix follows a special token
 * @throws tokenizer-unsupported naming what is missing or not built
 */
export async function readTokenizerFiles(folder: string, loading: 'as-published' | 'slow' = 'as-published'): Promise<TokenizerFiles> {
  const configPath = join(folder, 'tokenizer_config.json');
  const config = existsSync(configPath) ? await readJson(configPath, configSchema, 'tokenizer-unsupported') : configSchema.parse({});
  const { json, source } = await readBase(folder, config, loading === 'slow');
  const added = [
    ...Object.entries(config.added_tokens_decoder ?? {}).map(([id, token]) => ({ ...token, id: Number(id) })),
    ...(await addedTokens(folder)),
  ];
  const { bos_token, eos_token, unk_token, pad_token, clean_up_tokenization_spaces } = config;
  const isFastBpe = source === 'vocab.json' && config.tokenizer_class === fastBpeClass;
  return {
    json: { ...json, added_tokens: mergeAdded(json.added_tokens, added, source === 'tokenizer.model') },
    config: {
      bos_token: nameOf(bos_token),
      eos_token: nameOf(eos_token),
      unk_token: nameOf(unk_token),
      pad_token: nameOf(pad_token),
      clean_up_tokenization_spaces: clean_up_tokenization_spaces ?? false,
      ...(isFastBpe ? { words: 'moses' } : {}),
    },
    source,
  };
}

const fastBpeClass = 'BioGptTokenizer';

/** The same files where the authors decode by SentencePiece itself, which writes broken bytes one by one. */
export function decodedBySentencePiece(files: TokenizerFiles): TokenizerFiles {
  return files.source === 'tokenizer.model' ? { ...files, config: { ...files.config, broken_bytes: 'byte' } } : files;
}

function nameOf(token: z.infer<typeof tokenName>): string | null {
  return typeof token === 'object' && token !== null ? token.content : (token ?? null);
}

async function readBase(folder: string, config: Config, slow: boolean): Promise<{ json: Record<string, unknown>; source: string }> {
  const at = (name: string) => join(folder, name);
  if (existsSync(at('tokenizer.json')) && !(slow && existsSync(at('tokenizer.model')))) {
    return {
      json: await readJson(at('tokenizer.json'), z.record(z.string(), z.unknown()), 'tokenizer-unsupported'),
      source: 'tokenizer.json',
    };
  }
  if (existsSync(at('vocab.json')) && existsSync(at('merges.txt'))) {
    const vocab = await readJson(at('vocab.json'), z.record(z.string(), z.int()), 'tokenizer-unsupported');
    const merges = await readFile(at('merges.txt'), 'utf8');
    const { bos_token: bos, eos_token: eos, unk_token: unk, pad_token: pad, sep_token: sep } = config;
    if (config.tokenizer_class === fastBpeClass) {
      const names = { bos: nameOf(bos), eos: nameOf(eos), unk: nameOf(unk), pad: nameOf(pad), sep: nameOf(sep) };
      return { json: convertFastBpe(vocab, merges, names), source: 'vocab.json' };
    }
    const json = byteLevelBpe(vocab, mergeLines(merges), config.tokenizer_class ?? null);
    return { json: { ...json, added_tokens: specialTokens(vocab, [bos, eos, unk, pad, sep].map(nameOf)) }, source: 'vocab.json' };
  }
  if (existsSync(at('tokenizer.model'))) {
    const bytes = await readFile(at('tokenizer.model'));
    const options = {
      legacy: slow ? false : (config.legacy ?? true),
      addBos: config.add_bos_token ?? true,
      bos: nameOf(config.bos_token) ?? '<s>',
    };
    return { json: convertSentencePiece(bytes, options), source: 'tokenizer.model' };
  }
  throw new WetreadError(
    'tokenizer-unsupported',
    `${folder}: found neither tokenizer.json, vocab.json with merges.txt, nor tokenizer.model`,
  );
}

/** Tokens that the config names are no text to be split, wherever the vocabulary has them. Without a name it is GPT-2's. */
function specialTokens(vocab: Readonly<Record<string, number>>, names: readonly (string | null)[]): Added[] {
  const contents = new Set(names.map((name) => name ?? '<|endoftext|>').filter((content) => Object.hasOwn(vocab, content)));
  return [...contents].map((content) => ({ ...addedToken.parse({ content, special: true }), id: vocab[content] ?? 0 }));
}

/** merges.txt: a version line, then two tokens a line. */
function mergeLines(text: string): string[][] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#version'))
    .map((line) => line.split(' '));
}

/** How Qwen2 splits text before merging (its tokenizer.json). */
const qwen2Split =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

function byteLevelBpe(vocab: Record<string, number>, merges: string[][], tokenizerClass: string | null): Record<string, unknown> {
  const isQwen2 = tokenizerClass === 'Qwen2Tokenizer' || tokenizerClass === 'Qwen2TokenizerFast';
  if (!isQwen2 && tokenizerClass !== 'GPT2Tokenizer' && tokenizerClass !== 'GPT2TokenizerFast') {
    throw new WetreadError(
      'tokenizer-unsupported',
      `vocab.json: the tokenizer class ${tokenizerClass} is not known, and how it splits text no file says`,
      {
        hint: 'give the checkpoint a tokenizer.json',
      },
    );
  }
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: !isQwen2 };
  const split = { type: 'Split', pattern: { Regex: qwen2Split }, behavior: 'Isolated', invert: false };
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: [],
    normalizer: isQwen2 ? { type: 'NFC' } : null,
    pre_tokenizer: isQwen2 ? { type: 'Sequence', pretokenizers: [split, byteLevel] } : byteLevel,
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab,
      merges,
    },
  };
}

type Added = z.infer<typeof addedToken> & { readonly id: number };

/** added_tokens.json of old checkpoints: content to id. Such tokens are whole words of the text, not special. */
async function addedTokens(folder: string): Promise<Added[]> {
  const path = join(folder, 'added_tokens.json');
  if (!existsSync(path)) return [];
  const tokens = await readJson(path, z.record(z.string(), z.int().nonnegative()), 'tokenizer-unsupported');
  return Object.entries(tokens).map(([content, id]) => ({ ...addedToken.parse({ content }), id }));
}

/**
 * What stands first wins; later ones add the ids that are missing. Where `replaces`, an id that gets another content is the later one's: a
 * model's reserved pieces become chat marks (InternLM2).
 */
function mergeAdded(base: unknown, more: readonly Added[], replaces: boolean): unknown[] {
  const own = z.array(z.looseObject({ id: z.int(), content: z.string() })).safeParse(base ?? []);
  if (!own.success) throw new WetreadError('tokenizer-unsupported', 'tokenizer.json: added_tokens is no list of tokens');
  const merged = new Map<number, Added | (typeof own.data)[number]>(own.data.map((token) => [token.id, token]));
  const first = new Map(more.toReversed().map((token) => [token.id, token]));
  for (const [id, token] of first) {
    const present = merged.get(id);
    if (present === undefined || (replaces && present.content !== token.content)) merged.set(id, token);
  }
  return [...merged.entries()].sort((a, b) => a[0] - b[0]).map(([, token]) => token);
}
