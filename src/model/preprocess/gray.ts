/**
 * Values beyond 8 bit to pictures: 16-bit grey files by a stated rule, and CT slices as three Hounsfield windows.
 *
 * PIL's conversion of 16-bit grey clips at 255 and does not scale, so a 12-bit picture turns white: `clip` exists to compare with it.
 * Source: Pillow mode I;16; MedGemma 1.5 CT notebook.
 */
import type { RawImage } from '#domain/answer.ts';
import { roundHalfEven } from './canvas.ts';

export const grayRules = ['clip', 'high-byte', 'minmax'] as const;
export type GrayRule = (typeof grayRules)[number];

/** 16-bit grey to 8-bit grey. */
export function grayTo8Bit(width: number, height: number, values: Uint16Array, rule: GrayRule): RawImage {
  let low = 65_535;
  let high = 0;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const span = Math.max(1, high - low);
  const to8: Readonly<Record<GrayRule, (value: number) => number>> = {
    clip: (value) => Math.min(value, 255),
    'high-byte': (value) => value >> 8,
    minmax: (value) => roundHalfEven(((value - low) / span) * 255),
  };
  return { width, height, channels: 1, pixels: Uint8Array.from(values, to8[rule]) };
}

/** Hounsfield units [low, high] of MedGemma's red, green and blue. */
const ctWindows: readonly (readonly [number, number])[] = [
  [-1024, 1024],
  [-135, 215],
  [0, 80],
];

/** A slice of Hounsfield units as RGB, one window per channel; f32 arithmetic, rounded half to even, as the authors compute it. */
export function ctToRgb(width: number, height: number, hounsfield: Float32Array): RawImage {
  const pixels = new Uint8Array(hounsfield.length * 3);
  for (let i = 0; i < hounsfield.length; i++) {
    for (const [channel, [low, high]] of ctWindows.entries()) {
      const clipped = Math.min(Math.max(hounsfield[i] ?? 0, low), high);
      const share = Math.fround(Math.fround(clipped - low) / Math.fround(high - low));
      pixels[3 * i + channel] = roundHalfEven(Math.fround(share * 255));
    }
  }
  return { width, height, channels: 3, pixels };
}
