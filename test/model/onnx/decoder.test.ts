/** Decoder graphs of many kinds against plain arithmetic, in one call and in pieces on a cache. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { cacheHeadDim, type DecoderArchitecture, decoderGraph, embeddingGraph } from '#model/onnx/decoder.ts';
import { writeGraphs } from '#model/onnx/files.ts';
import { openDecoder } from '#runtime/decoder.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { plainDecoder } from './plain-decoder.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-decoder-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const base: DecoderArchitecture = {
  hiddenSize: 24,
  intermediateSize: 40,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  normEpsilon: 1e-5,
  vocabSize: 30,
  maxPositions: 64,
  rotary: { theta: 10_000, scaling: { type: 'none' } },
  windows: [null, null],
  bias: { qkv: false, out: false, mlp: false },
  tiedHead: false,
};

const llama3 = { type: 'llama3', factor: 4, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 16 } as const;
const kinds: Record<string, Partial<DecoderArchitecture>> = {
  'grouped heads of 16': {},
  'heads of 6, widened, with a key-value head each': { headDim: 6, kvHeads: 4 },
  'heads of 10, widened, with biases everywhere': { headDim: 10, bias: { qkv: true, out: true, mlp: true } },
  'heads of 32, one key-value head, tied': { headDim: 32, kvHeads: 1, tiedHead: true },
  'nine heads on three, heads of 64': { heads: 9, kvHeads: 3, headDim: 64 },
  'heads of 80, as in a 2.8 billion model': { heads: 2, kvHeads: 1, headDim: 80 },
  'a window of 5 on the second layer only': { windows: [null, 5] },
  'a window of one position': { windows: [1, 1] },
  'linear scaling': { rotary: { theta: 500, scaling: { type: 'linear', factor: 3 } } },
  'llama3 scaling': { rotary: { theta: 500, scaling: llama3 } },
  'one layer': { windows: [null] },
  'three axes of positions': { positionSections: [2, 3, 3] },
  'two axes of positions, heads widened': { headDim: 6, positionSections: [1, 2] },
};

/** Numbers that depend on name and place only; matrices are scaled so that rows keep their size. */
function tensorsOf(needs: ReadonlyMap<string, readonly number[]>): (name: string) => Float32Array {
  const made = new Map<string, Float32Array>();
  return (name) => {
    const known = made.get(name);
    if (known !== undefined) return known;
    const shape = needs.get(name);
    if (shape === undefined) throw new Error(`the test asks for ${name}, the graph does not`);
    const seed = [...name].reduce((hash, character) => (hash * 31 + character.charCodeAt(0)) % 1009, 7);
    const scale = 1.5 / Math.sqrt(shape[1] ?? 1);
    const size = shape.reduce((product, dim) => product * dim, 1);
    const values = Float32Array.from({ length: size }, (_, i) => scale * Math.sin(seed + i * 12.9898 + (i % 17) * seed));
    made.set(name, values);
    return values;
  };
}

test.each(Object.keys(kinds))('%s: logits equal plain arithmetic, at once and in pieces', async (kind) => {
  const a = { ...base, ...kinds[kind] };
  const own = mkdtempSync(join(folder, 'kind-'));
  const graphs = [
    { file: 'decoder.onnx', graph: decoderGraph(a) },
    { file: 'embedding.onnx', graph: embeddingGraph(a) },
  ];
  const needs = new Map<string, readonly number[]>();
  for (const { graph } of graphs) {
    for (const { recipe } of graph.weights)
      if (recipe.kind !== 'computed') for (const need of recipe.tensors) needs.set(need.name, need.shape);
  }
  const tensors = tensorsOf(needs);
  await writeGraphs(own, 'weights.data', graphs, (name) => Promise.resolve(tensors(name)));
  const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
  const sessions = { embedding: await runtime.load(join(own, 'embedding.onnx')), decoder: await runtime.load(join(own, 'decoder.onnx')) };
  const sizes = {
    hiddenSize: a.hiddenSize,
    layers: a.windows.length,
    kvHeads: a.kvHeads,
    headDim: cacheHeadDim(a),
    vocabSize: a.vocabSize,
    contextTokens: a.maxPositions,
    visualTokens: 1,
    ...(a.positionSections === undefined ? {} : { positionAxes: a.positionSections.length }),
    needs: [],
  };
  const decoder = openDecoder(runtime, sessions.embedding, sessions.decoder, sizes);
  const ids = Array.from({ length: 20 }, (_, i) => (i * 7) % a.vocabSize);
  const rows = await decoder.embed(ids);
  // Three rows, a picture of 3 x 2, and what follows it, where the axes are present: the last rows are counted on.
  const axes = [
    [0, 1, 2, 3, 3, 3, 3, 3, 3, 6, 7],
    [0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 7],
    [0, 1, 2, 3, 4, 3, 4, 3, 4, 6, 7],
  ].slice(0, a.positionSections?.length ?? 0);
  const allPositions = axes.map((positions) => ids.map((_, row) => positions[row] ?? row - 3));
  const expected = plainDecoder(
    a,
    tensors,
    ids.map((_, row) => [...rows.data.slice(row * a.hiddenSize, (row + 1) * a.hiddenSize)]),
    { axes: allPositions },
  ).flat();
  const off = (found: ArrayLike<number>): number => Math.max(...expected.map((value, i) => Math.abs(value - (found[i] ?? Number.NaN))));
  const whole = await decoder.step(decoder.emptyCache(), rows, [...ids.keys()], { positions: axes });
  expect(off(whole.logits)).toBeLessThan(1e-4);
  let cache = decoder.emptyCache();
  const pieces: number[] = [];
  for (const [from, to] of [
    [0, 7],
    [7, 8],
    [8, 20],
  ] as const) {
    const data = rows.data.slice(from * a.hiddenSize, to * a.hiddenSize);
    const step = await decoder.step(cache, { data, count: to - from }, [...Array(to - from).keys()], { positions: axes });
    cache = step.cache;
    pieces.push(...step.logits);
  }
  expect(off(pieces)).toBeLessThan(1e-4);
  await Promise.all(Object.values(sessions).map((session) => session.release()));
});
