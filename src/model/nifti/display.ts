/**
 * A NIfTI volume's slices as 8-bit grey. A file says little of how it is to be shown, so the range is chosen and said.
 *
 * The window that is asked for; else the file's own display range (cal_min, cal_max); else the 0.5 and 99.5 percentiles of the whole volume,
 * so that its slices can be compared.
 */
import type { RawImage } from '#domain/answer.ts';
import type { RawVolume } from '../encoded.ts';
import type { NiftiVolume } from './volume.ts';

export interface Range {
  readonly low: number;
  readonly high: number;
  /** For a reader: where the range is from. */
  readonly origin: string;
  /** Nobody said it: it was taken from the values. */
  readonly isGuess: boolean;
}

const bins = 65_536;
/** Values of a volume that are looked at for its percentiles, evenly spread. */
const mostSampled = 2 ** 22;

/** Values at 0.5 and 99.5 percent, to a 65536th of the whole range. */
function percentiles(all: Float32Array): { readonly low: number; readonly high: number } {
  // An odd stride meets every column and row of a volume, whose sizes are mostly even.
  const stride = all.length <= mostSampled ? 1 : Math.ceil(all.length / mostSampled) | 1;
  const values = Float32Array.from({ length: Math.ceil(all.length / stride) }, (_, index) => all[index * stride] ?? 0);
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  const step = (most - least) / bins;
  if (!(step > 0)) return { low: least, high: most };
  const counts = new Uint32Array(bins);
  for (const value of values) {
    const bin = Math.min(bins - 1, Math.floor((value - least) / step));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  const at = (part: number): number => {
    let left = part * values.length;
    return Math.max(
      counts.findIndex((count) => {
        left -= count;
        return left < 0;
      }),
      0,
    );
  };
  return { low: least + at(0.005) * step, high: least + (at(0.995) + 1) * step };
}

/** @param window as a radiologist says it; null = none was asked for */
export function rangeOf({ volume, display }: NiftiVolume, window: { readonly center: number; readonly width: number } | null): Range {
  if (window !== null) {
    const { center, width } = window;
    return { low: center - width / 2, high: center + width / 2, origin: 'the window that was asked for', isGuess: false };
  }
  if (display !== null) return { ...display, origin: "the file's display range", isGuess: false };
  return { ...percentiles(volume.values), origin: '0.5 to 99.5 percentile of the volume', isGuess: true };
}

/** Slice `index` (0-based), black at and below `low`, white at and above `high`. */
export function slicePicture({ width, height, values }: RawVolume, index: number, { low, high }: Range): RawImage {
  const count = width * height;
  const pixels = new Uint8Array(count);
  const span = high - low;
  for (let i = 0; i < count; i++) {
    const share = ((values[index * count + i] ?? low) - low) / span;
    pixels[i] = Number.isNaN(share) ? 0 : Math.round(Math.min(Math.max(share, 0), 1) * 255);
  }
  return { width, height, channels: 1, pixels };
}

/** The volume with every value brought into the range. */
export function clipped(volume: RawVolume, { low, high }: Range): RawVolume {
  return { ...volume, values: volume.values.map((value) => Math.min(Math.max(value, low), high)) };
}
