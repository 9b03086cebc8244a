/**
 * Lookup tables of a data set: modality, VOI and palette ones have the same descriptor and the same forms of data.
 *
 * The number of entries 0 means 65536, the first input is signed when PixelRepresentation is 1, and 8-bit entries may stand packed or in
 * words of their own. A segmented table is a list of runs and lines. Source: PS3.3 C.11.1.1, C.7.6.3.1.5, C.7.9.2.
 */
import { WetreadError } from '#domain/errors.ts';

/** A lookup table: input below `first` takes the first entry, above the last takes the last. */
export interface LookupTable {
  readonly first: number;
  readonly entries: readonly number[];
  /** Bits of an entry, 8..16. */
  readonly bits: number;
}

export function lookUp({ first, entries }: LookupTable, x: number): number {
  return entries[Math.min(Math.max(Math.floor(x) - first, 0), entries.length - 1)] ?? 0;
}

interface Descriptor {
  readonly length: number;
  readonly first: number;
  readonly bits: number;
}

function malformed(found: string, expected: string): never {
  throw new WetreadError('dicom-malformed', `LUT: found ${found}, expected ${expected}`);
}

function descriptorOf([count, first, bits]: readonly number[]): Descriptor {
  if (count === undefined || first === undefined || bits === undefined) return malformed('no LUTDescriptor', 'three numbers');
  if (bits < 8 || bits > 16) malformed(`entries of ${bits} bits`, '8 to 16');
  return { length: count & 0xffff || 65536, first, bits };
}

/** Numbers of 16 or 8 bits; packed 8-bit ones of a big endian file lie in swapped words. */
function numbersOf(raw: Uint8Array, wide: boolean, bigEndian: boolean): (index: number) => number {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (wide) return (index) => view.getUint16(index * 2, !bigEndian);
  return (index) => view.getUint8(bigEndian && (index ^ 1) < raw.length ? index ^ 1 : index);
}

/** @throws dicom-malformed when there is no table or it is shorter than it says */
export function lookupTable(descriptor: readonly number[], raw: Uint8Array | null, bigEndian: boolean): LookupTable {
  const { length, first, bits } = descriptorOf(descriptor);
  if (raw === null || raw.length < length) return malformed(`${raw?.length ?? 0} bytes`, `${length} entries of ${bits} bits`);
  const number = numbersOf(raw, raw.length >= length * 2, bigEndian);
  return { first, bits, entries: Array.from({ length }, (_, i) => number(i)) };
}

/**
 * The entries of a segmented table: 0 = values as they are, 1 = a line from the last entry to a value, 2 = earlier segments again.
 * @throws dicom-malformed when it does not give the entries that the descriptor says; it never makes more
 */
export function segmentedTable(descriptor: readonly number[], raw: Uint8Array, bigEndian: boolean): LookupTable {
  const { length, first, bits } = descriptorOf(descriptor);
  const wide = bits > 8;
  const size = Math.floor(raw.length / (wide ? 2 : 1));
  const number = numbersOf(raw, wide, bigEndian);
  const entries: number[] = [];
  const at = (index: number): number => (index < size ? number(index) : malformed('segments that end too early', `${length} entries`));
  const push = (value: number): void => {
    if (entries.length === length) malformed(`segments of more than ${length} entries`, `${length}`);
    entries.push(value);
  };
  /** Index behind the segment at `index`. */
  const expand = (index: number, repeated: boolean): number => {
    const [kind, count] = [at(index), at(index + 1)];
    const from = index + 2;
    // Each adds an entry, so that repeating segments ends.
    if (count === 0) return malformed(`an empty segment at ${index}`, 'at least one entry');
    if (kind === 0) {
      for (let i = 0; i < count; i++) push(at(from + i));
      return from + count;
    }
    const last = entries.at(-1);
    if (last === undefined || kind > 2 || (kind === 2 && repeated)) return malformed(`segment type ${kind} at ${index}`, 'PS3.3 C.7.9.2');
    if (kind === 1) {
      for (let i = 1; i <= count; i++) push(Math.round(last + ((at(from) - last) * i) / count));
      return from + 1;
    }
    const bytes = wide ? [at(from), at(from + 1)] : [0, 1, 2, 3].map((i) => at(from + i));
    const offset = bytes.reduceRight((sum, part) => sum * (wide ? 65536 : 256) + part, 0);
    let segment = offset / (wide ? 2 : 1);
    for (let i = 0; i < count; i++) segment = expand(segment, true);
    return from + bytes.length;
  };
  // A pad byte may follow the last segment.
  for (let index = 0; entries.length < length || index + 1 < size; ) index = expand(index, false);
  return { first, bits, entries };
}
