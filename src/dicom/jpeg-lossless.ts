/**
 * JPEG lossless (process 14, any selection value), 2 to 16 bits, one component or three.
 *
 * Own, because the library of the package list rounds selection value 7 wrongly, can lose the last pixel, and fills up a scan that ends
 * early. Differences are modulo 2^16. Source: ISO/IEC 10918-1 annex H.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Codestream } from './codestream.ts';
import { type HuffmanTable, readHuffmanTables, type ScanReader, scanReader } from './jpeg-huffman.ts';
import { eoi, type Segment, segments, sos, word } from './jpeg-markers.ts';

interface Scan {
  /** Index in the pixel of each component of the scan. */
  readonly components: readonly number[];
  readonly tables: readonly HuffmanTable[];
  readonly selection: number;
  readonly pointTransform: number;
  readonly restartInterval: number;
}

/** @returns rows x columns x components samples, interleaved. @throws pixel-damaged, pixel-unsupported */
export function decodeLossless(stream: Codestream): Uint16Array {
  if (stream.process !== 3) throw new WetreadError('pixel-unsupported', `JPEG lossless: found process SOF${stream.process}, expected SOF3`);
  const out = new Uint16Array(stream.rows * stream.columns * stream.components);
  const tables = new Map<number, HuffmanTable>();
  let ids: readonly number[] = [];
  let restartInterval = 0;
  const seen = new Set<number>();
  for (let at = 2; ; ) {
    const found = segments(stream.bytes, at);
    for (const segment of found) {
      if (segment.marker === 0xc4) readHuffmanTables(stream.bytes, segment, tables);
      else if (segment.marker === 0xdd) restartInterval = word(stream.bytes, segment.start);
      else if (segment.marker === 0xc3) ids = componentIds(stream.bytes, segment);
    }
    const last = found.at(-1);
    if (last === undefined || last.marker === eoi) break;
    if (last.marker !== sos) continue;
    const scan = readScan(stream.bytes, last, ids, tables, restartInterval);
    for (const component of scan.components) seen.add(component);
    const reader = scanReader(stream.bytes, last.end);
    decodeScan(stream, scan, reader, out);
    at = reader.position();
  }
  if (seen.size !== stream.components) {
    throw new WetreadError('pixel-damaged', `JPEG lossless: found scans of ${seen.size} components, expected ${stream.components}`);
  }
  return out;
}

function componentIds(bytes: Uint8Array, { start }: Segment): readonly number[] {
  return Array.from({ length: bytes[start + 5] ?? 0 }, (_, i) => {
    if (bytes[start + 7 + i * 3] !== 0x11)
      throw new WetreadError('pixel-unsupported', 'JPEG lossless: found subsampled components, expected equal ones');
    return bytes[start + 6 + i * 3] ?? 0;
  });
}

function readScan(
  bytes: Uint8Array,
  { start }: Segment,
  ids: readonly number[],
  tables: Map<number, HuffmanTable>,
  restartInterval: number,
): Scan {
  const count = bytes[start] ?? 0;
  const selectors = Array.from({ length: count }, (_, i) => ({
    id: bytes[start + 1 + i * 2] ?? 0,
    table: (bytes[start + 2 + i * 2] ?? 0) >> 4,
  }));
  const components = selectors.map(({ id }) => ids.indexOf(id));
  const selection = bytes[start + 1 + count * 2] ?? 0;
  const used = selectors.flatMap(({ table }) => tables.get(table) ?? []);
  if (components.includes(-1) || used.length !== count || count === 0 || selection < 1 || selection > 7) {
    throw new WetreadError('pixel-damaged', `JPEG lossless: found a scan header of ${count} components, selection value ${selection}`);
  }
  return { components, tables: used, selection, pointTransform: (bytes[start + 3 + count * 2] ?? 0) & 0x0f, restartInterval };
}

function decodeScan(stream: Codestream, scan: Scan, reader: ScanReader, out: Uint16Array): void {
  const { rows, columns, components: step, precision } = stream;
  const { components, tables, selection, pointTransform, restartInterval } = scan;
  const line = columns * step;
  const start = 1 << (precision - pointTransform - 1);
  let firstLine = 0; // Row since the last restart: its first line is predicted from the left only.
  let left = restartInterval;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (restartInterval > 0 && left-- === 0) {
        reader.restart();
        if (column !== 0) throw new WetreadError('pixel-unsupported', 'JPEG lossless: found a restart inside a line');
        left = restartInterval - 1;
        firstLine = row;
      }
      for (let i = 0; i < components.length; i++) {
        const at = row * line + column * step + (components[i] ?? 0);
        const table = tables[i];
        if (table === undefined) continue; // readScan gave every component one.
        const predicted = predict(out, at, line, step, row === firstLine, column === 0, selection, start);
        const size = reader.symbol(table);
        out[at] = predicted + (size >= 16 ? 32768 : reader.difference(size));
      }
    }
  }
  if (pointTransform > 0) for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) << pointTransform;
}

function predict(
  out: Uint16Array,
  at: number,
  line: number,
  step: number,
  firstLine: boolean,
  firstColumn: boolean,
  selection: number,
  start: number,
): number {
  if (firstLine) return firstColumn ? start : (out[at - step] ?? 0);
  const above = out[at - line] ?? 0;
  if (firstColumn) return above;
  const before = out[at - step] ?? 0;
  const diagonal = out[at - line - step] ?? 0;
  switch (selection) {
    case 1:
      return before;
    case 2:
      return above;
    case 3:
      return diagonal;
    case 4:
      return before + above - diagonal;
    case 5:
      return before + ((above - diagonal) >> 1);
    case 6:
      return above + ((before - diagonal) >> 1);
    default:
      return (before + above) >> 1;
  }
}
