/**
 * The header of a JPEG 2000 or HTJ2K codestream, and the lengths of its tile-parts.
 *
 * HTJ2K decoders fill up a stream that was cut and closed again without an error, so the tile-parts' own lengths must add up to the
 * codestream. Source: ISO/IEC 15444-1 A.4.2 (SOT), A.5.1 (SIZ), A.6.1 (COD), annex I (JP2).
 */
import { WetreadError } from '#domain/errors.ts';
import { type Codestream, damaged } from './codestream.ts';
import { word } from './jpeg-markers.ts';

/** @throws pixel-damaged, pixel-unsupported */
export function readJpeg2000(file: Uint8Array): Codestream {
  const bytes = unboxed(file);
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
  const [tileWidth = 0, tileHeight = 0, tileLeft, tileTop] = [24, 28, 32, 36].map((at) => view.getUint32(at));
  if (tileLeft !== 0 || tileTop !== 0 || tileWidth === 0 || tileHeight === 0)
    damaged('JPEG 2000', 'tiles without size or with an offset', 'tiles from 0, 0');
  const mainHeader = readMainHeader(bytes, 4 + length);
  checkTileParts(bytes, mainHeader.end, Math.ceil((width ?? 0) / tileWidth) * Math.ceil((height ?? 0) / tileHeight));
  return {
    bytes,
    rows: height ?? 0,
    columns: width ?? 0,
    components,
    precision: ((depths[0] ?? 0) & 0x7f) + 1,
    colour: mainHeader.componentTransform ? 'rgb' : null,
    process: null,
  };
}

/** COD says whether a multiple component transform, which the decoder undoes, leaves RGB. `end` is the first SOT. */
function readMainHeader(bytes: Uint8Array, from: number): { readonly componentTransform: boolean; readonly end: number } {
  let componentTransform: boolean | null = null;
  let at = from;
  while (at + 4 <= bytes.length && word(bytes, at) !== 0xff90) {
    if (word(bytes, at) < 0xff00) damaged('JPEG 2000', `no marker at byte ${at}`, 'a main header');
    if (word(bytes, at) === 0xff52) componentTransform = bytes[at + 8] === 1;
    at += 2 + word(bytes, at + 2);
  }
  if (componentTransform === null) damaged('JPEG 2000', 'no COD in the main header', 'one');
  return { componentTransform, end: at };
}

/** Tile-parts follow each other by their lengths (0 = to the end) up to the end marker, and every tile has one. */
function checkTileParts(bytes: Uint8Array, from: number, tiles: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seen = new Set<number>();
  const end = bytes.length - 2;
  let at = from;
  while (at < end) {
    if (at + 12 > end || word(bytes, at) !== 0xff90)
      damaged('JPEG 2000', `no tile-part at byte ${at} of ${bytes.length}`, 'SOT or the end');
    seen.add(word(bytes, at + 4));
    const length = view.getUint32(at + 6);
    if (length !== 0 && length < 14) damaged('JPEG 2000', `a tile-part of ${length} bytes`, 'at least 14');
    at = length === 0 ? end : at + length;
  }
  if (at !== end || seen.size !== tiles)
    damaged('JPEG 2000', `${seen.size} of ${tiles} tiles up to byte ${at}`, `all of them, to byte ${end}`);
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
