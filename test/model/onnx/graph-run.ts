/** A graph whose weights follow from their names, written, loaded and run once. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeGraphs } from '#model/onnx/files.ts';
import type { Graph } from '#model/onnx/graph.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';

/** Values between -1 and 1 that depend on name and place only; variances are positive. */
export function valuesOf(name: string, size: number): Float32Array {
  const seed = [...name].reduce((hash, character) => (hash * 31 + character.charCodeAt(0)) % 1009, 7);
  const shift = name.endsWith('running_var') ? 1.5 : 0;
  return Float32Array.from({ length: size }, (_, i) => shift + Math.sin(seed + i * 12.9898 + (i % 17) * seed));
}

const sizeOf = (shape: readonly number[]) => shape.reduce((product, dim) => product * dim, 1);

export interface Feed {
  readonly data: Float32Array | BigInt64Array;
  readonly dims: readonly number[];
}

/** Outputs by name; `tensors` gives the weights that were used. */
export async function runGraph(graph: Graph, feeds: Readonly<Record<string, Feed>>, outputs: readonly string[]) {
  const needs = new Map<string, number>();
  for (const { recipe } of graph.weights) {
    if (recipe.kind !== 'computed') for (const { name, shape } of recipe.tensors) needs.set(name, sizeOf(shape));
  }
  const tensors = (name: string): Float32Array => {
    const size = needs.get(name);
    if (size === undefined) throw new Error(`the test asks for ${name}, the graph does not`);
    return valuesOf(name, size);
  };
  const folder = await mkdtemp(join(tmpdir(), 'wetread-graph-'));
  try {
    await writeGraphs(folder, 'weights.data', [{ file: 'graph.onnx', graph }], (name) => Promise.resolve(tensors(name)));
    const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
    const session = await runtime.load(join(folder, 'graph.onnx'));
    const values = Object.fromEntries(Object.entries(feeds).map(([name, { data, dims }]) => [name, runtime.value(data, dims)]));
    const out = await session.run(values, outputs);
    await session.release();
    const read = (name: string) => {
      const value = out[name];
      if (value === undefined) throw new Error(`the graph gave no ${name}`);
      return { data: value.read(), dims: value.dims };
    };
    return { read, tensors };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Largest absolute difference; NaN where one is. */
export function offBy(found: ArrayLike<number>, expected: readonly number[]): number {
  if (found.length !== expected.length) return Number.NaN;
  return Math.max(...expected.map((value, i) => Math.abs(value - (found[i] ?? Number.NaN))));
}
