/**
 * A prompt in the form that an engine runs: token ids with images in their places, and the images as the encoder's input tensors.
 * Families produce it (`families/<family>/prompt.ts`, `preprocess.ts`), the engine consumes it.
 */
import type { PromptPart } from '#domain/answer.ts';

export interface EncodedImage {
  /** Encoder input, e.g. [1, 3, height, width] f32, normalised. */
  readonly data: Float32Array;
  readonly shape: readonly number[];
  /** Value per channel of a raw 0 after normalisation, (0 - mean) / std: the black null. The mean null is all zeros, unless `mean` says otherwise. */
  readonly black: readonly number[];
  /** Value per channel of the mean null, where it is another than zero. */
  readonly mean?: readonly number[];
  /** Values of one channel that stand together, after which the next channel's follow; absent = each channel is one plane. */
  readonly channelRun?: number;
  /** Decoder rows of this image, where pictures have different numbers of them; absent = the bundle's visualTokens. */
  readonly rows?: number;
  /** What the encoder reads beside pixel_values, by the names of its graph. */
  readonly inputs?: Readonly<Record<string, EncoderInput>>;
  /** Of the bundle, not of the question (an exemplar's picture): always shown, in no subset of attribution. */
  readonly isFixed?: boolean;
}

export interface EncoderInput {
  readonly data: Float32Array | BigInt64Array;
  readonly shape: readonly number[];
}

/**
 * Position of every row of a prompt on each rotary axis, [axes][rows]; a row after the prompt has the largest + 1, then + 2, on all axes.
 * gemma3 has one axis, which is not rotary: the last row that a row sees.
 */
export type AxisPositions = readonly (readonly number[])[];

/**
 * Which image each row sees by cross-attention: 1 = the first image part of the prompt, 0 = none. An image part then takes no rows: it stands
 * before the first row that depends on the image.
 */
export interface Sight {
  readonly rows: readonly number[];
  /** What every row after the prompt sees. */
  readonly after: number;
}

/** Slices of one volume as they are stored, any range of numbers: depth x height x width. */
export interface RawVolume {
  readonly depth: number;
  readonly height: number;
  readonly width: number;
  readonly values: Float32Array;
}

/** A volume in a prompt, for families that take one as one image. */
export interface VolumePart {
  readonly kind: 'volume';
  readonly volume: RawVolume;
}

/** A prompt as it crosses to the engine's process, before the family's template. */
export type Part = PromptPart | VolumePart;

export type EncodedPart = { readonly kind: 'tokens'; readonly ids: readonly number[] } | { readonly kind: 'image'; readonly image: number };

export interface EncodedPrompt {
  readonly parts: readonly EncodedPart[];
  readonly images: readonly EncodedImage[];
  /** A token id whose rows in this prompt are all zeros. */
  readonly zeroRowId?: number | undefined;
  /** Where a row's position is not its index. */
  readonly positions?: AxisPositions;
  /** Where the decoder sees images by cross-attention. */
  readonly sight?: Sight;
  /** Rows of the prompt whose logits give the answer, a token each, in one pass; absent = the answer is written after the prompt. */
  readonly answerRows?: readonly number[];
  /** The text after templating, placeholders as the authors write them; null where the family splices tensors without any. */
  readonly text: string | null;
  /** Token ids with the authors' placeholder ids, as the authors' processor gives them (parity). */
  readonly inputIds: readonly number[];
}
