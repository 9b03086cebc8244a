/**
 * Writes graphs and their weights: one `.onnx` file per graph, one data file for the weights of all of them.
 *
 * Weights are read, laid out and written one after the other, so memory is bounded by the largest of them (twice, while it is transposed).
 * Large tensors start at a multiple of 4096, because ONNX Runtime maps them into memory; small ones go into the graph file.
 */
import { type FileHandle, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import type { Graph, HeadPadding, Placement, Recipe, TensorNeed, Weight } from './graph.ts';

const ALIGNMENT = 4096;
const INLINE_BELOW_BYTES = 1024;

export interface GraphFile {
  /** File name inside the folder, e.g. decoder.onnx. */
  readonly file: string;
  readonly graph: Graph;
}

/** Every tensor that graphs are made of, by our names. */
export function tensorNeeds(graphs: readonly GraphFile[]): ReadonlyMap<string, TensorNeed> {
  const needs = new Map<string, TensorNeed>();
  for (const { graph } of graphs) {
    for (const { recipe } of graph.weights) if (recipe.kind !== 'computed') for (const need of recipe.tensors) needs.set(need.name, need);
  }
  return needs;
}

/** Called after each weight: how many of how many have been written. */
export type Progress = (done: number, total: number) => void;

/** Where index `i` of an axis made of heads is after widening. */
function widened(i: number, heads: HeadPadding | undefined): number {
  if (heads === undefined) return i;
  const inside = i % heads.size;
  const half = heads.size / 2;
  return ((i - inside) / heads.size) * heads.padded + (inside < half ? inside : heads.padded / 2 + inside - half);
}

const TILE = 32;

/** Where one [out, in] tensor goes in the [in, width] matrix: its columns from `column` on. */
interface Columns {
  readonly out: number;
  readonly into: number;
  readonly column: number;
  readonly width: number;
  readonly heads: HeadPadding | undefined;
}

/** Read in tiles, so that both sides stay in the processor's cache. */
function transposeInto(target: Float32Array, source: Float32Array, place: Columns): void {
  const { out, into, column, width, heads } = place;
  const columns = Int32Array.from({ length: out }, (_, o) => column + widened(o, heads?.axis === 'out' ? heads : undefined));
  const rows = Int32Array.from({ length: into }, (_, i) => width * widened(i, heads?.axis === 'in' ? heads : undefined));
  for (let o0 = 0; o0 < out; o0 += TILE) {
    for (let i0 = 0; i0 < into; i0 += TILE) {
      const oEnd = Math.min(o0 + TILE, out);
      const iEnd = Math.min(i0 + TILE, into);
      for (let i = i0; i < iEnd; i++) {
        // Indices are inside the arrays: o < out, i < into, and the length of source was checked. An undefined one would write NaN.
        const row = rows[i] ?? Number.NaN;
        for (let o = o0; o < oEnd; o++) target[row + (columns[o] ?? 0)] = source[o * into + i] ?? Number.NaN;
      }
    }
  }
}

async function laidOut(recipe: Recipe, size: number, read: (tensor: TensorNeed) => Promise<Float32Array>): Promise<Float32Array> {
  if (recipe.kind === 'computed') return recipe.values();
  const [first, ...others] = recipe.tensors;
  const { heads } = recipe;
  if (recipe.kind === 'stored' && first !== undefined && others.length === 0 && heads === undefined) return await read(first);
  const outer = heads?.axis === 'out' ? heads : undefined;
  const widthOf = (tensor: TensorNeed): number => ((tensor.shape[0] ?? 1) * (outer?.padded ?? 1)) / (outer?.size ?? 1);
  const width = recipe.tensors.reduce((sum, tensor) => sum + widthOf(tensor), 0);
  const target = new Float32Array(size);
  let at = 0;
  for (const tensor of recipe.tensors) {
    const values = await read(tensor);
    const [out = 1, into = 1] = tensor.shape;
    if (recipe.kind === 'transposed') transposeInto(target, values, { out, into, column: at, width, heads });
    else for (const [i, value] of values.entries()) target[at + widened(i, outer)] = value;
    at += widthOf(tensor);
  }
  return target;
}

async function append(file: FileHandle, at: number, bytes: Uint8Array): Promise<{ offset: number; end: number }> {
  const offset = Math.ceil(at / ALIGNMENT) * ALIGNMENT;
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written, bytes.length - written, offset + written)).bytesWritten;
  }
  return { offset, end: offset + bytes.length };
}

/**
 * Writes `graphs` and `dataFile` into `folder`, which must exist and hold none of them.
 *
 * @param read values of a tensor by our name, f32 in the order of its shape
 * @throws checkpoint-tensors when a tensor has another number of values than its shape says, or a value that is not finite
 */
export async function writeGraphs(
  folder: string,
  dataFile: string,
  graphs: readonly GraphFile[],
  read: (name: string) => Promise<Float32Array>,
  progress: Progress = () => undefined,
): Promise<void> {
  const checked = async (tensor: TensorNeed): Promise<Float32Array> => {
    const values = await read(tensor.name);
    const expected = tensor.shape.reduce((product, dim) => product * dim, 1);
    if (values.length !== expected) {
      throw new WetreadError(
        'checkpoint-tensors',
        `${tensor.name} has ${values.length} values, ${expected} expected (${tensor.shape.join(' x ')})`,
      );
    }
    const bad = values.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0)
      throw new WetreadError('checkpoint-tensors', `${tensor.name} holds ${values[bad]} at position ${bad}, finite values expected`);
    return values;
  };
  const weights = new Map<string, Weight>();
  for (const { graph } of graphs) for (const weight of graph.weights) weights.set(weight.key, weight);
  const placements = new Map<string, Placement>();
  const data = await open(join(folder, dataFile), 'wx');
  try {
    let end = 0;
    for (const [key, weight] of weights) {
      const size = weight.dims.reduce((product, dim) => product * dim, 1);
      const values = await laidOut(weight.recipe, size, checked);
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      if (bytes.length < INLINE_BELOW_BYTES) placements.set(key, { kind: 'inline', bytes: bytes.slice() });
      else {
        const place = await append(data, end, bytes);
        placements.set(key, { kind: 'external', location: dataFile, offset: place.offset, length: bytes.length });
        end = place.end;
      }
      progress(placements.size, weights.size);
    }
    await data.sync();
  } finally {
    await data.close();
  }
  for (const { file, graph } of graphs) await writeFile(join(folder, file), graph.encode(placements), { flag: 'wx' });
}
