/**
 * Huffman tables and the bit reader of JPEG scans.
 *
 * The reader knows how many bits are really there: a scan that ends early is an error, never a grey rest of the image.
 * Source: ISO/IEC 10918-1 annexes C, F.2.2.
 */
import { WetreadError } from '#domain/errors.ts';
import { type Segment, word } from './jpeg-markers.ts';

/** For every 16 bits that may follow: code length * 256 + symbol; 0 = no code. */
export type HuffmanTable = Uint16Array;

/** Tables of one DHT segment by class * 16 + destination. @throws pixel-damaged */
export function readHuffmanTables(bytes: Uint8Array, { start, end }: Segment, tables: Map<number, HuffmanTable>): void {
  for (let at = start; at < end; ) {
    const key = bytes[at++] ?? 0;
    const counts = bytes.subarray(at, at + 16);
    at += 16;
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (at + total > end) throw damaged('a Huffman table longer than its segment');
    tables.set(key, expand(counts, bytes.subarray(at, at + total)));
    at += total;
  }
}

function expand(counts: Uint8Array, symbols: Uint8Array): HuffmanTable {
  const table = new Uint16Array(65536);
  let code = 0;
  let next = 0;
  for (let length = 1; length <= 16; length++) {
    for (let i = 0; i < (counts[length - 1] ?? 0); i++) {
      const from = code << (16 - length);
      if (from >= 65536) throw damaged('a Huffman table with too many codes');
      table.fill(length * 256 + (symbols[next++] ?? 0), from, from + (1 << (16 - length)));
      code++;
    }
    code <<= 1;
  }
  return table;
}

export interface ScanReader {
  /** Next symbol by a table. @throws pixel-damaged */
  symbol(table: HuffmanTable): number;
  /** Next `count` bits (0..16) as the signed number that JPEG means by them. @throws pixel-damaged */
  difference(count: number): number;
  /** Skips to behind a restart marker. @throws pixel-damaged when none is there */
  restart(): void;
  /** Where the next marker is, once the scan has been read. */
  position(): number;
}

export function scanReader(bytes: Uint8Array, start: number): ScanReader {
  let at = start;
  let buffer = 0;
  let count = 0;
  const fill = (): void => {
    while (count <= 24 && at < bytes.length) {
      const byte = bytes[at] ?? 0;
      if (byte === 0xff && bytes[at + 1] !== 0) return; // A marker: the scan ends here.
      at += byte === 0xff ? 2 : 1;
      buffer = (buffer << 8) | byte;
      count += 8;
    }
  };
  const consume = (bits: number): void => {
    if (bits > count) throw damaged('a scan that ends before its last sample');
    count -= bits;
  };
  return {
    symbol(table) {
      if (count < 16) fill();
      const ahead = (count >= 16 ? buffer >>> (count - 16) : buffer << (16 - count)) & 0xffff;
      const entry = table[ahead] ?? 0;
      if (entry === 0) throw damaged('a code that no Huffman table has');
      consume(entry >> 8);
      return entry & 0xff;
    },
    difference(bits) {
      if (bits === 0) return 0;
      if (count < bits) fill();
      consume(bits);
      const value = (buffer >>> count) & ((1 << bits) - 1);
      return value < 1 << (bits - 1) ? value - (1 << bits) + 1 : value;
    },
    restart() {
      fill();
      if (count >= 8 || (word(bytes, at) & 0xfff8) !== 0xffd0) throw damaged('no restart marker where one is due');
      at += 2;
      count = 0;
    },
    position() {
      while (at < bytes.length && (bytes[at] !== 0xff || bytes[at + 1] === 0)) at++;
      return at;
    },
  };
}

function damaged(what: string): WetreadError {
  return new WetreadError('pixel-damaged', `JPEG: found ${what}`);
}
