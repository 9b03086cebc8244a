/**
 * Pillow's Image.resize for 8-bit pictures, to the grey level (Pillow before 13: horizontal pass first, always).
 *
 * The rule that surprises: after the horizontal pass values are rounded and clipped to 8 bit, and the filter widens with the reduction
 * (antialias), which no other library does in the same way. Source: python-pillow Resample.c.
 */
import type { RawImage } from '#domain/answer.ts';

export const filters = ['bilinear', 'bicubic', 'lanczos'] as const;
export type Filter = (typeof filters)[number];

const support: Readonly<Record<Filter, number>> = { bilinear: 1, bicubic: 2, lanczos: 3 };

const kernel: Readonly<Record<Filter, (x: number) => number>> = {
  bilinear: (x) => Math.max(0, 1 - Math.abs(x)),
  bicubic: (x) => {
    const t = Math.abs(x);
    const a = -0.5;
    if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
    return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
  },
  lanczos: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0),
};

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

const precisionBits = 22;

/** Weights of one axis: output i is the sum over k < count[i] of weights[i * width + k] * input[first[i] + k]. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly width: number;
  /** Fixed point with 22 fraction bits. */
  readonly weights: Int32Array;
}

function tapsOf(from: number, to: number, filter: Filter): Taps {
  const scale = from / to;
  const filterScale = Math.max(scale, 1);
  const reach = support[filter] * filterScale;
  const width = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * width);
  const row = new Float64Array(width);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const low = Math.max(Math.trunc(center - reach + 0.5), 0);
    const high = Math.min(Math.trunc(center + reach + 0.5), from);
    let sum = 0;
    for (let x = low; x < high; x++) {
      const weight = kernel[filter]((x - center + 0.5) / filterScale);
      row[x - low] = weight;
      sum += weight;
    }
    for (let k = 0; k < high - low; k++) {
      const weight = ((row[k] ?? 0) / sum) * 2 ** precisionBits;
      weights[i * width + k] = weight < 0 ? Math.trunc(weight - 0.5) : Math.trunc(weight + 0.5);
    }
    first[i] = low;
    count[i] = high - low;
  }
  return { first, count, width, weights };
}

/**
 * One pass along one axis. The picture is seen as outer x axis x inner values: inner is the number of values between two neighbours of the
 * axis (channels for the horizontal pass, a whole row for the vertical one).
 */
function pass(pixels: Uint8Array, outer: number, from: number, inner: number, to: number, filter: Filter): Uint8Array {
  const { first, count, width, weights } = tapsOf(from, to, filter);
  const out = new Uint8ClampedArray(outer * to * inner);
  // The hot loop: indices are inside the arrays by construction of the taps, so ?? never takes its right side.
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < to; i++) {
      const start = (o * from + (first[i] ?? 0)) * inner;
      const taps = count[i] ?? 0;
      for (let c = 0; c < inner; c++) {
        let sum = 2 ** (precisionBits - 1);
        for (let k = 0; k < taps; k++) sum += (weights[i * width + k] ?? 0) * (pixels[start + k * inner + c] ?? 0);
        out[(o * to + i) * inner + c] = sum >> precisionBits;
      }
    }
  }
  return new Uint8Array(out.buffer);
}

/** `image` resized to width x height; an axis whose size does not change is left alone. */
export function resize(image: RawImage, width: number, height: number, filter: Filter): RawImage {
  const { channels } = image;
  let { pixels } = image;
  if (width !== image.width) pixels = pass(pixels, image.height, image.width, channels, width, filter);
  if (height !== image.height) pixels = pass(pixels, 1, image.height, width * channels, height, filter);
  return { width, height, channels, pixels };
}
