/**
 * The data file of a bundle: weights one after the other, each at a multiple of 4096, and a journal of those that are on the disk.
 *
 * A weight is entered in the journal after its bytes were synced, so what the journal names is whole even after a power cut; what lies behind
 * it is cut off. The journal's first line says what is being written: of anything else nothing is taken over.
 */
import { createHash } from 'node:crypto';
import { appendFile, open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Target } from './layout.ts';

const ALIGNMENT = 4096;
/** A sync costs a moment: so much is written between two. */
const SYNC_BYTES = 64 * 2 ** 20;
/** Another layout of the same weights must not be taken over. */
const LAYOUT = 1;

const extent = z.tuple([z.int().nonnegative(), z.int().nonnegative()]);
const placeSchema = z.strictObject({
  key: z.string(),
  form: z.enum(['f32', 'f16', 'rows8']),
  /** Offset and length. */
  values: extent,
  scales: extent.nullable(),
});
export type Place = z.infer<typeof placeSchema>;

export interface DataFile {
  readonly name: string;
  /** Weights that an earlier run wrote, by key. */
  readonly known: ReadonlyMap<string, Place>;
  /** Bytes that an earlier run wrote. */
  readonly size: number;
  /**
   * Makes room for a weight behind the last and lets `fill` write it; when that fails, the room is free again.
   * @param written called with the bytes of this weight so far
   */
  append(
    key: string,
    form: Place['form'],
    sizes: { readonly values: number; readonly scales: number },
    fill: (target: Target) => Promise<void>,
    written: (bytes: number) => void,
  ): Promise<Place>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const aligned = (at: number): number => Math.ceil(at / ALIGNMENT) * ALIGNMENT;

function endOf({ values, scales }: Place): number {
  const [offset, length] = scales ?? values;
  return offset + length;
}

/** The weights of a journal whose first line is `title`; a last line that was cut off is left out. */
async function readJournal(path: string, title: string): Promise<Place[]> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw error;
  });
  const [first, ...lines] = text.split('\n').slice(0, -1);
  return first === title ? lines.map((line) => placeSchema.parse(JSON.parse(line))) : [];
}

/**
 * @param keys of all weights that will be appended, in their order
 * @param journal null = the file must be new, and nothing is kept of it when writing ends early
 */
export async function openDataFile(
  folder: string,
  name: string,
  keys: readonly string[],
  journal: { readonly path: string; readonly identity: string } | null,
): Promise<DataFile> {
  const title = createHash('sha256')
    .update(JSON.stringify([LAYOUT, journal?.identity, name, keys]))
    .digest('hex');
  const places = journal === null ? [] : await readJournal(journal.path, title);
  const file = await open(join(folder, name), journal === null ? 'wx' : places.length === 0 ? 'w' : 'r+');
  let end = places.reduce((last, place) => Math.max(last, endOf(place)), 0);
  await file.truncate(end);
  if (journal !== null && places.length === 0) await writeFile(journal.path, `${title}\n`);
  let unsynced: Place[] = [];
  const sync = async () => {
    await file.datasync();
    if (journal !== null && unsynced.length > 0)
      await appendFile(journal.path, unsynced.map((place) => `${JSON.stringify(place)}\n`).join(''), { flush: true });
    unsynced = [];
  };
  return {
    name,
    known: new Map(places.map((place) => [place.key, place])),
    size: end,
    async append(key, form, sizes, fill, written) {
      const start = aligned(end);
      const scales = form === 'rows8' ? ([aligned(start + sizes.values), sizes.scales] as const) : null;
      const place: Place = { key, form, values: [start, sizes.values], scales: scales === null ? null : [...scales] };
      let sum = 0;
      const writeAt = (base: number) => async (bytes: Uint8Array, at: number) => {
        for (let done = 0; done < bytes.length; ) {
          done += (await file.write(bytes, done, bytes.length - done, base + at + done)).bytesWritten;
        }
        sum += bytes.length;
        written(sum);
      };
      try {
        await fill({ write: writeAt(start), writeScales: writeAt(scales?.[0] ?? start) });
        // Zeros at the end were perhaps not written.
        await file.truncate(endOf(place));
      } catch (error) {
        await file.truncate(end);
        throw error;
      }
      end = endOf(place);
      unsynced.push(place);
      if (unsynced.reduce((total, { values }) => total + values[1], 0) >= SYNC_BYTES) await sync();
      return place;
    },
    sync,
    close: () => file.close(),
  };
}
