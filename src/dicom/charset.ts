/**
 * Text of a DICOM element by its Specific Character Set (0008,0005), code extensions of ISO 2022 included.
 *
 * Surprise: bytes are decoded before values are split at the backslash, since 5CH may be half of a character (GB18030, Shift JIS).
 * Source: PS3.3 C.12.1.1.2, PS3.5 6.1.2.
 */
import { WetreadError } from '#domain/errors.ts';

/** Encoding Standard labels of the defined terms; the right half (G1) of single-byte sets. */
const single: Readonly<Record<string, string>> = {
  '': 'latin1',
  'ISO_IR 6': 'latin1',
  'ISO_IR 100': 'latin1',
  'ISO_IR 101': 'iso-8859-2',
  'ISO_IR 109': 'iso-8859-3',
  'ISO_IR 110': 'iso-8859-4',
  'ISO_IR 144': 'iso-8859-5',
  'ISO_IR 127': 'iso-8859-6',
  'ISO_IR 126': 'iso-8859-7',
  'ISO_IR 138': 'iso-8859-8',
  'ISO_IR 148': 'windows-1254',
  'ISO_IR 203': 'iso-8859-15',
  'ISO_IR 166': 'windows-874',
  'ISO_IR 13': 'shift_jis',
  'ISO_IR 192': 'utf-8',
  GB18030: 'gb18030',
  GBK: 'gbk',
};

/** What an escape sequence (after ESC) puts into G0 or G1. `pair` = two 7-bit bytes per character. */
const escapes: readonly { readonly bytes: string; readonly half: 'g0' | 'g1'; readonly set: string }[] = [
  { bytes: '(B', half: 'g0', set: 'latin1' },
  { bytes: '(J', half: 'g0', set: 'latin1' },
  { bytes: '$B', half: 'g0', set: 'jisx0208' },
  { bytes: '$@', half: 'g0', set: 'jisx0208' },
  { bytes: '$(D', half: 'g0', set: 'jisx0212' },
  { bytes: ')I', half: 'g1', set: 'shift_jis' },
  { bytes: '$)C', half: 'g1', set: 'euc-kr' },
  { bytes: '$)A', half: 'g1', set: 'gbk' },
  { bytes: '-A', half: 'g1', set: 'latin1' },
  { bytes: '-B', half: 'g1', set: 'iso-8859-2' },
  { bytes: '-C', half: 'g1', set: 'iso-8859-3' },
  { bytes: '-D', half: 'g1', set: 'iso-8859-4' },
  { bytes: '-L', half: 'g1', set: 'iso-8859-5' },
  { bytes: '-G', half: 'g1', set: 'iso-8859-6' },
  { bytes: '-F', half: 'g1', set: 'iso-8859-7' },
  { bytes: '-H', half: 'g1', set: 'iso-8859-8' },
  { bytes: '-M', half: 'g1', set: 'windows-1254' },
  { bytes: '-T', half: 'g1', set: 'windows-874' },
  { bytes: '-b', half: 'g1', set: 'iso-8859-15' },
];

/**
 * Decodes one element's bytes.
 * @param terms values of SpecificCharacterSet, empty = the default repertoire (read as Latin-1, which ASCII is part of)
 * @throws dicom-malformed for a character set that no one defined
 */
export function decodeText(bytes: Uint8Array, terms: readonly string[]): string {
  const first = labelOf(terms[0] ?? '');
  return bytes.includes(0x1b) ? decodeEscaped(bytes, first) : decodeRun(bytes, first);
}

function labelOf(term: string): string {
  const plain = term.replace(/^ISO[ _]2022[ _]IR[ _]/, 'ISO_IR ').replace(/^ISO[ _]IR[ _]/, 'ISO_IR ');
  const label = single[plain];
  if (label !== undefined) return label;
  // Multi-byte sets stand first only in files that start every value with an escape sequence.
  if (['ISO_IR 87', 'ISO_IR 159'].includes(plain)) return 'latin1';
  if (plain === 'ISO_IR 149') return 'euc-kr';
  if (plain === 'ISO_IR 58') return 'gbk';
  throw new WetreadError(
    'dicom-malformed',
    `SpecificCharacterSet: found ${JSON.stringify(term)}, expected a defined term of PS3.3 C.12.1.1.2`,
  );
}

function decodeRun(bytes: Uint8Array, set: string): string {
  if (set === 'jisx0208') return new TextDecoder('euc-jp').decode(bytes.map((byte) => (byte < 0x21 ? byte : byte | 0x80)));
  if (set === 'jisx0212') return new TextDecoder('euc-jp').decode(jisx0212ToEuc(bytes));
  return new TextDecoder(set).decode(bytes);
}

/** EUC-JP marks each character of the supplementary set by 8FH. */
function jisx0212ToEuc(bytes: Uint8Array): Uint8Array {
  const out: number[] = [];
  for (let i = 0; i + 1 < bytes.length; i += 2) out.push(0x8f, (bytes[i] ?? 0) | 0x80, (bytes[i + 1] ?? 0) | 0x80);
  return Uint8Array.from(out);
}

/** Walks the runs between escape sequences; a delimiter in a single-byte G0 brings the initial sets back. */
function decodeEscaped(bytes: Uint8Array, initial: string): string {
  let g0 = 'latin1';
  let g1 = initial;
  let text = '';
  let start = 0;
  const flush = (end: number): void => {
    if (end > start) text += decodeRun(bytes.subarray(start, end), g0 === 'latin1' ? g1 : g0);
  };
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0x1b) {
      const found = escapes.find((one) => [...one.bytes].every((char, i) => bytes[at + 1 + i] === char.charCodeAt(0)));
      if (found === undefined) continue;
      flush(at);
      if (found.half === 'g0') g0 = found.set;
      else g1 = found.set;
      at += found.bytes.length;
      start = at + 1;
    } else if (g0 === 'latin1' && (byte === 0x5c || byte === 0x0a || byte === 0x0d || byte === 0x5e || byte === 0x3d)) {
      flush(at);
      start = at;
      g1 = initial;
    }
  }
  flush(bytes.length);
  return text;
}
