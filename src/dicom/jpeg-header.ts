/** The header of a JPEG or JPEG-LS codestream. Source: ISO/IEC 10918-1 B.2 (SOF), ISO/IEC 14495-1 C.2. */
import { type Codestream, damaged } from './codestream.ts';
import { type Segment, segments, sos, word } from './jpeg-markers.ts';

/** Start of frame: all but DHT (C4), JPG (C8) and DAC (CC) of C0..CF; F7 is JPEG-LS. */
function isFrame({ marker }: Segment): boolean {
  return (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) || marker === 0xf7;
}

/** @throws pixel-damaged */
export function readJpeg(bytes: Uint8Array): Codestream {
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
