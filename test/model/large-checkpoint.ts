/** A llava checkpoint of some hundred MB that costs no time: tensors of zeros in files with holes, names and tokenizer of a committed one. */
import { open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openCheckpoint } from '#model/checkpoint/open.ts';
import { copyCheckpoint } from './folder.ts';

const FLOAT = 4;
const hidden = 64;

export interface LargeSizes {
  readonly layers: number;
  readonly intermediate: number;
  readonly vocabulary: number;
}

export interface Large {
  readonly from: string;
  readonly bytes: number;
  readonly largestTensorBytes: number;
  /** Of the first shard. */
  readonly shard: string;
}

export async function writeLargeCheckpoint(folder: string, name: string, sizes: LargeSizes): Promise<Large> {
  const from = await copyCheckpoint('siglip-qwen2-gqa-tied', folder, name);
  const small = await openCheckpoint(from);
  const shapes = new Map<string, readonly number[]>();
  const put = (tensor: string, like: string) =>
    shapes.set(
      tensor,
      small.info(like).shape.map((dim) => (dim === 96 ? sizes.intermediate : dim === 352 ? sizes.vocabulary : dim)),
    );
  for (const tensor of small.names) {
    const layered = /^(.*language_model\.model\.layers\.)(\d+)(\..*)$/.exec(tensor);
    if (layered === null) put(tensor, tensor);
    else if (layered[2] === '0') for (let layer = 0; layer < sizes.layers; layer++) put(`${layered[1]}${layer}${layered[3]}`, tensor);
  }
  await small.close();
  const config = JSON.parse(await readFile(join(from, 'config.json'), 'utf8')) as { text_config: object };
  const { layers, intermediate, vocabulary } = sizes;
  Object.assign(config.text_config, {
    hidden_size: hidden,
    num_hidden_layers: layers,
    intermediate_size: intermediate,
    vocab_size: vocabulary,
  });
  await writeFile(join(from, 'config.json'), JSON.stringify(config));
  for (const file of await readdir(from)) if (file.startsWith('model')) await rm(join(from, file));
  const all = [...shapes];
  const half = Math.ceil(all.length / 2);
  const shards = [all.slice(0, half), all.slice(half)];
  const map: Record<string, string> = {};
  let bytes = 0;
  for (const [i, tensors] of shards.entries()) {
    const file = `model-0000${i + 1}-of-00002.safetensors`;
    for (const [tensor] of tensors) map[tensor] = file;
    bytes += await writeHoles(join(from, file), tensors);
  }
  await writeFile(join(from, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: map }));
  const largest = Math.max(...all.map(([, shape]) => shape.reduce((product, dim) => product * dim, FLOAT)));
  return { from, bytes, largestTensorBytes: largest, shard: join(from, 'model-00001-of-00002.safetensors') };
}

/** safetensors of f32 zeros; as long as it says, and almost nothing on the disk. */
async function writeHoles(path: string, tensors: readonly (readonly [string, readonly number[]])[]): Promise<number> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, shape] of tensors) {
    const bytes = shape.reduce((product, dim) => product * dim, FLOAT);
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.byteLength));
  const file = await open(path, 'wx');
  await file.write(Buffer.concat([length, json]));
  await file.truncate(8 + json.byteLength + end);
  await file.close();
  return end;
}
