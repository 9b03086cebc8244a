/**
 * JPEG extended sequential with Huffman coding, 12 bits, one component (transfer syntax .51; no library for Node decodes it).
 *
 * Lossy, so equal to other decoders within one grey level. Source: ISO/IEC 10918-1 annexes A.3, F.2.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Codestream } from './codestream.ts';
import { type HuffmanTable, readHuffmanTables, type ScanReader, scanReader } from './jpeg-huffman.ts';
import { type Segment, segments, word } from './jpeg-markers.ts';

/** Row-major index of the k-th coefficient of a zigzag scan. */
const zigzag = zigzagOrder();

function zigzagOrder(): Uint8Array {
  const cells = Array.from({ length: 64 }, (_, i) => ({ i, row: i >> 3, column: i & 7 }));
  const along = ({ row, column }: { row: number; column: number }): number => ((row + column) % 2 === 0 ? column : row);
  cells.sort((a, b) => a.row + a.column - (b.row + b.column) || along(a) - along(b));
  return Uint8Array.from(cells, ({ i }) => i);
}

/** cosines[x * 8 + u] = C(u) / 2 * cos((2x + 1) u pi / 16). */
const cosines = Float64Array.from(
  { length: 64 },
  (_, i) => (i % 8 === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos((((i >> 3) * 2 + 1) * (i % 8) * Math.PI) / 16),
);

/** @returns rows x columns samples of 12 bits. @throws pixel-damaged, pixel-unsupported */
export function decodeExtended(stream: Codestream): Uint16Array {
  if (stream.process !== 1 || stream.components !== 1) {
    throw new WetreadError(
      'pixel-unsupported',
      `JPEG: found ${stream.precision} bits, SOF${stream.process}, ${stream.components} components, expected grey SOF1`,
    );
  }
  const huffman = new Map<number, HuffmanTable>();
  const quantization = new Map<number, Float64Array>();
  let restartInterval = 0;
  let quantizer = 0;
  const found = segments(stream.bytes, 2);
  for (const segment of found) {
    if (segment.marker === 0xc4) readHuffmanTables(stream.bytes, segment, huffman);
    else if (segment.marker === 0xdb) readQuantization(stream.bytes, segment, quantization);
    else if (segment.marker === 0xdd) restartInterval = word(stream.bytes, segment.start);
    else if (segment.marker === 0xc1) quantizer = stream.bytes[segment.start + 8] ?? 0;
  }
  const scan = found.at(-1);
  const selectors = stream.bytes[(scan?.start ?? 0) + 2] ?? 0;
  const dc = huffman.get(selectors >> 4);
  const ac = huffman.get(16 + (selectors & 0x0f));
  const steps = quantization.get(quantizer);
  if (scan === undefined || dc === undefined || ac === undefined || steps === undefined) {
    throw new WetreadError('pixel-damaged', 'JPEG: found a scan without its tables');
  }
  return decodeBlocks(stream, scanReader(stream.bytes, scan.end), { dc, ac, steps, restartInterval });
}

interface Tables {
  readonly dc: HuffmanTable;
  readonly ac: HuffmanTable;
  readonly steps: Float64Array;
  readonly restartInterval: number;
}

function readQuantization(bytes: Uint8Array, { start, end }: Segment, tables: Map<number, Float64Array>): void {
  for (let at = start; at < end; ) {
    const key = bytes[at++] ?? 0;
    const wide = key >> 4 === 1;
    const from = at;
    tables.set(
      key & 0x0f,
      Float64Array.from({ length: 64 }, (_, i) => (wide ? word(bytes, from + i * 2) : (bytes[from + i] ?? 0))),
    );
    at += wide ? 128 : 64;
  }
}

function decodeBlocks({ rows, columns }: Codestream, reader: ScanReader, { dc, ac, steps, restartInterval }: Tables): Uint16Array {
  const out = new Uint16Array(rows * columns);
  const coefficients = new Float64Array(64);
  const samples = new Float64Array(64);
  const across = Math.ceil(columns / 8);
  const blocks = across * Math.ceil(rows / 8);
  let predicted = 0;
  for (let block = 0; block < blocks; block++) {
    if (restartInterval > 0 && block > 0 && block % restartInterval === 0) {
      reader.restart();
      predicted = 0;
    }
    coefficients.fill(0);
    predicted += reader.difference(reader.symbol(dc));
    coefficients[0] = predicted * (steps[0] ?? 0);
    readAc(reader, ac, steps, coefficients);
    inverseDct(coefficients, samples);
    place(samples, out, Math.floor(block / across) * 8, (block % across) * 8, rows, columns);
  }
  return out;
}

function readAc(reader: ScanReader, ac: HuffmanTable, steps: Float64Array, coefficients: Float64Array): void {
  for (let k = 1; k < 64; k++) {
    const symbol = reader.symbol(ac);
    const size = symbol & 0x0f;
    const run = symbol >> 4;
    if (size === 0 && run !== 15) return;
    k += run;
    if (k > 63) throw new WetreadError('pixel-damaged', 'JPEG: found a block with more than 64 coefficients');
    if (size > 0) coefficients[zigzag[k] ?? 0] = reader.difference(size) * (steps[k] ?? 0);
  }
}

function inverseDct(coefficients: Float64Array, samples: Float64Array): void {
  const half = new Float64Array(64);
  for (let v = 0; v < 8; v++) {
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let u = 0; u < 8; u++) sum += (cosines[x * 8 + u] ?? 0) * (coefficients[v * 8 + u] ?? 0);
      half[v * 8 + x] = sum;
    }
  }
  for (let y = 0; y < 8; y++) {
    for (let x = 0; x < 8; x++) {
      let sum = 0;
      for (let v = 0; v < 8; v++) sum += (cosines[y * 8 + v] ?? 0) * (half[v * 8 + x] ?? 0);
      samples[y * 8 + x] = sum;
    }
  }
}

/** Level shift, rounding and clipping to 12 bits; what lies beyond the image is dropped. */
function place(samples: Float64Array, out: Uint16Array, top: number, left: number, rows: number, columns: number): void {
  for (let y = 0; y < 8 && top + y < rows; y++) {
    for (let x = 0; x < 8 && left + x < columns; x++) {
      out[(top + y) * columns + left + x] = Math.min(Math.max(Math.round((samples[y * 8 + x] ?? 0) + 2048), 0), 4095);
    }
  }
}
