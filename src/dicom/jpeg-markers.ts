/** Marker segments of JPEG and JPEG-LS codestreams. Source: ISO/IEC 10918-1 annex B. */
import { WetreadError } from '#domain/errors.ts';

export interface Segment {
  /** Second byte of the marker, e.g. C0H for SOF0. */
  readonly marker: number;
  /** Content, without the two bytes of length. */
  readonly start: number;
  readonly end: number;
}

export const sos = 0xda;
export const eoi = 0xd9;

/**
 * Segments from `at` (a marker) up to and with SOS or EOI.
 * @throws pixel-damaged when the markers do not follow each other
 */
export function segments(bytes: Uint8Array, at: number): readonly Segment[] {
  const found: Segment[] = [];
  for (let here = at; ; ) {
    if (bytes[here] !== 0xff) throw new WetreadError('pixel-damaged', `JPEG: found no marker at byte ${here} of ${bytes.length}`);
    const marker = bytes[here + 1] ?? 0;
    if (marker === 0xff) {
      here++; // A marker may have any number of fill bytes before it.
      continue;
    }
    if (marker === eoi) return [...found, { marker, start: here + 2, end: here + 2 }];
    const length = word(bytes, here + 2);
    if (length < 2 || here + 2 + length > bytes.length) {
      throw new WetreadError('pixel-damaged', `JPEG: found a segment of ${length} bytes at byte ${here} of ${bytes.length}`);
    }
    found.push({ marker, start: here + 4, end: here + 2 + length });
    if (marker === sos) return found;
    here += 2 + length;
  }
}

/** Big endian 16-bit number; 0 beyond the end. */
export function word(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
