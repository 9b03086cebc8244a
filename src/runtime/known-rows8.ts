/**
 * Whether a provider multiplies by and looks up 8-bit blocks rightly, tried on whole numbers that every way of computing gives exactly.
 *
 * A kernel may take the other side of a product to 8 bits: each block here holds a 127 on both sides, so nothing is rounded.
 */
import { join } from 'node:path';
import { plainWriting, writeGraphs } from '#model/onnx/files.ts';
import { Graph } from '#model/onnx/graph.ts';
import { BLOCK } from '#model/onnx/stored-weights.ts';
import type { OrtRuntime } from './port.ts';

const LENGTH = 2 * BLOCK;
const ROWS = 48;
const MOST = 127;
/** One row takes another kernel than many. */
const CALLS = [1, 40] as const;

/** Whole numbers from -127 to 127, the first of each block 127. */
function wholeNumbers(rows: number, seed: number): Float32Array {
  return Float32Array.from({ length: rows * LENGTH }, (_, i) =>
    i % BLOCK === 0 ? MOST : ((i * seed + (i % 7) * i) % (2 * MOST + 1)) - MOST,
  );
}

const table = (): Float32Array => wholeNumbers(ROWS, 31);

function graphOf(): Graph {
  const graph = new Graph('known-rows8');
  const tensors = [{ name: 'table', shape: [ROWS, LENGTH] }];
  const x = graph.input('x', 'f32', [1, 'rows', LENGTH]);
  const ids = graph.input('ids', 'i64', ['count']);
  graph.op('MatMul', [x, graph.weight('matrix', [LENGTH, ROWS], { kind: 'transposed', tensors })], 'context');
  graph.output('context', 'f32', [1, 'rows', ROWS]);
  graph.op('Gather', [graph.weight('embedding', [ROWS, LENGTH], { kind: 'stored', tensors }), ids], 'found', { axis: { int: 0 } });
  graph.output('found', 'f32', ['count', LENGTH]);
  return graph;
}

/** Largest difference to plain arithmetic, as a share of the largest value that may come out; NaN when the provider gave one. */
export async function rows8Deviation(runtime: OrtRuntime, folder: string): Promise<number> {
  const weights = table();
  const files = [{ file: 'known-rows8.onnx', graph: graphOf() }];
  await writeGraphs(folder, 'known-rows8.data', files, () => Promise.resolve(weights), { ...plainWriting, weights: 'int8' });
  const session = await runtime.load(join(folder, 'known-rows8.onnx'));
  try {
    const differences: number[] = [];
    for (const rows of CALLS) {
      const x = wholeNumbers(rows, 17);
      const id = ROWS - rows;
      const feeds = { x: runtime.value(x, [1, rows, LENGTH]), ids: runtime.value(BigInt64Array.of(BigInt(id)), [1]) };
      const out = await session.run(feeds, ['context', 'found']);
      const [products, found] = [out.context?.read() ?? [], out.found?.read() ?? []];
      for (let at = 0; at < rows * ROWS; at++) {
        const [row, column] = [Math.floor(at / ROWS), at % ROWS];
        let sum = 0;
        for (let i = 0; i < LENGTH; i++) sum += (x[row * LENGTH + i] ?? 0) * (weights[column * LENGTH + i] ?? 0);
        differences.push(Math.abs((products[at] ?? Number.NaN) - sum) / (LENGTH * MOST * MOST));
      }
      for (let i = 0; i < LENGTH; i++) {
        differences.push(Math.abs((found[i] ?? Number.NaN) - (weights[id * LENGTH + i] ?? 0)) / MOST);
      }
    }
    return Math.max(...differences);
  } finally {
    await session.release();
  }
}
