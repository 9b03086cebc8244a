/**
 * What the engine must know of a bundle's graphs, as bundle.json holds it: nothing of it can be guessed from an example.
 * Strict: a key that this version does not know is refused.
 */
import { z } from 'zod';

/** What a provider must have shown to compute rightly before it runs the graphs. */
export const abilities = ['attention', 'window', 'softcap', 'rows8'] as const;
export type Ability = (typeof abilities)[number];

const count = z.number().int().positive();

export const modelSizesSchema = z.strictObject({
  /** Width of a decoder row. */
  hiddenSize: count,
  /** Layers with a key-value cache; 0 = the decoder takes all rows of a prompt in one pass and keeps nothing. */
  layers: z.number().int().nonnegative(),
  kvHeads: count,
  /** Values per head in the key-value cache. */
  headDim: count,
  /** Rows of the head; may be more than the tokenizer has. */
  vocabSize: count,
  /** Rows of the embedding, where it has more than the head: marks around images. */
  embeddingRows: count.optional(),
  /** Longest prompt and answer together, in decoder rows. */
  contextTokens: count,
  /** Rows per image that the decoder sees. */
  visualTokens: count,
  /** Width of these rows where the decoder sees them by cross-attention (inputs media, media_time); absent = they stand in the prompt. */
  mediaWidth: count.optional(),
  /** Axes of the decoder's input position_ids; absent = a row's position is its index, and there is no such input. */
  positionAxes: count.optional(),
  /**
   * Rows of learned keys and values that stand before every prompt (prefix tuning): outputs past_key_values.N.key and .value of the embedding
   * graph. They are not counted in contextTokens. Absent = none.
   */
  virtualRows: count.optional(),
  needs: z.array(z.enum(abilities)),
});

export type ModelSizes = z.infer<typeof modelSizesSchema>;

/** Decoder rows that an image takes in the prompt, where all take the same number. */
export function rowsInPrompt(sizes: ModelSizes): number {
  return sizes.mediaWidth === undefined ? sizes.visualTokens : 0;
}

/** File names inside the bundle. */
export const graphFilesSchema = z.strictObject({
  vision: z.string().min(1),
  embedding: z.string().min(1),
  decoder: z.string().min(1),
  data: z.string().min(1),
});

export type GraphFiles = z.infer<typeof graphFilesSchema>;
