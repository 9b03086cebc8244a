/**
 * The base's tokenizer and the tokens that the authors add at load: `<|endofchunk|>`, `<image>`, and `<PAD>` where the base has no padding token.
 *
 * Which ids they get follows from the base's size. What the files say decides the rest: without tokenizer.json the base is loaded as SentencePiece
 * ("slow"), which drops white space beside an added token; with it, white space stays.
 * Source: mlfoundations/open_flamingo 0.0.2 factory.py; transformers 4.28.1 tokenization_utils.py.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { readJson } from '../../json.ts';
import { decodedBySentencePiece, readTokenizerFiles, type TokenizerFiles } from '../../tokenizer/files.ts';
import { openTokenizer, type Tokenizer } from '../../tokenizer/tokenizer.ts';

export const marks = { endOfChunk: '<|endofchunk|>', image: '<image>', padding: '<PAD>' } as const;

const mapSchema = z.looseObject({ pad_token: z.unknown().optional() });

/** Whether the base's files name a padding token; special_tokens_map.json is read last by the authors' loader. */
async function hasPadding(folder: string, files: TokenizerFiles): Promise<boolean> {
  const path = join(folder, 'special_tokens_map.json');
  const map = existsSync(path) ? await readJson(path, mapSchema, 'tokenizer-unsupported') : {};
  return (map.pad_token ?? files.config.pad_token ?? null) !== null;
}

export interface FlamingoTokenizer {
  readonly files: TokenizerFiles;
  readonly tokenizer: Tokenizer;
}

/**
 * @param rows of the embedding
 * @throws tokenizer-unsupported; checkpoint-tensors when the tokenizer has other ids than the embedding has rows
 */
export async function readFlamingoTokenizer(folder: string, rows: number): Promise<FlamingoTokenizer> {
  const base = decodedBySentencePiece(await readTokenizerFiles(folder));
  const before = openTokenizer(base.json, base.config);
  const wanted = [marks.endOfChunk, marks.image, ...((await hasPadding(folder, base)) ? [] : [marks.padding])];
  const strips = base.source === 'tokenizer.model';
  const added = wanted
    .filter((content) => before.idOf(content) === null)
    .map((content, place) => ({
      id: before.size + place,
      content,
      single_word: false,
      lstrip: strips,
      rstrip: strips,
      normalized: false,
      special: true,
    }));
  const own = z.array(z.unknown()).parse(base.json.added_tokens);
  const files = { ...base, json: { ...base.json, added_tokens: [...own, ...added] } };
  const tokenizer = openTokenizer(files.json, files.config);
  if (tokenizer.size !== rows) {
    throw new WetreadError(
      'checkpoint-tensors',
      `the tokenizer has ${tokenizer.size} ids with ${wanted.join(', ')}, the embedding ${rows} rows: they are not of one checkpoint`,
    );
  }
  return { files, tokenizer };
}

/** @throws tokenizer-unsupported where the tokenizer lacks a token that every prompt needs */
export function idOf(tokenizer: Tokenizer, mark: string): number {
  const id = tokenizer.idOf(mark);
  if (id !== null) return id;
  throw new WetreadError('tokenizer-unsupported', `the tokenizer has no ${mark}, which prompts of med-flamingo need`);
}
