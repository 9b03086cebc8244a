/**
 * Pictures and volumes of one prompt as the encoder's input: all of one side and of one depth, which the deepest image decides.
 *
 * So the tensor of an image depends on the others of its prompt. A picture is resized as Pillow does and repeated along the depth; a volume is
 * scaled by its own lowest and highest value and brought to size by taking the nearest value below, in all three axes. The authors crop
 * pictures at random even to answer; the whole picture is the repeatable reading of that.
 * Source: chaoyi-wu/RadFM, Quick_demo/test.py; src/Dataset/multi_dataset_test.py (stack_images).
 */
import type { RawImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { EncodedImage, RawVolume } from '../../encoded.ts';
import { frame, normalize, type Processor } from '../../preprocess/processor.ts';
import { channels } from './volume-encoder.ts';

/** Multiples of a patch's slices that the authors' code offers end here. */
export const deepest = 64;

/** Depths of the authors' stack_images: the nearest multiple of `step` to the deepest image, the smaller one on a tie. */
export function commonDepth(slices: readonly number[], step: number): number {
  const target = Math.max(step, ...slices);
  let best = step;
  for (let depth = step; depth <= deepest; depth += step) if (Math.abs(depth - target) < Math.abs(best - target)) best = depth;
  return best;
}

/** Index of the nearest value below, in single precision as torch computes it. */
function nearest(from: number, to: number): Int32Array {
  const scale = Math.fround(from / to);
  return Int32Array.from({ length: to }, (_, i) => Math.min(Math.floor(Math.fround(i * scale)), from - 1));
}

/** Black and the middle grey, which are one and the same to this model: its first norm takes any constant away. */
const nulls = { black: [0, 0, 0], mean: [0.5, 0.5, 0.5] } as const;

/** [1, 3, side, side, depth] from [3, side, side]. */
export function encodePicture(image: RawImage, processor: Processor, depth: number): EncodedImage {
  const { final } = frame(image, processor);
  const flat = normalize(final, processor);
  const data = new Float32Array(flat.length * depth);
  for (const [i, value] of flat.entries()) data.fill(value, i * depth, (i + 1) * depth);
  return { data, shape: [1, channels, final.height, final.width, depth], ...nulls };
}

function range(volume: RawVolume): { readonly low: number; readonly high: number } {
  const count = volume.depth * volume.height * volume.width;
  if (count === 0 || volume.values.length !== count) {
    throw new WetreadError(
      'pixel-damaged',
      `a volume of ${volume.depth} x ${volume.height} x ${volume.width} has ${volume.values.length} values`,
    );
  }
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const [i, value] of volume.values.entries()) {
    if (!Number.isFinite(value)) throw new WetreadError('not-finite', `value ${i} of the volume is ${value}, a finite number expected`);
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  // The authors divide by zero here and put random noise where NaN came out.
  if (low === high) throw new WetreadError('pixel-unsupported', `every value of the volume is ${low}: it has no range to scale by`);
  return { low, high };
}

/**
 * [1, 3, side, side, depth], three equal channels.
 * @throws pixel-damaged (values and sizes differ), pixel-unsupported (constant), not-finite
 */
export function encodeVolume(volume: RawVolume, side: number, depth: number): EncodedImage {
  const { low, high } = range(volume);
  const [rows, columns, slices] = [nearest(volume.height, side), nearest(volume.width, side), nearest(volume.depth, depth)];
  const plane = side * side * depth;
  const data = new Float32Array(channels * plane);
  let at = 0;
  for (const row of rows) {
    for (const column of columns) {
      for (const slice of slices) {
        const value = volume.values[(slice * volume.height + row) * volume.width + column] ?? Number.NaN;
        data[at++] = (value - low) / (high - low);
      }
    }
  }
  for (let channel = 1; channel < channels; channel++) data.copyWithin(channel * plane, 0, plane);
  return { data, shape: [1, channels, side, side, depth], ...nulls };
}
