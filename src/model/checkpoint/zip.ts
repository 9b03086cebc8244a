/**
 * The zip form that torch.save writes: stored entries, padded by extra fields, ZIP64 beyond 4 GB.
 *
 * Offsets come from the central directory, but where an entry's data begin only its local header says (its extra field differs).
 * Compressed entries are listed and not read: torch compresses only the code of a TorchScript archive, and unpacking would need memory that a
 * file can choose. Source: APPNOTE 6.3.
 */
import { WetreadError } from '#domain/errors.ts';
import type { CheckpointFile } from './file.ts';

export interface ZipEntry {
  readonly name: string;
  readonly offset: number;
  readonly size: number;
  /** The bytes at `offset` are not those of the entry. */
  readonly compressed: boolean;
}

const endBytes = 22;
const maxCommentBytes = 65_535;
const maxDirectoryBytes = 256 * 1024 * 1024;

/** Entries by name, with the place of their data in the file. @throws checkpoint-unreadable */
export async function readZip(file: CheckpointFile): Promise<Map<string, ZipEntry>> {
  const { start, length } = await findDirectory(file);
  if (length > maxDirectoryBytes) throw damaged(file, `a directory of ${length} bytes`);
  const bytes = await file.read(start, length);
  const view = new DataView(bytes.buffer);
  const entries = new Map<string, ZipEntry>();
  for (let at = 0; at + 46 <= length && view.getUint32(at, true) === 0x02014b50; ) {
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + 46 + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > length) throw damaged(file, 'a directory entry that is cut off');
    const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
    if (entries.has(name)) throw damaged(file, `the entry ${name} twice`);
    const compressed = view.getUint16(at + 10, true) !== 0;
    const sizes = longSizes(view, at, at + 46 + nameLength, extraLength);
    const offset = compressed ? 0 : await dataOffset(file, name, sizes.header, sizes.size);
    entries.set(name, { name, size: sizes.size, offset, compressed });
    at = next;
  }
  return entries;
}

function damaged(file: CheckpointFile, found: string): WetreadError {
  return new WetreadError('checkpoint-unreadable', `${file.name}: found ${found}; expected a zip file as torch.save writes it`, {
    hint: 'fetch this file again',
  });
}

/** Place and length of the central directory, from the end record or its ZIP64 form. */
async function findDirectory(file: CheckpointFile): Promise<{ start: number; length: number }> {
  const tailStart = Math.max(0, file.size - endBytes - maxCommentBytes);
  const tail = await file.read(tailStart, file.size - tailStart);
  const view = new DataView(tail.buffer);
  let at = tail.byteLength - endBytes;
  while (at >= 0 && view.getUint32(at, true) !== 0x06054b50) at--;
  if (at < 0) throw damaged(file, 'no end of the zip directory (the file is truncated)');
  const short = { length: view.getUint32(at + 12, true), start: view.getUint32(at + 16, true) };
  if (short.start !== 0xffffffff && short.length !== 0xffffffff) return short;
  if (at < 20 || view.getUint32(at - 20, true) !== 0x07064b50) throw damaged(file, 'no ZIP64 locator');
  const record = new DataView((await file.read(Number(view.getBigUint64(at - 12, true)), 56)).buffer);
  if (record.getUint32(0, true) !== 0x06064b50) throw damaged(file, 'no ZIP64 end record');
  return { length: Number(record.getBigUint64(40, true)), start: Number(record.getBigUint64(48, true)) };
}

/** Size and header offset of a directory entry; values of 0xffffffff stand in the ZIP64 extra field, in this order. */
function longSizes(view: DataView, at: number, extraStart: number, extraLength: number): { size: number; header: number } {
  let size = view.getUint32(at + 24, true);
  let header = view.getUint32(at + 42, true);
  const packed = view.getUint32(at + 20, true);
  for (let extra = extraStart; extra + 4 <= extraStart + extraLength; ) {
    const end = Math.min(extra + 4 + view.getUint16(extra + 2, true), extraStart + extraLength);
    if (view.getUint16(extra, true) === 1) {
      let field = extra + 4;
      const take = (value: number) => {
        if (value !== 0xffffffff || field + 8 > end) return value;
        field += 8;
        return Number(view.getBigUint64(field - 8, true));
      };
      size = take(size);
      take(packed);
      header = take(header);
    }
    extra = end;
  }
  return { size, header };
}

async function dataOffset(file: CheckpointFile, name: string, header: number, size: number): Promise<number> {
  const local = new DataView((await file.read(header, 30)).buffer);
  if (local.getUint32(0, true) !== 0x04034b50) throw damaged(file, `no local header of ${name}`);
  const offset = header + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  if (offset + size > file.size) throw damaged(file, `the entry ${name} reaching beyond the end (truncated)`);
  return offset;
}
