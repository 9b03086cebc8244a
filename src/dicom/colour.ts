/** YBR to RGB of 8-bit samples. Source: PS3.3 C.7.6.3.1.2 (full range, rounded, clipped to 0..255). */
import type { StoredValues } from './stored.ts';

/** Writes one pixel; Uint8ClampedArray rounds to nearest and clips. */
function put(out: Uint8ClampedArray, at: number, y: number, cb: number, cr: number): void {
  out[at] = y + 1.402 * (cr - 128);
  out[at + 1] = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128);
  out[at + 2] = y + 1.772 * (cb - 128);
}

/** Pixels Y Cb Cr, interleaved -> RGB. */
export function ybrFullToRgb(ybr: StoredValues): Uint8Array {
  const out = new Uint8ClampedArray(ybr.length);
  for (let i = 0; i + 2 < ybr.length; i += 3) put(out, i, ybr[i] ?? 0, ybr[i + 1] ?? 0, ybr[i + 2] ?? 0);
  return new Uint8Array(out.buffer);
}

/** Y1 Y2 Cb Cr for every two pixels of a row -> RGB. */
export function ybrFull422ToRgb(ybr: Uint8Array): Uint8Array {
  const out = new Uint8ClampedArray((ybr.length / 2) * 3);
  for (let i = 0, at = 0; i + 3 < ybr.length; i += 4, at += 6) {
    const cb = ybr[i + 2] ?? 0;
    const cr = ybr[i + 3] ?? 0;
    put(out, at, ybr[i] ?? 0, cb, cr);
    put(out, at + 3, ybr[i + 1] ?? 0, cb, cr);
  }
  return new Uint8Array(out.buffer);
}
