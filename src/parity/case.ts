/** Golden cases: where they lie and what they hold. Keys beyond these are explained in the set's own notes and not checked here. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';

const numbers = z.array(z.number());
const table = z.record(z.string().regex(/^[01]+$/), z.number());

const caseSchema = z.looseObject({ family: z.string() });

export const modelCaseSchema = z.looseObject({
  family: z.string(),
  segments: z.array(z.union([z.strictObject({ text: z.string() }), z.strictObject({ image: z.string() })])),
  template: z.string().nullable().default(null),
  system: z.string().nullish(),
  prompt_text: z.string().nullish(),
  input_ids: numbers.nullish(),
  generation: z
    .looseObject({
      max_new_tokens: z.int(),
      stop_ids: numbers,
      min_new_tokens: z.int().nullish(),
      num_beams: z.int().positive().nullish(),
      /** How beams are compared, where it is not as the transformers library does it. */
      beam_rule: z.literal('length-averaged').nullish(),
      /** Tokens of the question, beyond which the authors cut it. */
      max_question_tokens: z.int().positive().nullish(),
    })
    .nullish(),
  output_ids: numbers.nullish(),
  output_text: z.string().nullish(),
  /** Every beam of the search, best first. */
  beams: z.array(z.looseObject({ ids: numbers, mean_log_prob: z.number() })).nullish(),
  answer_ids: numbers.nullish(),
  logits_from: z.int().nullish(),
  prompt_length: z.int().nullish(),
  /** Options of a choice, to be put after the question in the authors' way; the log-probability of each one's letter as the answer's first token. */
  choices: z.array(z.string()).nullish(),
  letter_log_probs: z.record(z.string(), z.number()).nullish(),
  /** Tokens of an answer that is read in one pass. */
  mask_count: z.int().positive().nullish(),
  score: z
    .looseObject({
      images: z.int(),
      null_black: table.nullish(),
      null_mean: table.nullish(),
      shapley_black: numbers.nullish(),
      shapley_mean: numbers.nullish(),
      leave_one_out_black: numbers.nullish(),
      leave_one_out_mean: numbers.nullish(),
      keep_one_in_black: numbers.nullish(),
      keep_one_in_mean: numbers.nullish(),
    })
    .nullish(),
  tolerance: z.looseObject({ abs: z.number(), rel: z.number() }).default({ abs: 1e-4, rel: 1e-3 }),
});
export type ModelCase = z.infer<typeof modelCaseSchema>;

export const preprocessingCaseSchema = z.looseObject({
  processor: z.string(),
  config: z.record(z.string(), z.unknown()).nullish(),
  input: z.string(),
  steps: z.array(z.looseObject({ op: z.string(), rule: z.string().optional(), filter: z.string().optional(), size: numbers.optional() })),
  resized: z.string().nullish(),
  final: z.string().nullish(),
  tolerance: z.looseObject({ grey: z.number().default(0), abs: z.number().default(1e-5) }).default({ grey: 0, abs: 1e-5 }),
});
export type PreprocessingCase = z.infer<typeof preprocessingCaseSchema>;

export interface CaseFile {
  /** Path below the golden folder, without .json. */
  readonly name: string;
  readonly path: string;
  /** The folder that holds cases/, images/ and the checkpoint. */
  readonly folder: string;
  /** null where the file is no case: `problem` says why. */
  readonly family: string | null;
  readonly json: unknown;
  readonly problem: string | null;
}

/** Every cases/*.json below `golden` at any depth, sorted by path. @throws usage when the folder is not there */
export async function findCases(golden: string): Promise<CaseFile[]> {
  const entries = await readdir(golden, { recursive: true, withFileTypes: true }).catch((cause: unknown) => {
    throw new WetreadError('usage', `${golden}: no folder that can be read`, { cause });
  });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.json') && basename(entry.parentPath) === 'cases')
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  return await Promise.all(paths.map((path) => readCase(golden, path)));
}

async function readCase(golden: string, path: string): Promise<CaseFile> {
  const file = { name: relative(golden, path).replace(/\.json$/, ''), path, folder: dirname(dirname(path)) };
  try {
    const json: unknown = JSON.parse(await readFile(path, 'utf8'));
    return { ...file, json, family: caseSchema.parse(json).family, problem: null };
  } catch (error) {
    return { ...file, json: null, family: null, problem: `no case: ${error instanceof Error ? error.message : String(error)}` };
  }
}

/** The tensors' file of a case: the same name with .safetensors. */
export function tensorsPath(file: CaseFile): string {
  return file.path.replace(/\.json$/, '.safetensors');
}
