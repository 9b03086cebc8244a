/**
 * Exemplars as files of a bundle: copied at import byte by byte, so that each has its digest, and read again when the bundle is opened.
 * They are the importer's own pictures; the program brings none.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import type { PromptPart } from '#domain/answer.ts';
import type { Bundle } from './bundle.ts';
import type { Manifest } from './bundle-manifest.ts';
import { readPicture } from './picture-file.ts';

type Exemplars = NonNullable<Manifest['exemplars']>;

/** Name in the bundle of picture `place`, with the ending that it had. */
export function exemplarFile(place: number, path: string): string {
  const ending = extname(path).toLowerCase();
  return `exemplar-${place + 1}${/^\.[a-z0-9]+$/.test(ending) ? ending : ''}`;
}

/** @throws pixel-damaged, pixel-unsupported for a picture that cannot be read, before anything is written */
export async function checkExemplars(from: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) await readPicture(resolve(from, path));
}

/** Copies pictures into the bundle `to` under the names of `exemplarFile`. */
export async function copyExemplars(from: string, to: string, paths: readonly string[]): Promise<void> {
  for (const [place, path] of paths.entries()) await writeFile(join(to, exemplarFile(place, path)), await readFile(resolve(from, path)));
}

/** A bundle's exemplars as parts of a prompt; none where it has none. @throws pixel-damaged, pixel-unsupported */
export async function exemplarParts(bundle: Bundle): Promise<readonly PromptPart[]> {
  const { exemplars } = bundle.manifest;
  if (exemplars === undefined) return [];
  const parts: PromptPart[] = [{ kind: 'text', text: exemplars.before }];
  for (const { image, text } of exemplars.items) {
    parts.push({ kind: 'image', image: await readPicture(join(bundle.dir, image)), isFixed: true }, { kind: 'text', text });
  }
  return parts;
}

/** Whether exemplars stand before a prompt of `task`; undefined = the prompt is of none. */
export function standBefore(exemplars: Exemplars | undefined, task: string | undefined): boolean {
  return exemplars !== undefined && (task === undefined || exemplars.tasks.includes(task));
}
