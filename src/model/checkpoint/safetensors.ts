/**
 * safetensors: 8 bytes of header length (u64, little-endian), a JSON header, then the values.
 *
 * A header is trusted only after its limits are checked: every range lies inside the file, ranges do not overlap and leave no hole, and
 * a range is as long as its shape says. Source: huggingface/safetensors, README "Format".
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { type CheckpointFile, openFile } from './file.ts';
import { bytesOf, isNumberType, type NumberType, toF32 } from './number-type.ts';
import type { TensorSource } from './tensors.ts';

/** The format's own limit. */
const maxHeaderBytes = 100_000_000;

const entrySchema = z.strictObject({
  dtype: z.string(),
  shape: z.array(z.int().nonnegative()),
  data_offsets: z.tuple([z.int().nonnegative(), z.int().nonnegative()]),
});

interface Entry {
  readonly dtype: NumberType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/** Opens one safetensors file. @throws checkpoint-unreadable, naming file and tensor */
export async function openSafetensors(path: string): Promise<TensorSource> {
  const file = await openFile(path);
  try {
    const entries = await readHeader(file);
    return {
      names: [...entries.keys()],
      info: (name) => entryOf(entries, name, file.name),
      async readF32(name, range) {
        const { dtype, start, end } = entryOf(entries, name, file.name);
        const size = bytesOf[dtype];
        const { from, to } = range ?? { from: 0, to: (end - start) / size };
        return toF32(dtype, await file.read(start + from * size, (to - from) * size));
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function entryOf(entries: ReadonlyMap<string, Entry>, name: string, file: string): Entry {
  const entry = entries.get(name);
  if (entry === undefined) throw new WetreadError('checkpoint-tensors', `${file}: no tensor ${name}`);
  return entry;
}

async function readHeader(file: CheckpointFile): Promise<Map<string, Entry>> {
  const bad = (what: string, cause?: unknown) =>
    new WetreadError('checkpoint-unreadable', `${file.name}: ${what}`, { cause, hint: 'fetch this file again' });
  if (file.size < 8) throw bad(`${file.size} bytes are no safetensors file`);
  const prefix = await file.read(0, 8);
  const length = Number(new DataView(prefix.buffer).getBigUint64(0, true));
  if (length > maxHeaderBytes)
    throw bad(`a header of ${length} bytes is named, at most ${maxHeaderBytes} are allowed: no safetensors file`);
  if (8 + length > file.size) throw bad(`a header of ${length} bytes is named, the file has ${file.size}: truncated`);
  const header = parseHeader(await file.read(8, length), bad);
  const base = 8 + length;
  const entries = new Map<string, Entry>();
  for (const [name, value] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const parsed = entrySchema.safeParse(value);
    if (!parsed.success) throw bad(`tensor ${name}: ${z.prettifyError(parsed.error)}`);
    const { dtype, shape, data_offsets: offsets } = parsed.data;
    if (!isNumberType(dtype)) throw bad(`tensor ${name} has the number type ${dtype}, which is not read`);
    const bytes = shape.reduce((product, size) => product * size, bytesOf[dtype]);
    if (offsets[1] - offsets[0] !== bytes) {
      throw bad(
        `tensor ${name} of shape [${shape.join(', ')}] needs ${bytes} bytes, its offsets ${offsets.join(' to ')} span ${offsets[1] - offsets[0]}`,
      );
    }
    if (base + offsets[1] > file.size) {
      throw bad(`tensor ${name} ends at byte ${base + offsets[1]}, the file has ${file.size}: truncated`);
    }
    entries.set(name, { dtype, shape, start: base + offsets[0], end: base + offsets[1] });
  }
  checkRanges(entries, base, file.size, bad);
  return entries;
}

function parseHeader(bytes: Uint8Array, bad: (what: string, cause?: unknown) => WetreadError): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw bad('the header is no JSON: damaged or no safetensors file', cause);
  }
  const parsed = z.record(z.string(), z.unknown()).safeParse(json);
  if (!parsed.success) throw bad('the header is no JSON object');
  return parsed.data;
}

/** Ranges must tile the data: an overlap or a hole means that offsets are wrong. */
function checkRanges(entries: ReadonlyMap<string, Entry>, base: number, size: number, bad: (what: string) => WetreadError): void {
  let position = base;
  for (const [name, entry] of [...entries].sort((a, b) => a[1].start - b[1].start || a[1].end - b[1].end)) {
    if (entry.start !== position)
      throw bad(`tensor ${name} begins at byte ${entry.start}, expected ${position}: ranges overlap or leave a hole`);
    position = entry.end;
  }
  if (position !== size) throw bad(`the tensors end at byte ${position}, the file has ${size}`);
}
