/**
 * What the authors' files do not say and the importer must be told: name, prompts, intended use, licence, limits, calibration.
 * It comes from `wetread.json` in or beside the checkpoint's folder, and from the importer's options, which win key by key.
 */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { attributionSchema, intendedUseSchema, licenseSchema, limitsSchema, taskSchema, wordingSchema } from './bundle-manifest.ts';
import { readJson } from './json.ts';

export const metadataSchema = z.strictObject({
  name: z.string().min(1).optional(),
  version: z.string().min(1).optional(),
  manufacturer: z.string().min(1).nullable().optional(),
  sources: z.array(z.string().min(1)).optional(),
  license: licenseSchema.partial().optional(),
  stamped: z.literal('test').nullable().optional(),
  intendedUse: intendedUseSchema.partial().optional(),
  limits: limitsSchema.partial().optional(),
  tasks: z.record(z.string(), taskSchema).optional(),
  wording: wordingSchema.nullable().optional(),
  /** What a model that writes no report is asked in turn. */
  questions: z.array(z.string().min(1)).min(1).optional(),
  promptVersion: z.string().min(1).optional(),
  attribution: attributionSchema.partial().optional(),
  /** Name of one of the family's templates. */
  template: z.string().min(1).optional(),
  /** Pad pictures to a square in the mean colour first, where the family's authors did it both ways; absent = as the files say. */
  pad: z.boolean().optional(),
  /** Side of the pictures in pixels, where no file says it or the encoder takes several. */
  imageSize: z.int().positive().optional(),
  /** Attention heads of learned queries, where no file says them (medvint-td). */
  qformerHeads: z.int().positive().optional(),
  /** Which picture a text sees (med-flamingo): the next one, or the last one before it. No file says it. */
  mediaMask: z.enum(['following', 'preceding']).optional(),
  /** Folder of the language model that the checkpoint was trained on top of, from the checkpoint's folder on (med-flamingo). */
  base: z.string().min(1).optional(),
  /** Folder or file of the vision tower, as --tower, from the checkpoint's folder on. */
  tower: z.string().min(1).optional(),
  /** Solved examples before each question (med-flamingo); paths of pictures from the checkpoint's folder on. */
  exemplars: z
    .strictObject({
      source: z.string().min(1),
      license: z.string().min(1),
      items: z.array(z.strictObject({ image: z.string().min(1), question: z.string().min(1), answer: z.string().min(1) })).min(1),
    })
    .optional(),
  /** Order of merged 2 x 2 blocks (vila-m3), where the checkpoint's version does not settle it. */
  mergeOrder: z.enum(['columns', 'rows']).optional(),
  /** lora_alpha of LoRA pairs (prefix-vqa), where it is not that of the authors' code. */
  loraAlpha: z.number().positive().optional(),
  /** Tokens of a question beyond which it is cut, as in training (prefix-vqa); absent = a question is never cut. */
  maxQuestionTokens: z.int().positive().optional(),
});
export type Metadata = z.infer<typeof metadataSchema>;

const metadataFile = 'wetread.json';

/** Metadata of a checkpoint folder with the importer's own on top. @throws import-option-missing when wetread.json is malformed */
export async function readMetadata(folder: string, own: Metadata): Promise<Metadata> {
  const path = [join(folder, metadataFile), join(dirname(folder), metadataFile)].find((candidate) => existsSync(candidate));
  const base: Metadata = path === undefined ? {} : await readJson(path, metadataSchema, 'import-option-missing');
  return mergeMetadata(base, own);
}

/** `own` on top of `base`, key by key. */
export function mergeMetadata(base: Metadata, own: Metadata): Metadata {
  return {
    ...base,
    ...own,
    license: { ...base.license, ...own.license },
    intendedUse: { ...base.intendedUse, ...own.intendedUse },
    limits: { ...base.limits, ...own.limits },
    attribution: { ...base.attribution, ...own.attribution },
    ...(base.tasks || own.tasks ? { tasks: { ...base.tasks, ...own.tasks } } : {}),
  };
}
