/** Writes a small safetensors file in f32: for checkpoints that wetread makes itself (random bundles, tests). */
import { writeFile } from 'node:fs/promises';

export interface NamedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** Row-major; as many as the product of the shape. */
  readonly values: Float32Array;
}

export async function writeSafetensors(path: string, tensors: readonly NamedTensor[]): Promise<void> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const { name, shape, values } of tensors) {
    header[name] = { dtype: 'F32', shape, data_offsets: [end, end + values.byteLength] };
    end += values.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  // The header is padded with spaces so that the values start at a multiple of 8.
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.byteLength % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.byteLength));
  const bytes = tensors.map(({ values }) => Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  await writeFile(path, Buffer.concat([length, padded, ...bytes]));
}
