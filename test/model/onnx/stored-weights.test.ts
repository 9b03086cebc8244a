import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import * as ort from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';
import { type GraphFile, plainWriting, writeGraphs } from '#model/onnx/files.ts';
import { Graph } from '#model/onnx/graph.ts';
import { quantize, type ReadTensor } from '#model/onnx/layout.ts';
import { BLOCK, type WeightType, ZERO_POINT } from '#model/onnx/stored-weights.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-stored-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;

const WIDTH = 64;
const ROWS = 96;
/** Between -1.5 and 1.5, no two alike. */
const table = Float32Array.from({ length: ROWS * WIDTH }, (_, i) => 1.5 * Math.sin(1 + i * 0.7 + (i % 7) * (i % 5)));
const bias = Float32Array.from({ length: ROWS }, (_, i) => i / 7);

/** x times the table's rows plus a bias, and two rows of the same table. */
function tied(): Graph {
  const graph = new Graph('tied');
  graph.input('x', 'f32', [1, 2, WIDTH]);
  graph.input('ids', 'i64', [2]);
  graph.weight('head', [WIDTH, ROWS], { kind: 'transposed', tensors: [{ name: 'table', shape: [ROWS, WIDTH] }] });
  graph.weight('bias', [ROWS], { kind: 'stored', tensors: [{ name: 'bias', shape: [ROWS] }] });
  graph.op('Add', [graph.op('MatMul', ['x', 'head'], 'product'), 'bias'], 'y');
  graph.output('y', 'f32', [1, 2, ROWS]);
  graph.weight('embedding', [ROWS, WIDTH], { kind: 'stored', tensors: [{ name: 'table', shape: [ROWS, WIDTH] }] });
  graph.op('Gather', ['embedding', 'ids'], 'rows', { axis: { int: 0 } });
  graph.output('rows', 'f32', [2, WIDTH]);
  return graph;
}

const readTied: ReadTensor = (name) => Promise.resolve(name === 'table' ? table : bias);

async function written(graph: Graph, weights: WeightType, read: ReadTensor): Promise<{ name: string; notes: string[] }> {
  const name = `s${made++}`;
  const notes: string[] = [];
  const files: GraphFile[] = [{ file: `${name}.onnx`, graph }];
  await writeGraphs(folder, `${name}.data`, files, read, { ...plainWriting, weights, note: (text) => notes.push(text) });
  return { name, notes };
}

async function run(name: string, feeds: Record<string, ort.Tensor>, fetch: string): Promise<Float32Array> {
  const session = await ort.InferenceSession.create(join(folder, `${name}.onnx`), { logSeverityLevel: 4 });
  const out = await session.run(feeds, [fetch]);
  await session.release();
  // f32 outputs only.
  return out[fetch]?.data as Float32Array;
}

const x = Float32Array.from({ length: 2 * WIDTH }, (_, i) => Math.cos(i * i));
const ids = [5, 95];
const feeds = {
  x: new ort.Tensor('float32', x, [1, 2, WIDTH]),
  ids: new ort.Tensor('int64', BigInt64Array.from(ids, BigInt), [2]),
};
const expected = [0, 1].flatMap((row) =>
  Array.from({ length: ROWS }, (_, o) =>
    Array.from({ length: WIDTH }, (__, i) => (x[row * WIDTH + i] ?? 0) * (table[o * WIDTH + i] ?? 0)).reduce((a, b) => a + b, bias[o] ?? 0),
  ),
);

function furthest(found: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(found.length).toBe(wanted.length);
  return Math.max(...Array.from(wanted, (value, i) => Math.abs((found[i] ?? Number.NaN) - value)));
}

describe('products and look-ups equal plain arithmetic as closely as the number type allows', () => {
  // Sums of 64 products; a weight is off by 2^-12 of its size in fp16, by a 254th of its block's largest in int8, a factor likewise.
  test.each([
    ['fp32', 1e-4, 0],
    ['fp16', 1e-2, 1.5 * 2 ** -11],
    ['int8', 0.2, 1.5 / 254 + 1e-6],
  ] as const)('%s', async (weights, sums, rows) => {
    const { name, notes } = await written(tied(), weights, readTied);
    expect(notes).toEqual([]);
    const found = furthest(await run(name, feeds, 'y'), expected);
    expect(found).toBeLessThan(sums);
    // The other types are not fp32 by accident.
    if (weights !== 'fp32') expect(found).toBeGreaterThan(1e-4);
    const wanted = ids.flatMap((id) => [...table.subarray(id * WIDTH, (id + 1) * WIDTH)]);
    expect(furthest(await run(name, feeds, 'rows'), wanted)).toBeLessThanOrEqual(rows);
  });
});

test.each([1, 20, 32, 50, 100])('rows of %i values are blocks that are filled up with zeros', async (length) => {
  const rows = Math.floor((ROWS * WIDTH) / length / 4);
  const graph = new Graph('filled');
  graph.input('x', 'f32', [1, length]);
  graph.input('ids', 'i64', [1]);
  graph.weight('w', [length, rows], { kind: 'transposed', tensors: [{ name: 'table', shape: [rows, length] }] });
  graph.op('MatMul', ['x', 'w'], 'y');
  graph.output('y', 'f32', [1, rows]);
  graph.weight('e', [rows, length], { kind: 'stored', tensors: [{ name: 'table', shape: [rows, length] }] });
  graph.op('Gather', ['e', 'ids'], 'row', { axis: { int: 0 } });
  graph.output('row', 'f32', [1, length]);
  const values = table.subarray(0, rows * length);
  const { name } = await written(graph, 'int8', () => Promise.resolve(values));
  const ones = new ort.Tensor('float32', new Float32Array(length).fill(1), [1, length]);
  const own = { x: ones, ids: new ort.Tensor('int64', BigInt64Array.of(BigInt(rows - 1)), [1]) };
  const last = values.subarray(-length);
  expect(furthest(await run(name, own, 'row'), last)).toBeLessThanOrEqual(1.5 / 254 + 1e-6);
  const sums = Array.from({ length: rows }, (_, row) => values.subarray(row * length, (row + 1) * length).reduce((a, b) => a + b, 0));
  expect(furthest(await run(name, own, 'y'), sums)).toBeLessThan(0.3);
});

test('fp16 takes half the bytes; int8 a quarter and its scales, once for the table and the tied head', async () => {
  const sizes: number[] = [];
  for (const weights of ['fp32', 'fp16', 'int8'] as const) {
    const { name } = await written(tied(), weights, readTied);
    sizes.push(statSync(join(folder, `${name}.data`)).size);
  }
  const bytes = ROWS * WIDTH * 4;
  expect(sizes).toEqual([2 * bytes, bytes, 2 * 4096 + bytes / BLOCK]);
});

describe('what stays fp32', () => {
  test('in int8, what is neither multiplied by nor looked up', async () => {
    const graph = new Graph('kept');
    graph.input('x', 'f32', [1, ROWS * WIDTH]);
    graph.weight('added', [1, ROWS * WIDTH], { kind: 'stored', tensors: [{ name: 'table', shape: [1, ROWS * WIDTH] }] });
    graph.op('Add', ['x', 'added'], 'y');
    graph.output('y', 'f32', [1, ROWS * WIDTH]);
    const { name } = await written(graph, 'int8', readTied);
    const zeros = new ort.Tensor('float32', new Float32Array(ROWS * WIDTH), [1, ROWS * WIDTH]);
    expect(await run(name, { x: zeros }, 'y')).toEqual(table);
  });

  test('an image encoder is fp16 in int8 bundles, and fp32 where its family says so', async () => {
    const ops: [boolean, boolean][] = [];
    for (const coarsest of ['f16', 'f32'] as const) {
      const graph = new Graph('vision', coarsest);
      graph.input('x', 'f32', [1, WIDTH]);
      graph.weight('w', [WIDTH, ROWS], { kind: 'transposed', tensors: [{ name: 'table', shape: [ROWS, WIDTH] }] });
      graph.op('MatMul', ['x', 'w'], 'y');
      graph.output('y', 'f32', [1, ROWS]);
      const { name } = await written(graph, 'int8', readTied);
      const bytes = readFileSync(join(folder, `${name}.onnx`));
      ops.push([bytes.includes('MatMulNBits'), bytes.includes('w.f16')]);
    }
    expect(ops).toEqual([
      [false, true],
      [false, false],
    ]);
  });

  test('a weight with a value that fp16 cannot hold, and the report names it', async () => {
    const large = table.slice();
    large[77] = -70_000;
    const { name, notes } = await written(tied(), 'fp16', (tensor) => Promise.resolve(tensor === 'table' ? large : bias));
    expect(notes).toEqual([
      'table holds -70000 at position 77, beyond fp16: head stays fp32.',
      'table holds -70000 at position 77, beyond fp16: embedding stays fp32.',
    ]);
    const rows = await run(name, { ...feeds, ids: new ort.Tensor('int64', BigInt64Array.of(1n, 0n), [2]) }, 'rows');
    expect(rows[13]).toBe(-70_000);
    expect(rows.subarray(WIDTH)).toEqual(table.subarray(0, WIDTH));
  });

  test('65519 rounds to what fp16 holds, 65520 does not', async () => {
    for (const [value, kept] of [
      [65_519, 0],
      [65_520, 2],
    ] as const) {
      const edge = table.slice();
      edge[0] = value;
      expect((await written(tied(), 'fp16', (tensor) => Promise.resolve(tensor === 'table' ? edge : bias))).notes.length).toBe(kept);
    }
  });
});

test('a block is off by at most half of its step, keeps its largest value, and zeros stay zeros', () => {
  const value = fc.float({ noNaN: true, noDefaultInfinity: true, min: Math.fround(-1e30), max: Math.fround(1e30) });
  fc.assert(
    fc.property(fc.array(value, { minLength: BLOCK, maxLength: BLOCK }), (values) => {
      const { bytes, scales } = quantize(Float32Array.from(values));
      const most = Math.max(...values.map(Math.abs));
      for (const [i, wanted] of values.entries()) {
        const found = ((bytes[i] ?? 0) - ZERO_POINT) * (scales[0] ?? 0);
        // Subnormal steps cannot be halved.
        expect(Math.abs(found - wanted)).toBeLessThanOrEqual(most / 254 + most * 1e-6 + 1e-42);
        if (wanted === 0) expect(found).toBe(0);
      }
    }),
  );
});
