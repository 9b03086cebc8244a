/**
 * What both models of the PMC-VQA paper share: a LLaMA with LoRA pairs in one trainer file, the form of an answer
 * to a choice, and the terms. Source: xiaoman-zhang/PMC-VQA at 1678ec2; arXiv 2305.10415.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { mergeLora } from '../checkpoint/lora.ts';
import { openCheckpoint } from '../checkpoint/open.ts';
import type { TensorSource } from '../checkpoint/tensors.ts';
import { readJson } from '../json.ts';
import { decodedBySentencePiece, readTokenizerFiles, type TokenizerFiles } from '../tokenizer/files.ts';
import { letterId, letters } from '../tokenizer/letters.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { Published } from './import.ts';

/** lora_alpha in the authors' code; no file says it. */
const loraAlpha = 32;

/** A trainer's file with its LoRA pairs merged. @throws checkpoint-unreadable, checkpoint-hostile, checkpoint-tensors */
export async function openTrainerFile(from: string): Promise<TensorSource> {
  const source = await openCheckpoint(from);
  try {
    return mergeLora(source, loraAlpha);
  } catch (error) {
    await source.close();
    throw error;
  }
}

const languageSchema = z.looseObject({ model_type: z.string() });

/** Whether the language model's config.json (parsed), at the place of the authors' scripts, is of these families. */
export function isLlama(config: unknown): boolean {
  const parsed = languageSchema.safeParse(config);
  return parsed.success && parsed.data.model_type === 'llama';
}

/** Folders in which the authors' scripts look below the checkpoint. */
export function languageFolders(root: string): { readonly config: string; readonly tokenizer: string } {
  return { config: `${root}/llama-7b-hf/config.json`, tokenizer: `${root}/tokenizer` };
}

export async function readLanguageConfig(from: string, root: string): Promise<Record<string, unknown>> {
  return await readJson(join(from, languageFolders(root).config), z.record(z.string(), z.unknown()), 'architecture-unsupported');
}

/** The tokenizer's files, which authors load as LlamaTokenizer. @throws import-option-missing naming the folder, tokenizer-unsupported */
export async function readLanguageTokenizer(from: string, root: string): Promise<TokenizerFiles> {
  const folder = languageFolders(root).tokenizer;
  if (!existsSync(join(from, folder))) {
    throw new WetreadError(
      'import-option-missing',
      `the folder ${folder} is not in the checkpoint: the trainer's file holds no tokenizer`,
      {
        hint: 'put the tokenizer of the base model there, as the authors’ scripts load it',
      },
    );
  }
  return decodedBySentencePiece(await readTokenizerFiles(join(from, folder)));
}

/** What the first token of an answer to a choice may be; the letters that the tokenizer has no piece for are left out. */
export function letterIds(tokenizer: Tokenizer): number[] {
  return letters.flatMap((letter) => letterId(tokenizer, letter) ?? []);
}

/** For the import's report. */
export function letterNotes(tokenizer: Tokenizer): string[] {
  const missing = letters.filter((letter) => letterId(tokenizer, letter) === null);
  return missing.length === 0
    ? []
    : [`The tokenizer has no piece for ${missing.join(', ')} after a blank: no answer to a choice can be that.`];
}

/** Terms and use; `hub` names the published weights. */
export function published(hub: string, promptVersion: string): Published {
  return {
    sources: [hub, 'xiaoman-zhang/PMC-VQA'],
    license: {
      name: 'not seen for the weights; LLaMA 1 licence (decoder); MIT (code)',
      clinicalUse: false,
      commercialUse: false,
      terms:
        'Research only, not for clinical use. The weights contain LLaMA 1, whose licence is for non-commercial research, and PMC-LLaMA. Trained on figures of journals with questions written by a language model, many of which can be answered without the picture. The weights are the user’s own.',
    },
    intendedUse: {
      languages: ['en'],
      statement: 'Research on questions about single medical pictures; no reports, no clinical decisions.',
    },
    promptVersion,
  };
}
