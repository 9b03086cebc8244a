/** The merge against plain arithmetic, on grids of odd and even sides, in both orders. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type MergeOrder, vilaProjection } from '#model/families/vila-m3/projector.ts';
import { writeGraphs } from '#model/onnx/files.ts';
import { Graph } from '#model/onnx/graph.ts';
import type { VisionArchitecture } from '#model/onnx/vision-transformer.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from '../../folder.ts';

const folder = await temporaryFolder();
const width = 2;
const outSize = 3;

const value = (seed: number) => (i: number) => Math.sin(seed + 1.7 * i);
const tensors: Record<string, Float32Array> = {
  'projector.norm.weight': Float32Array.from({ length: 4 * width }, (_, i) => value(1)(i)),
  'projector.norm.bias': Float32Array.from({ length: 4 * width }, (_, i) => value(2)(i)),
  'projector.0.weight': Float32Array.from({ length: outSize * 4 * width }, (_, i) => value(3)(i)),
  'projector.0.bias': Float32Array.from({ length: outSize }, (_, i) => value(4)(i)),
  'projector.1.weight': Float32Array.from({ length: outSize * outSize }, (_, i) => value(5)(i)),
  'projector.1.bias': Float32Array.from({ length: outSize }, (_, i) => value(6)(i)),
};
const of = (name: string, i: number) => tensors[name]?.[i] ?? Number.NaN;

/** Abramowitz and Stegun 7.1.26: error below 1.5e-7. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const sum = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - sum * Math.exp(-x * x));
}

const linear = (name: string, x: readonly number[]) =>
  Array.from({ length: outSize }, (_, out) =>
    x.reduce((sum, v, i) => sum + v * of(`${name}.weight`, out * x.length + i), of(`${name}.bias`, out)),
  );

function plainRow(block: readonly number[]): number[] {
  const mean = block.reduce((a, b) => a + b, 0) / block.length;
  const variance = block.reduce((sum, v) => sum + (v - mean) ** 2, 0) / block.length;
  const normed = block.map(
    (v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * of('projector.norm.weight', i) + of('projector.norm.bias', i),
  );
  return linear(
    'projector.1',
    linear('projector.0', normed).map((v) => 0.5 * v * (1 + erf(v / Math.SQRT2))),
  );
}

function plain(rows: Float32Array, side: number, order: MergeOrder): number[] {
  const at = (y: number, x: number) =>
    Array.from({ length: width }, (_, c) => (y < side && x < side ? (rows[(y * side + x) * width + c] ?? 0) : 0));
  const blocks = Math.ceil(side / 2);
  const out: number[] = [];
  for (let first = 0; first < blocks; first++) {
    for (let second = 0; second < blocks; second++) {
      const [y, x] = order === 'columns' ? [2 * second, 2 * first] : [2 * first, 2 * second];
      out.push(...plainRow([...at(y, x), ...at(y, x + 1), ...at(y + 1, x), ...at(y + 1, x + 1)]));
    }
  }
  return out;
}

test.each<[number, MergeOrder]>([
  [5, 'columns'],
  [4, 'columns'],
  [1, 'columns'],
  [5, 'rows'],
])('a side of %i, %s', async (side, order) => {
  const vision: VisionArchitecture = {
    hiddenSize: width,
    intermediateSize: 4,
    heads: 1,
    blocks: 0,
    channels: 3,
    imageSize: side,
    patchSize: 1,
    activation: 'gelu',
    normEpsilon: 1e-6,
    kind: 'siglip',
    dropFirst: false,
  };
  const projection = vilaProjection(vision, { kind: 'merge', side, order, outSize });
  const graph = new Graph('merge');
  graph.input('rows', 'f32', ['images', side * side, width]);
  graph.op('Identity', [projection.add(graph, 'rows')], 'features');
  graph.output('features', 'f32', ['images', projection.rows, outSize]);
  const own = join(folder, `${side}-${order}`);
  await mkdir(own);
  await writeGraphs(own, 'weights.data', [{ file: 'merge.onnx', graph }], (name) => Promise.resolve(tensors[name] ?? new Float32Array(0)));
  const runtime = openStockRuntime({ provider: 'cpu', threads: null, strict: false });
  const session = await runtime.load(join(own, 'merge.onnx'));
  const rows = Float32Array.from({ length: 2 * side * side * width }, (_, i) => Math.cos(3 * i));
  const out = await session.run({ rows: runtime.value(rows, [2, side * side, width]) }, ['features']);
  const half = rows.length / 2;
  const expected = [...plain(rows.slice(0, half), side, order), ...plain(rows.slice(half), side, order)];
  const found = out.features?.read() ?? new Float32Array(0);
  expect(found.length).toBe(expected.length);
  for (const [i, wanted] of expected.entries()) expect(found[i]).toBeCloseTo(wanted, 5);
  await session.release();
});
