/**
 * A checkpoint in several files with an index (`model.safetensors.index.json`, `pytorch_model.bin.index.json`): `weight_map` names the
 * file of each tensor. The index is outside input: its file names must be plain names of the same folder.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { TensorSource } from './tensors.ts';

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

/**
 * All shards as one source.
 * @throws checkpoint-unreadable naming the shard that is missing or damaged; checkpoint-tensors when index and shard disagree
 */
export async function openShards(indexPath: string, openShard: (path: string) => Promise<TensorSource>): Promise<TensorSource> {
  const index = basename(indexPath);
  const map = await readIndex(indexPath);
  const files = [...new Set(Object.values(map))].sort();
  for (const file of files) {
    if (file !== basename(file) || file === '..' || file === '.') {
      throw new WetreadError('checkpoint-hostile', `${index}: names the file ${JSON.stringify(file)} outside the checkpoint's folder`);
    }
    if (!existsSync(join(dirname(indexPath), file))) {
      throw new WetreadError('checkpoint-unreadable', `${file}: named by ${index} and not there`, { hint: 'fetch this file' });
    }
  }
  const shards = new Map<string, TensorSource>();
  const close = async () => {
    for (const shard of shards.values()) await shard.close();
  };
  try {
    for (const file of files) shards.set(file, await openShard(join(dirname(indexPath), file)));
    const place = placeTensors(index, map, shards);
    const shardOf = (name: string) => {
      const shard = place.get(name);
      if (shard === undefined) throw new WetreadError('checkpoint-tensors', `${index}: no tensor ${name}`);
      return shard;
    };
    return {
      names: [...place.keys()],
      info: (name) => shardOf(name).info(name),
      readF32: (name, range) => shardOf(name).readF32(name, range),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function readIndex(path: string): Promise<Record<string, string>> {
  try {
    return indexSchema.parse(JSON.parse(await readFile(path, 'utf8'))).weight_map;
  } catch (cause) {
    throw new WetreadError('checkpoint-unreadable', `${basename(path)}: no index with a weight_map`, { cause });
  }
}

/** Tensor name -> shard. A tensor that the index puts elsewhere, or that two shards hold, is refused. */
function placeTensors(index: string, map: Record<string, string>, shards: ReadonlyMap<string, TensorSource>): Map<string, TensorSource> {
  const place = new Map<string, TensorSource>();
  for (const [file, shard] of shards) {
    for (const name of shard.names) {
      if (place.has(name)) throw new WetreadError('checkpoint-tensors', `${index}: tensor ${name} is in two shards, the second is ${file}`);
      place.set(name, shard);
    }
  }
  for (const [name, file] of Object.entries(map)) {
    if (place.get(name) !== shards.get(file)) throw new WetreadError('checkpoint-tensors', `${index}: tensor ${name} is not in ${file}`);
  }
  return place;
}
