/**
 * What every family whose authors published a Hugging Face folder reads beside its weights: image processor, end-of-text ids, and whether
 * tokenizer and embedding are of one checkpoint. A file that is missing is asked for by name.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { readJson } from '../json.ts';
import { outputSize, type Processor } from '../preprocess/processor.ts';
import type { TokenizerFiles } from '../tokenizer/files.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';

const anyObject = z.record(z.string(), z.unknown());
/** One id or several, as eos_token_id is written. */
export const endIdSchema = z.union([z.int(), z.array(z.int())]).nullish();
const generationSchema = z.looseObject({ eos_token_id: endIdSchema });

/** The head may have rows beyond the tokenizer (never sampled), the tokenizer must not have ids beyond the head. @throws checkpoint-tensors */
export function checkVocabulary(tokenizer: Tokenizer, vocabSize: number): void {
  if (tokenizer.size <= vocabSize) return;
  throw new WetreadError(
    'checkpoint-tensors',
    `the tokenizer has ${tokenizer.size} ids, the embedding ${vocabSize} rows: they are not of one checkpoint`,
  );
}

/** The ids that the authors set after loading must be the tokens that they mean. @throws tokenizer-unsupported with both ids */
export function checkIds(tokenizer: Tokenizer, ids: Readonly<Record<string, number>>): void {
  for (const [token, id] of Object.entries(ids)) {
    const found = tokenizer.idOf(token);
    if (found !== id)
      throw new WetreadError('tokenizer-unsupported', `the tokenizer gives ${token} the id ${found}, the model was trained with ${id}`);
  }
}

/**
 * preprocessor_config.json of the first folder that has one, or the section of the first folder's processor_config.json that newer
 * versions write.
 * @param towerName what the config calls its tower, for the message; null = it names none
 * @throws import-option-missing when there is none
 */
export async function processorConfig(folders: readonly [string, ...string[]], towerName: string | null): Promise<unknown> {
  for (const folder of folders) {
    const path = join(folder, 'preprocessor_config.json');
    if (existsSync(path)) return await readJson(path, anyObject, 'architecture-unsupported');
  }
  const path = join(folders[0], 'processor_config.json');
  if (existsSync(path)) {
    const { image_processor: section } = await readJson(
      path,
      z.looseObject({ image_processor: anyObject.optional() }),
      'architecture-unsupported',
    );
    if (section !== undefined) return section;
  }
  throw new WetreadError('import-option-missing', 'no preprocessor_config.json is in the checkpoint or beside it', {
    hint: `take it from the repository of ${towerName ?? 'the vision tower'} and name its folder with --tower`,
  });
}

/** The processor's pictures must be squares of the tower's size. @throws architecture-unsupported with both sizes */
export function checkPictureSize(processor: Processor, expected: number): void {
  const size = outputSize(processor);
  if (size?.height === expected && size.width === expected) return;
  const found = size === null ? 'pictures of many sizes' : `${size.height} x ${size.width}`;
  throw new WetreadError(
    'architecture-unsupported',
    `the image processor gives ${found}, the vision tower takes ${expected} x ${expected}`,
  );
}

/** @throws tokenizer-unsupported where the tokenizer lacks a token that every prompt of the family needs */
export function tokenId(tokenizer: Tokenizer, token: string, family: string): number {
  const id = tokenizer.idOf(token);
  if (id !== null) return id;
  throw new WetreadError('tokenizer-unsupported', `the tokenizer has no ${token}, which every prompt of ${family} needs`);
}

/** @throws tokenizer-unsupported where config and tokenizer call another token by an id */
export function checkTokenId(tokenizer: Tokenizer, token: string, configured: number, family: string): void {
  const found = tokenId(tokenizer, token, family);
  if (found === configured) return;
  throw new WetreadError('tokenizer-unsupported', `config.json says that ${token} has the id ${configured}, the tokenizer says ${found}`);
}

/**
 * End-of-text ids: of generation_config.json, else of config.json, else of the tokenizer's own end token.
 * @param configured eos_token_id of config.json
 * @throws import-option-missing when no file names one
 */
export async function endIds(
  from: string,
  configured: z.infer<typeof endIdSchema>,
  tokenizer: Tokenizer,
  files: TokenizerFiles,
): Promise<number[]> {
  const path = join(from, 'generation_config.json');
  const generation = existsSync(path) ? await readJson(path, generationSchema, 'architecture-unsupported') : {};
  const name = files.config.eos_token;
  const own = typeof name === 'string' ? tokenizer.idOf(name) : null;
  const found = [generation.eos_token_id ?? configured ?? own].flat();
  const ids = found.filter((id) => id !== null);
  if (ids.length > 0) return ids;
  throw new WetreadError(
    'import-option-missing',
    'no end-of-text token is named in generation_config.json, config.json or tokenizer_config.json',
  );
}
