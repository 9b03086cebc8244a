/** Changes to a checkpoint that a test has written: one safetensors file, JSON files. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';

/** Replaces the tensors of model.safetensors. */
export async function rewriteTensors(folder: string, change: (tensors: readonly NamedTensor[]) => readonly NamedTensor[]): Promise<void> {
  const path = join(folder, 'model.safetensors');
  const source = await openSafetensors(path);
  const tensors: NamedTensor[] = [];
  for (const name of source.names) tensors.push({ name, shape: source.info(name).shape, values: await source.readF32(name) });
  await source.close();
  await writeSafetensors(path, [...change(tensors)]);
}

/** Merges keys into a JSON file; a section that is an object is merged key by key. */
export async function rewriteJson(folder: string, name: string, keys: Readonly<Record<string, unknown>>): Promise<void> {
  const path = join(folder, name);
  const before = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
  for (const [key, value] of Object.entries(keys)) {
    const old = before[key];
    before[key] = isObject(old) && isObject(value) ? { ...old, ...value } : value;
  }
  await writeFile(path, JSON.stringify(before));
}
