/** Committed checkpoints that a test changes, and the import of them that must fail and leave nothing. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { expect } from 'vitest';
import { openCheckpoint } from '#model/checkpoint/open.ts';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { WeightType } from '#model/onnx/stored-weights.ts';
import { copyCheckpoint, temporaryFolder } from './folder.ts';

/** HF form, three shards of safetensors. */
export const tied = 'siglip-qwen2-gqa-tied';
/** Original form, two torch files. */
export const legacy = 'original-llama-bin2';

export interface Paths {
  readonly from: string;
  readonly to: string;
  readonly weights?: WeightType;
}

export const folder = await temporaryFolder();
let made = 0;

/** A copy of a golden checkpoint, changed by `change`, and the folder its bundle would go to. */
export async function spoilt(variant: string, change: (checkpoint: string) => Promise<void>): Promise<Paths> {
  const name = `${made++}`;
  const from = await copyCheckpoint(variant, folder, name);
  await change(from);
  return { from, to: join(folder, `${name}-bundle`) };
}

export async function editJson(path: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const json = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  change(json);
  await writeFile(path, JSON.stringify(json));
}

/** Replaces the shards by one file of changed tensors. */
export async function retensor(checkpoint: string, change: (tensors: NamedTensor[]) => NamedTensor[]): Promise<void> {
  const source = await openCheckpoint(checkpoint);
  const tensors: NamedTensor[] = [];
  for (const name of source.names) tensors.push({ name, shape: source.info(name).shape, values: await source.readF32(name) });
  await source.close();
  for (const file of await readdir(checkpoint)) if (file.startsWith('model')) await rm(join(checkpoint, file));
  await writeSafetensors(join(checkpoint, 'model.safetensors'), change(tensors));
}

/** The import fails with this code and words, and leaves nothing behind. */
export async function refused(paths: Paths, code: string, message: RegExp): Promise<void> {
  await expect(importCheckpoint(paths)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  const name = basename(paths.to);
  expect((await readdir(folder)).filter((entry) => entry === name || entry === `.${name}.importing`)).toEqual([]);
}
