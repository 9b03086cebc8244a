/**
 * bundle.json: what a bundle is, may be used for, and needs; everything that the service must know of a model without opening it.
 *
 * Strict: a key that this version does not know is an error, because it might mean a limit that would be ignored.
 */
import { z } from 'zod';
import { answerRulesSchema } from './answer-text.ts';
import { graphFilesSchema, modelSizesSchema } from './onnx/sizes.ts';
import { weightTypes } from './onnx/stored-weights.ts';
import { processorSchema } from './preprocess/processor.ts';

const text = z.string().min(1);
const count = z.int().positive();
const tokenId = z.int().nonnegative();
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
/** A plain name: bundle files lie in one folder. */
const fileName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/);

/** Licence of the weights and what its terms allow; null = the terms do not say. */
export const licenseSchema = z.strictObject({
  name: text,
  clinicalUse: z.boolean().nullable(),
  commercialUse: z.boolean().nullable(),
  terms: text.nullable(),
});

export const intendedUseSchema = z.strictObject({
  /** DICOM modalities (CID 29) that the model reads; empty = none declared, so nothing is drafted with it. */
  modalities: z.array(z.string().regex(/^[A-Z]{2,8}$/)),
  /** Body region ids of domain/regions.ts; empty = any. */
  regions: z.array(text),
  /** BCP 47. */
  languages: z.array(text),
  statement: text.nullable(),
});

/** What surrounds the message, and whether the tokenizer adds its own tokens (BOS) around it. */
const templateSchema = z.strictObject({
  name: text,
  before: z.string(),
  after: z.string(),
  /** White space at the ends of the message is dropped. */
  strip: z.boolean(),
  specialTokens: z.boolean(),
});
export type Template = z.infer<typeof templateSchema>;

/** What is known of an answer's form before it is there. */
const answerForm = {
  /** What the first token may be, where the answer is a choice; absent = any. */
  firstIds: z.array(tokenId).min(1).optional(),
  /**
   * Numbers of tokens that are tried where an answer is read in one pass, least first. One = the form of the answer says it; several = the
   * model does not say where an answer ends. Absent = answers are written token by token.
   */
  answerLengths: z.array(count).min(1).optional(),
};

/**
 * A task's prompt and where its words are from. Slots: `{question}`; `{options}`, one a line; `{results}`, what another model found; `{images}`,
 * or `{image}` for each, where the pictures stand (absent = before the text). A bare `{}` is part of the authors' wording. `template` = what
 * surrounds this task's message, where it is not what surrounds the others'.
 * `between` = what stands between two options, where it is no line break; `answer` = the form of this task's answer.
 */
export const taskSchema = z.strictObject({
  text,
  source: text.optional(),
  between: z.string().optional(),
  template: templateSchema.optional(),
  answer: z.strictObject(answerForm).optional(),
});

/**
 * How a prompt is worded before the task's text, where a model was trained on one wording. Absent keys, and null as a whole, are the service's
 * general wording, whose schema (prompt/wording.ts) says the slots.
 */
export const wordingSchema = z
  .strictObject({
    order: z.array(z.enum(['history', 'images', 'task'])),
    history: z.string(),
    historySeparator: z.string(),
    historyNone: z.string(),
    historyMaxTokens: count,
    historyItem: z.record(z.string(), z.string()),
    labels: z
      .strictObject({
        current: z.string(),
        prior: z.string(),
        currentSlice: z.string(),
        priorSlice: z.string(),
        currentImage: z.string(),
        priorImage: z.string(),
      })
      .partial(),
    /** Before each of several pictures of which nothing is known but its number, slot {number}. */
    numbered: z.string(),
    afterImage: z.string(),
    afterSlice: z.string(),
  })
  .partial();

/**
 * `expand`: the placeholder is one token of the vocabulary, repeated once per visual token (HF). `splice`: text is tokenised piece by piece
 * and the id, which is no token, stands for an image between two pieces (original form, -200). `replace`: the placeholder is one token of the
 * vocabulary, there once per image. `indexed`: id and id + 1 are the marks around an image, and every visual row has an id of its own after them.
 * `slot`: the text stands once in the template, for the one picture; the pieces of the template around it and the message are tokenised each by
 * itself, and the id, whose row is overwritten, is there once per visual row.
 */
const placeholderSchema = z.strictObject({ rule: z.enum(['expand', 'splice', 'replace', 'indexed', 'slot']), text, id: z.int() });

/** Sampling and penalties as the authors' code or files set them. */
export const publishedGenerationSchema = z.strictObject({
  source: text,
  temperature: z.number().nonnegative().optional(),
  topP: z.number().positive().max(1).optional(),
  topK: count.optional(),
  repetitionPenalty: z.number().positive().optional(),
  noRepeatNgram: count.optional(),
  beams: count.optional(),
});
export type PublishedGeneration = z.infer<typeof publishedGenerationSchema>;

/** Another model that this one may ask for in its answer (domain/expert-request.ts); null = it takes no argument. */
const expertSchema = z.strictObject({
  name: text,
  what: text,
  arguments: z.strictObject({ known: z.array(text).readonly(), absent: text }).nullable(),
});

const windowSchema = z
  .tuple([z.number(), z.number()])
  .readonly()
  .refine(([low, high]) => low < high, 'a window ends above its beginning');

/**
 * Solved examples that stand before a question, each a picture and its text: of the importer, who says where they are from and under which
 * licence they may be shown. A prompt of no task has them too.
 */
const exemplarsSchema = z.strictObject({
  source: text,
  license: text,
  /** Names of the tasks before whose prompts they stand. */
  tasks: z.array(text),
  before: z.string(),
  items: z.array(z.strictObject({ image: fileName, text })).min(1),
});

export const attributionSchema = z.strictObject({
  /** Support per token, natural log, above which an image may be cited; null = not calibrated. */
  threshold: z.strictObject({ value: z.number(), device: text, numberType: text }).nullable(),
  /** Cite without a threshold: for test bundles, whose support means nothing. */
  citeUncalibrated: z.boolean(),
  budgetMs: count,
});

export const limitsSchema = z.strictObject({
  maxImages: count,
  /** Prompt and answer together, in decoder rows. */
  contextTokens: count,
  maxNewTokens: count,
});

export const manifestSchema = z.strictObject({
  format: z.literal(1),
  name: text,
  version: text,
  family: text,
  manufacturer: text.nullable(),
  /** Where the weights came from: repositories or files, in the importer's words. */
  sources: z.array(text),
  license: licenseSchema,
  /** 'test': random or test weights, refused outside the environments test and sandbox. */
  stamped: z.literal('test').nullable(),
  intendedUse: intendedUseSchema,
  limits: limitsSchema,
  tasks: z.record(z.string(), taskSchema),
  wording: wordingSchema.nullable(),
  /** What is asked in turn, by the task vqa_open, where there is no task "report"; absent = the service's one question. */
  questions: z.array(text).min(1).optional(),
  promptVersion: text,
  generation: z.strictObject({
    stopIds: z.array(tokenId),
    minNewTokens: z.int().nonnegative(),
    /** What the first minNewTokens may not be, where it is not all of stopIds. */
    barredIds: z.array(tokenId).optional(),
    /** The model cannot write its end: an answer that reaches its length says so, where another's is cut off. */
    endless: z.literal(true).optional(),
    /** What of the text is the answer; absent = all. */
    text: answerRulesSchema.optional(),
    /** Settings that the authors publish and that are not followed here: answers are greedy, or of `beams`, so that they can be repeated. */
    published: publishedGenerationSchema.optional(),
    /** Beam search (runtime/beam-search.ts) with so many beams; absent = the likeliest token at each step. */
    beams: z.strictObject({ count, rule: z.literal('length-averaged') }).optional(),
    ...answerForm,
  }),
  experts: z.array(expertSchema).readonly().optional(),
  attribution: attributionSchema,
  /** How the weights are stored (onnx/stored-weights.ts); computing is in fp32. */
  numberType: z.enum(weightTypes),
  prompt: z.strictObject({
    template: templateSchema,
    placeholder: placeholderSchema,
    /** A token id whose row is all zeros in a prompt with images, because the authors' code blanks its padding there. */
    zeroRowId: tokenId.optional(),
    /** Which image a row of the prompt sees by cross-attention: the next one, or the last one before it. */
    mediaMask: z.enum(['following', 'preceding']).optional(),
    /** Tokens of a question beyond which it is cut, as the authors' training did; absent = a question is never cut. */
    maxQuestionTokens: count.optional(),
  }),
  exemplars: exemplarsSchema.optional(),
  processor: processorSchema,
  /** Windows of red, green and blue in which CT is shown, [low, high] in Hounsfield units; absent = in grey, in the window of its file. */
  ctWindows: z.tuple([windowSchema, windowSchema, windowSchema]).readonly().optional(),
  /** Which of many slices are shown (prompt/plan.ts); absent = the middle of each of equal stretches. */
  sliceRule: z.enum(['middles', 'ends']).optional(),
  /** Slices that every image of a prompt is brought to: a multiple of `step`, at most `most`. Absent = the encoder takes flat pictures. */
  depth: z.strictObject({ step: count, most: count }).optional(),
  /** Pictures as patch rows at a size of their own; edges in pixels, `merge` in patches, `window` in merged units. Absent = one size for all. */
  patches: z.strictObject({ minPixels: count, maxPixels: count, patch: count, temporal: count, merge: count, window: count }).optional(),
  tokenizer: z.strictObject({ json: fileName, config: fileName }),
  graphs: graphFilesSchema,
  sizes: modelSizesSchema,
  files: z.record(fileName, z.strictObject({ sha256, bytes: z.int().nonnegative() })),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** The manifest with template and form of answer of one of its tasks; without a task, or where the task has none of its own, as it is. */
export function forTask(manifest: Manifest, task: string | undefined): Manifest {
  const { template, answer } = (task === undefined ? undefined : manifest.tasks[task]) ?? {};
  return {
    ...manifest,
    ...(template === undefined ? {} : { prompt: { ...manifest.prompt, template } }),
    ...(answer === undefined ? {} : { generation: { ...manifest.generation, ...answer } }),
  };
}
