/**
 * The instances of one or more folders: what their headers say, and where their bytes lie. Files are served as they are.
 *
 * A person's own folder is only read; what arrives by STOW goes into a folder of the sandbox, written aside, synced and renamed, so that a
 * file is either whole or not there. The first of two files with one SOP Instance UID is kept.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { codeOf, WetreadError } from '#domain/errors.ts';
import { attributes } from './attributes.ts';
import { type JsonDataSet, jsonOf, parseDataSet } from './dataset-json.ts';

export interface Stored {
  readonly study: string;
  readonly series: string;
  readonly instance: string;
  readonly sopClass: string;
  readonly transferSyntax: string;
  readonly path: string;
  /** The attributes of the table that the header has. */
  readonly json: JsonDataSet;
}

export interface Archive {
  /** In the order in which they were found. */
  all(): readonly Stored[];
  bytes(stored: Stored): Promise<Buffer>;
  /**
   * Writes bytes that `describe` accepted, one instance after the other. What is there stays: the same bytes are a success,
   * others are not (null).
   */
  add(described: Described, bytes: Uint8Array): Promise<Stored | null>;
  /** Files that could not be indexed, with the reason. */
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
}

export type Described = Omit<Stored, 'path'>;

// Hash UIDs with letters occur in real archives and are served; anything that could leave the folder is not.
const safeUid = /^[0-9A-Za-z.-]{1,64}$/;
const kept = new Set(attributes.filter((one) => !one.computed).map((one) => one.tag));

/** @throws dicom-not-part10, dicom-malformed, dicom-uid-invalid when study, series or instance is not named */
export function describe(bytes: Uint8Array): Described {
  const dataSet = parseDataSet(bytes);
  const uid = (tag: string, name: string): string => {
    const text = dataSet.string(tag)?.trim() ?? '';
    if (safeUid.test(text) && !text.includes('..')) return text;
    throw new WetreadError('dicom-uid-invalid', `${name}: found ${JSON.stringify(text.slice(0, 80))}, expected a UID`);
  };
  const json = jsonOf(dataSet, [], () => '');
  return {
    study: uid('x0020000d', 'StudyInstanceUID'),
    series: uid('x0020000e', 'SeriesInstanceUID'),
    instance: uid('x00080018', 'SOPInstanceUID'),
    sopClass: uid('x00080016', 'SOPClassUID'),
    transferSyntax: uid('x00020010', 'TransferSyntaxUID'),
    json: Object.fromEntries(Object.entries(json).filter(([tag]) => kept.has(tag))),
  };
}

/** Aside, synced, renamed: a reader finds the whole file or none. */
async function writeWhole(storeFolder: string, path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const aside = join(storeFolder, `.${randomUUID()}`);
  const file = await open(aside, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(aside, path);
}

/** @param folders read at start; the last one is written to and made if it is missing */
export async function openArchive(folders: readonly string[], storeFolder: string): Promise<Archive> {
  const instances = new Map<string, Stored>();
  const refused: { path: string; reason: string }[] = [];
  await mkdir(storeFolder, { recursive: true });
  for (const folder of [...folders, storeFolder]) {
    const names = await readdir(folder, { recursive: true, withFileTypes: true });
    const paths = names.filter((one) => one.isFile() && !one.name.startsWith('.')).map((one) => join(one.parentPath, one.name));
    for (const path of paths.sort()) {
      try {
        const described = describe(await readFile(path));
        if (!instances.has(described.instance)) instances.set(described.instance, { ...described, path });
        else refused.push({ path, reason: `SOP Instance UID ${described.instance} is already there` });
      } catch (error) {
        if (codeOf(error) === 'internal' || !(error instanceof WetreadError)) throw error;
        refused.push({ path, reason: error.message });
      }
    }
  }
  async function write(described: Described, bytes: Uint8Array): Promise<Stored | null> {
    const present = instances.get(described.instance);
    if (present !== undefined) return (await readFile(present.path)).equals(bytes) ? present : null;
    const path = join(storeFolder, described.study, described.series, `${described.instance}.dcm`);
    await writeWhole(storeFolder, path, bytes);
    const stored = { ...described, path };
    instances.set(described.instance, stored);
    return stored;
  }

  // One at a time, so that of two parallel stores of a UID the second one finds the first.
  let last: Promise<unknown> = Promise.resolve();
  return {
    refused,
    all: () => [...instances.values()],
    bytes: (stored) => readFile(stored.path),
    add(described, bytes) {
      const next = last.then(
        () => write(described, bytes),
        () => write(described, bytes),
      );
      last = next;
      return next;
    },
  };
}
