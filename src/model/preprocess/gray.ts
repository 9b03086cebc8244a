/**
 * Values beyond 8 bit to pictures: 16-bit grey files by a stated rule.
 *
 * PIL's conversion of 16-bit grey clips at 255 and does not scale, so a 12-bit picture turns white: `clip` exists to compare with it.
 * Source: Pillow mode I;16.
 */
import type { RawImage } from '#domain/answer.ts';
import { roundHalfEven } from '#domain/ct-windows.ts';

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
