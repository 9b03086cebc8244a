import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, describe, expect, test } from 'vitest';
import { plainWriting, writeGraphs } from '#model/onnx/files.ts';
import { Graph } from '#model/onnx/graph.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-onnx-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let made = 0;

async function run(
  graph: Graph,
  tensors: Record<string, Float32Array>,
  feeds: Record<string, ort.Tensor>,
  fetch: string,
): Promise<number[]> {
  const name = `g${made++}`;
  const read = (tensor: string): Promise<Float32Array> => Promise.resolve(tensors[tensor] ?? new Float32Array(0));
  await writeGraphs(folder, `${name}.data`, [{ file: `${name}.onnx`, graph }], read);
  const session = await ort.InferenceSession.create(join(folder, `${name}.onnx`), { logSeverityLevel: 4 });
  const out = await session.run(feeds, [fetch]);
  await session.release();
  // The tests fetch f32 outputs only.
  return [...((out[fetch]?.data ?? []) as Float32Array)];
}

const row = (...values: number[]): ort.Tensor => new ort.Tensor('float32', Float32Array.from(values), [1, values.length]);

describe('weights', () => {
  test('transposed tensors stand side by side: each gives its own outputs, in order', async () => {
    const graph = new Graph('two');
    graph.input('x', 'f32', [1, 2]);
    const tensors = [
      { name: 'a', shape: [2, 2] },
      { name: 'b', shape: [1, 2] },
    ];
    graph.weight('w', [2, 3], { kind: 'transposed', tensors });
    graph.op('MatMul', ['x', 'w'], 'y');
    graph.output('y', 'f32', [1, 3]);
    const values = { a: Float32Array.of(1, 2, 3, 4), b: Float32Array.of(5, 6) };
    expect(await run(graph, values, { x: row(1, 10) }, 'y')).toEqual([21, 43, 65]);
  });

  test('widened heads keep each half at its end and add zeros, on either axis', async () => {
    const graph = new Graph('heads');
    graph.input('x', 'f32', [1, 1]);
    // Two heads of two values, widened to four: values 0 and 2 of each head are taken.
    graph.weight('w', [1, 8], { kind: 'transposed', tensors: [{ name: 'a', shape: [4, 1] }], heads: { axis: 'out', size: 2, padded: 4 } });
    graph.weight('b', [8], { kind: 'stored', tensors: [{ name: 'c', shape: [4] }], heads: { axis: 'out', size: 2, padded: 4 } });
    graph.op('Add', [graph.op('MatMul', ['x', 'w'], 'p'), 'b'], 'wide');
    graph.output('wide', 'f32', [1, 8]);
    graph.weight('o', [8, 1], { kind: 'transposed', tensors: [{ name: 'd', shape: [1, 4] }], heads: { axis: 'in', size: 2, padded: 4 } });
    graph.op('MatMul', ['wide', 'o'], 'y');
    graph.output('y', 'f32', [1, 1]);
    const values = { a: Float32Array.of(1, 2, 3, 4), c: Float32Array.of(10, 20, 30, 40), d: Float32Array.of(1, 100, 10_000, 1_000_000) };
    expect(await run(graph, values, { x: row(1) }, 'wide')).toEqual([11, 0, 22, 0, 33, 0, 44, 0]);
    const again = new Graph('again');
    again.input('wide', 'f32', [1, 8]);
    again.weight('o', [8, 1], { kind: 'transposed', tensors: [{ name: 'd', shape: [1, 4] }], heads: { axis: 'in', size: 2, padded: 4 } });
    again.op('MatMul', ['wide', 'o'], 'y');
    again.output('y', 'f32', [1, 1]);
    expect(await run(again, values, { wide: row(1, 9, 2, 9, 3, 9, 4, 9) }, 'y')).toEqual([4_030_201]);
  });

  test('one tensor in one layout is written once for several graphs, at a multiple of 4096; a small one goes into the graph', async () => {
    const graphs = ['first', 'second'].map((name) => {
      const graph = new Graph(name);
      graph.input('x', 'f32', [1, 40]);
      graph.weight('w', [40, 40], { kind: 'stored', tensors: [{ name: 'big', shape: [40, 40] }] });
      graph.weight('other', [40, 40], { kind: 'transposed', tensors: [{ name: 'big', shape: [40, 40] }] });
      graph.weight('s', [40], { kind: 'stored', tensors: [{ name: 'small', shape: [40] }] });
      graph.op('Add', [graph.op('MatMul', ['x', 'w'], 'p'), graph.op('MatMul', ['x', 'other'], 'q')], 'r');
      graph.op('Add', ['r', 's'], 'y');
      graph.output('y', 'f32', [1, 40]);
      return { file: `${name}.onnx`, graph };
    });
    const reads: string[] = [];
    const steps: [number, number][] = [];
    const sizes: Record<string, number> = { big: 1600, small: 40 };
    await writeGraphs(
      folder,
      'shared.data',
      graphs,
      (name) => {
        reads.push(name);
        return Promise.resolve(new Float32Array(sizes[name] ?? 0).fill(1));
      },
      { ...plainWriting, progress: ({ weights, ofWeights }) => steps.push([weights, ofWeights]) },
    );
    expect(reads.sort()).toEqual(['big', 'big', 'small']);
    expect(new Set(steps.map(([done]) => done))).toEqual(new Set([0, 1, 2, 3]));
    expect(steps.at(-1)).toEqual([3, 3]);
    // 6400 bytes end at 6400; the next tensor starts at 8192.
    expect(statSync(join(folder, 'shared.data')).size).toBe(8192 + 6400);
    const second = await ort.InferenceSession.create(join(folder, 'second.onnx'), { logSeverityLevel: 4 });
    const out = await second.run({ x: row(...new Array<number>(40).fill(1)) }, ['y']);
    expect(out.y?.data[7]).toBe(81);
    await second.release();
  });

  test('a file that is already there is not overwritten', async () => {
    const graph = new Graph('once');
    await writeGraphs(folder, 'once.data', [{ file: 'once.onnx', graph }], () => Promise.resolve(new Float32Array(0)));
    const before = readFileSync(join(folder, 'once.onnx'));
    await expect(
      writeGraphs(folder, 'once.data', [{ file: 'once.onnx', graph }], () => Promise.resolve(new Float32Array(0))),
    ).rejects.toThrow('EEXIST');
    expect(readFileSync(join(folder, 'once.onnx'))).toEqual(before);
  });
});

describe('bad values', () => {
  const graph = (): Graph => {
    const made = new Graph('bad');
    made.weight('w', [2, 2], { kind: 'stored', tensors: [{ name: 'a', shape: [2, 2] }] });
    return made;
  };

  test('a value that is not finite is named with its tensor and place', async () => {
    const read = (): Promise<Float32Array> => Promise.resolve(Float32Array.of(1, 2, Number.NaN, 4));
    await expect(writeGraphs(folder, 'nan.data', [{ file: 'nan.onnx', graph: graph() }], read)).rejects.toMatchObject({
      code: 'checkpoint-tensors',
      message: 'a holds NaN at position 2, finite values expected',
    });
  });

  test('another number of values than the shape says is refused with both numbers', async () => {
    const read = (): Promise<Float32Array> => Promise.resolve(new Float32Array(3));
    await expect(writeGraphs(folder, 'short.data', [{ file: 'short.onnx', graph: graph() }], read)).rejects.toMatchObject({
      code: 'checkpoint-tensors',
      message: 'a has 3 values, 4 expected (2 x 2)',
    });
  });
});

describe('the builder', () => {
  test('refuses a value that is defined twice, read before it exists, or put out without being there', () => {
    const graph = new Graph('strict');
    graph.input('x', 'f32', [1]);
    expect(() => graph.input('x', 'f32', [1])).toThrow('x is defined twice');
    expect(() => graph.op('Neg', ['y'], 'z')).toThrow('Neg reads y');
    expect(() => graph.output('z', 'f32', [1])).toThrow('output z is not defined');
  });

  test('negative integers, floats, lists and texts reach the library as attributes', async () => {
    const graph = new Graph('attributes');
    graph.input('x', 'f32', [1, 2]);
    graph.op('Transpose', ['x'], 't', { perm: { ints: [1, 0] } });
    graph.op('Gelu', ['t'], 'g', { approximate: { text: 'tanh' } });
    graph.op('LeakyRelu', ['g'], 'l', { alpha: { float: 0.5 } });
    graph.op('Softmax', ['l'], 's', { axis: { int: -2 } });
    graph.output('s', 'f32', [2, 1]);
    const [a = 0, b = 0] = await run(graph, {}, { x: row(1, -1) }, 's');
    const gelu = (x: number): number => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
    expect(a / b).toBeCloseTo(Math.exp(gelu(1) - 0.5 * gelu(-1)), 5);
  });
});
