/**
 * Qwen2-VL's image processor: a size whose edges are multiples of patch x merge and whose area lies between two limits, then patch rows.
 * The surprise: edges are rounded half to even, the area test uses the rounded size, the scale the original one.
 * Source: transformers models/qwen2_vl/image_processing_qwen2_vl.py.
 */

import { z } from 'zod';
import type { RawImage } from '#domain/answer.ts';
import { roundHalfEven } from '#domain/ct-windows.ts';
import { WetreadError } from '#domain/errors.ts';
import { normalize, type Processor } from './processor.ts';
import { resize } from './resize.ts';

const count = z.int().positive();
const triple = z.tuple([z.number(), z.number(), z.number()]);

/** preprocessor_config.json; new files write the areas as size.shortest_edge and size.longest_edge. */
const configSchema = z.looseObject({
  min_pixels: count.nullish(),
  max_pixels: count.nullish(),
  size: z.looseObject({ shortest_edge: count.optional(), longest_edge: count.optional() }).nullish(),
  patch_size: count.default(14),
  temporal_patch_size: count.default(2),
  merge_size: count.default(2),
  rescale_factor: z.number().default(1 / 255),
  image_mean: triple.default([0.48145466, 0.4578275, 0.40821073]),
  image_std: triple.default([0.26862954, 0.26130258, 0.27577711]),
});

export interface PatchProcessor {
  readonly minPixels: number;
  readonly maxPixels: number;
  readonly patch: number;
  readonly temporal: number;
  readonly merge: number;
  readonly values: Pick<Processor, 'scale' | 'mean' | 'std'>;
}

/** @throws architecture-unsupported */
export function readPatchProcessor(config: unknown): PatchProcessor {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) throw new WetreadError('architecture-unsupported', `preprocessor_config.json: ${z.prettifyError(parsed.error)}`);
  const keys = parsed.data;
  return {
    minPixels: keys.min_pixels ?? keys.size?.shortest_edge ?? 56 * 56,
    maxPixels: keys.max_pixels ?? keys.size?.longest_edge ?? 28 * 28 * 1280,
    patch: keys.patch_size,
    temporal: keys.temporal_patch_size,
    merge: keys.merge_size,
    values: { scale: keys.rescale_factor, mean: keys.image_mean, std: keys.image_std },
  };
}

/** Height and width after the resize. @throws pixel-unsupported for a picture over 200 times longer than wide */
export function smartSize(height: number, width: number, processor: PatchProcessor): { height: number; width: number } {
  if (Math.max(height, width) / Math.min(height, width) > 200) {
    throw new WetreadError('pixel-unsupported', `a picture of ${width} x ${height} is over 200 times longer than wide`);
  }
  const factor = processor.patch * processor.merge;
  const rounded = { height: roundHalfEven(height / factor) * factor, width: roundHalfEven(width / factor) * factor };
  const area = rounded.height * rounded.width;
  if (area > processor.maxPixels) {
    const beta = Math.sqrt((height * width) / processor.maxPixels);
    const edge = (size: number) => Math.max(factor, Math.floor(size / beta / factor) * factor);
    return { height: edge(height), width: edge(width) };
  }
  if (area >= processor.minPixels) return rounded;
  const beta = Math.sqrt(processor.minPixels / (height * width));
  const edge = (size: number) => Math.ceil((size * beta) / factor) * factor;
  return { height: edge(height), width: edge(width) };
}

/**
 * Patch rows [grid rows x grid columns, 3 x temporal x patch x patch] f32. Rows go block row, block column, row and column in the block;
 * values channel, time, y, x; a still picture fills every time with the same values.
 */
export function patchRows(image: RawImage, processor: PatchProcessor): { readonly resized: RawImage; readonly rows: Float32Array } {
  const { patch, temporal, merge } = processor;
  const { height, width } = smartSize(image.height, image.width, processor);
  const resized = resize(image, width, height, 'bicubic');
  const values = normalize(resized, processor.values);
  const rows = new Float32Array(3 * temporal * width * height);
  let to = 0;
  for (const [top, left] of patchCorners(height / patch, width / patch, merge)) {
    for (let channel = 0; channel < 3; channel++) {
      for (let time = 0; time < temporal; time++) {
        for (let y = 0; y < patch; y++) {
          const from = (channel * height + top * patch + y) * width + left * patch;
          rows.set(values.subarray(from, from + patch), to);
          to += patch;
        }
      }
    }
  }
  return { resized, rows };
}

/** [row, column] of each patch of the grid, merge block by merge block. */
function* patchCorners(rows: number, columns: number, merge: number): Generator<[number, number]> {
  for (let blockRow = 0; blockRow < rows; blockRow += merge) {
    for (let blockColumn = 0; blockColumn < columns; blockColumn += merge) {
      for (let row = 0; row < merge; row++) for (let column = 0; column < merge; column++) yield [blockRow + row, blockColumn + column];
    }
  }
}
