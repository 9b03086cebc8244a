/** What a model wrote for one prompt, token by token, so that sentences can be scored over their own tokens. */

import type { ExpertRequest } from './expert-request.ts';

/** A grey or RGB image as it crosses to the engine's process: height x width x channels, 8 bit, rows first. */
export interface RawImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly pixels: Uint8Array;
}

/** The prompt as it crosses to the engine's process: text and images in order, before the family's template. */
export type PromptPart =
  | { readonly kind: 'text'; readonly text: string }
  | {
      readonly kind: 'image';
      readonly image: RawImage;
      /** Of the bundle, not of the question (an exemplar's picture): no limit on images counts it, and no subset is without it. */
      readonly isFixed?: true;
    };

export interface Answer {
  readonly text: string;
  /** New token ids, the stop included if it was produced. */
  readonly tokens: readonly number[];
  /** For each token its [start, end) in `text` (UTF-16 units); a stop token has an empty span at the end. */
  readonly spans: readonly (readonly [number, number])[];
  /** Natural log of each token's probability when it was chosen. */
  readonly logProbs: readonly number[];
  readonly stop: 'stop' | 'length' | 'repetition';
  /** What must be known with this answer, one sentence: that its length is a guess, or that the model writes no end. */
  readonly note?: string;
  /** Rows of the prompt after the images' tokens were put in. */
  readonly promptTokens: number;
  readonly images: number;
  /** What the model asks other models for, where its bundle knows any; such a mark stands in `text` and is no finding. */
  readonly requests?: readonly ExpertRequest[];
}

/** The two null images: raw value 0, and the processor's mean colour (zeros after normalisation). */
export type NullImage = 'black' | 'mean';

/**
 * Log-probabilities of an answer's tokens when only the images with keep[i] = true are shown and the others are nulled in place.
 * One number per token of the answer, natural log.
 */
export type Scorer = (keep: readonly boolean[], nullImage: NullImage) => Promise<readonly number[]>;
