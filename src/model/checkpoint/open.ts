/**
 * What lies in a checkpoint's folder as one source of tensors: safetensors before torch files, an index before a single file (the order in
 * which transformers looks). Several sources are merged with `mergeSources`.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import { openSafetensors } from './safetensors.ts';
import { openShards } from './shards.ts';
import type { TensorSource } from './tensors.ts';
import { openTorchPickle } from './torch-pickle.ts';

const kinds: readonly (readonly [string, (path: string) => Promise<TensorSource>])[] = [
  ['model.safetensors.index.json', (path) => openShards(path, openSafetensors)],
  ['model.safetensors', openSafetensors],
  ['pytorch_model.bin.index.json', (path) => openShards(path, openTorchPickle)],
  ['pytorch_model.bin', openTorchPickle],
];

/** The weights of a folder, null when it holds none. @throws checkpoint-unreadable, checkpoint-hostile, checkpoint-tensors */
export async function openFolder(folder: string): Promise<TensorSource | null> {
  for (const [file, open] of kinds) {
    const path = join(folder, file);
    if (existsSync(path)) return await open(path);
  }
  return null;
}

/** As openFolder. @throws checkpoint-unreadable when the folder holds no weights */
export async function openCheckpoint(folder: string): Promise<TensorSource> {
  const source = await openFolder(folder);
  if (source !== null) return source;
  throw new WetreadError('checkpoint-unreadable', `${folder}: holds none of ${kinds.map(([file]) => file).join(', ')}`, {
    hint: 'point at the folder that holds config.json and the weights',
  });
}

/** Both sources as one; where both have a name, the first wins. Closing it closes both. */
export function mergeSources(first: TensorSource, second: TensorSource): TensorSource {
  const own = new Set(first.names);
  const sourceOf = (name: string) => (own.has(name) ? first : second);
  return {
    names: [...first.names, ...second.names.filter((name) => !own.has(name))],
    info: (name) => sourceOf(name).info(name),
    readF32: (name, range) => sourceOf(name).readF32(name, range),
    async close() {
      await first.close();
      await second.close();
    },
  };
}
