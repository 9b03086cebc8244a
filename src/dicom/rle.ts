/**
 * RLE: one segment per byte of a sample, most significant first, each a PackBits stream.
 *
 * Source: PS3.5 annex G.
 */
import { WetreadError } from '#domain/errors.ts';
import type { PixelDescription } from './pixel-description.ts';

/**
 * @returns little endian samples, interleaved: rows x columns x samples x bytes
 * @throws pixel-damaged when a segment is too short or the header does not fit
 */
export function decodeRle(bytes: Uint8Array, { rows, columns, samples, bitsAllocated }: PixelDescription): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const width = bitsAllocated / 8;
  const count = bytes.length < 64 ? 0 : view.getUint32(0, true);
  if (count !== samples * width) throw new WetreadError('pixel-damaged', `RLE: found ${count} segments, expected ${samples * width}`);
  const pixels = rows * columns;
  // Two bytes make at most 128: memory is taken for what the bytes can hold only.
  if (pixels * count > (bytes.length - 64) * 64)
    throw new WetreadError('pixel-damaged', `RLE: found ${bytes.length} bytes for ${pixels * count}, expected more`);
  const out = new Uint8Array(pixels * count);
  for (let segment = 0; segment < count; segment++) {
    const start = view.getUint32(4 + segment * 4, true);
    const end = segment + 1 < count ? view.getUint32(8 + segment * 4, true) : bytes.length;
    if (start < 64 || end > bytes.length || start >= end)
      throw new WetreadError('pixel-damaged', `RLE: found segment ${segment + 1} at ${start} to ${end}`);
    const sample = Math.floor(segment / width);
    const byte = width - 1 - (segment % width);
    unpack(bytes.subarray(start, end), out, sample * width + byte, count, pixels);
  }
  return out;
}

/** Writes `pixels` bytes to out[first], out[first + step], ... */
function unpack(packed: Uint8Array, out: Uint8Array, first: number, step: number, pixels: number): void {
  let at = 0;
  let written = 0;
  while (written < pixels) {
    const control = packed[at++];
    if (control === undefined) throw new WetreadError('pixel-damaged', `RLE: found ${written} bytes in a segment, expected ${pixels}`);
    if (control === 128) continue;
    const run = control > 128;
    const length = run ? 257 - control : control + 1;
    if (at + (run ? 1 : length) > packed.length) throw new WetreadError('pixel-damaged', 'RLE: found a segment that ends inside a run');
    for (let i = 0; i < length && written < pixels; i++, written++) out[first + written * step] = packed[run ? at : at + i] ?? 0;
    at += run ? 1 : length;
  }
}
