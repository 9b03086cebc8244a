/**
 * Reads the header of a codestream and holds it against the data set before any decoder sees it.
 *
 * The decoders believe their input: a forged size allocates gigabytes, a cut stream gives a full-size wrong image without an error.
 * Source: ISO/IEC 10918-1 B.2 (SOF), 14495-1 C.2, 15444-1 A.5.1 (SIZ), A.6.1 (COD).
 */
import { WetreadError } from '#domain/errors.ts';
import { endOfCodestream } from './frames.ts';
import { type Segment, segments, sos, word } from './jpeg-markers.ts';
import type { PixelDescription } from './pixel-description.ts';
import type { Codec } from './transfer-syntax.ts';

export interface Codestream {
  /** Up to and with the end marker. */
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly components: number;
  /** Bits per sample. */
  readonly precision: number;
  /** What the decoded samples are: as coded ('ybr' or 'rgb'), or null = the data set's word counts. */
  readonly colour: 'ybr' | 'rgb' | null;
  /** JPEG: the coding process, SOFn. JPEG-LS 55. JPEG 2000 null. */
  readonly process: number | null;
}

/** @throws pixel-damaged when it contradicts the data set or has no end, pixel-unsupported for forms that no decoder here reads */
export function readCodestream(bytes: Uint8Array, codec: Exclude<Codec, 'rle'>, description: PixelDescription): Codestream {
  const end = endOfCodestream(bytes);
  if (end === null)
    throw new WetreadError('pixel-damaged', `${codec}: found no end marker in ${bytes.length} bytes, expected a whole codestream`);
  const whole = bytes.subarray(0, end);
  const stream = codec === 'jpeg2000' || codec === 'htj2k' ? readJpeg2000(unboxed(whole)) : readJpeg(whole);
  const { rows, columns, samples, bitsAllocated } = description;
  if (stream.rows !== rows || stream.columns !== columns || stream.components !== samples) {
    damaged(codec, `${stream.rows} x ${stream.columns} x ${stream.components}`, `${rows} x ${columns} x ${samples} as the data set says`);
  }
  if (stream.precision < 1 || stream.precision > bitsAllocated) damaged(codec, `${stream.precision} bits`, `at most ${bitsAllocated}`);
  return stream;
}

/** Start of frame: all but DHT (C4), JPG (C8) and DAC (CC) of C0..CF; F7 is JPEG-LS. */
function isFrame({ marker }: Segment): boolean {
  return (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) || marker === 0xf7;
}

function readJpeg(bytes: Uint8Array): Codestream {
  if (word(bytes, 0) !== 0xffd8) damaged('JPEG', 'no start marker', 'FFD8');
  const found = segments(bytes, 2);
  const frame = found.find(isFrame);
  if (frame === undefined || found.at(-1)?.marker !== sos) return damaged('JPEG', 'no frame or no scan', 'both');
  const components = bytes[frame.start + 5] ?? 0;
  if (frame.start + 6 + components * 3 > frame.end) damaged('JPEG', 'a short frame header', `${components} components`);
  const ids = Array.from({ length: components }, (_, i) => bytes[frame.start + 6 + i * 3] ?? 0);
  return {
    bytes,
    precision: bytes[frame.start] ?? 0,
    rows: word(bytes, frame.start + 1),
    columns: word(bytes, frame.start + 3),
    components,
    colour: jpegColour(bytes, found, ids),
    process: frame.marker === 0xf7 ? 55 : frame.marker - 0xc0,
  };
}

/** Adobe's marker says it; so do components named R, G, B; JFIF is always YBR. */
function jpegColour(bytes: Uint8Array, found: readonly Segment[], ids: readonly number[]): 'ybr' | 'rgb' | null {
  const text = ({ start }: Segment, length: number): string => String.fromCharCode(...bytes.subarray(start, start + length));
  const adobe = found.find((segment) => segment.marker === 0xee && text(segment, 5) === 'Adobe' && segment.end - segment.start >= 12);
  if (adobe !== undefined) return bytes[adobe.start + 11] === 0 ? 'rgb' : 'ybr';
  if (String.fromCharCode(...ids) === 'RGB') return 'rgb';
  return found.some((segment) => segment.marker === 0xe0 && text(segment, 4) === 'JFIF') ? 'ybr' : null;
}

/** Some writers put the codestream into a JP2 file (ISO/IEC 15444-1 annex I), which PS3.5 A.4.4 forbids. */
function unboxed(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 12 || view.getUint32(4) !== 0x6a502020) return bytes;
  for (let at = 0; at + 8 <= bytes.length; ) {
    if (view.getUint32(at + 4) === 0x6a703263) return bytes.subarray(at + 8);
    const length = view.getUint32(at);
    if (length < 8) break;
    at += length;
  }
  return damaged('JP2', 'no codestream box', 'jp2c');
}

function readJpeg2000(bytes: Uint8Array): Codestream {
  if (word(bytes, 0) !== 0xff4f || word(bytes, 2) !== 0xff51) damaged('JPEG 2000', 'no SOC and SIZ', 'FF4F FF51');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = word(bytes, 4);
  const components = word(bytes, 40);
  if (length !== 38 + 3 * components || 4 + length > bytes.length) damaged('JPEG 2000', `SIZ of ${length} bytes`, `${38 + 3 * components}`);
  const [width, height, left, top] = [8, 12, 16, 20].map((at) => view.getUint32(at));
  if (left !== 0 || top !== 0)
    throw new WetreadError('pixel-unsupported', `JPEG 2000: found an image offset of ${left}, ${top}, expected 0, 0`);
  const depths = Array.from({ length: components }, (_, i) => bytes[42 + i * 3] ?? 0);
  const steps = Array.from({ length: components * 2 }, (_, i) => bytes[43 + 3 * (i >> 1) + (i & 1)]);
  if (steps.some((step) => step !== 1) || new Set(depths).size > 1) {
    throw new WetreadError('pixel-unsupported', 'JPEG 2000: found subsampled or unequal components, expected equal ones');
  }
  return {
    bytes,
    rows: height ?? 0,
    columns: width ?? 0,
    components,
    precision: ((depths[0] ?? 0) & 0x7f) + 1,
    colour: usesComponentTransform(bytes, 4 + length) ? 'rgb' : null,
    process: null,
  };
}

/** COD of the main header: a multiple component transform, undone by the decoder, leaves RGB. */
function usesComponentTransform(bytes: Uint8Array, from: number): boolean {
  for (let at = from; at + 4 <= bytes.length && word(bytes, at) !== 0xff90; at += 2 + word(bytes, at + 2)) {
    if (word(bytes, at) === 0xff52) return bytes[at + 8] === 1;
    if (word(bytes, at) < 0xff00) break;
  }
  return damaged('JPEG 2000', 'no COD in the main header', 'one');
}

function damaged(format: string, found: string, expected: string): never {
  throw new WetreadError('pixel-damaged', `${format}: found ${found}, expected ${expected}`);
}
