/** The decoder as an encoder of one text: rows that no row sees, against plain arithmetic. */
import { expect, test } from 'vitest';
import { type DecoderArchitecture, textRows } from '#model/onnx/decoder.ts';
import { Graph } from '#model/onnx/graph.ts';
import { offBy, runGraph, valuesOf } from './graph-run.ts';
import { plainRows } from './plain-decoder.ts';

const a: DecoderArchitecture = {
  hiddenSize: 24,
  intermediateSize: 12,
  heads: 3,
  kvHeads: 3,
  headDim: 8,
  normEpsilon: 1e-5,
  vocabSize: 5,
  maxPositions: 12,
  rotary: { theta: 10_000, scaling: { type: 'none' } },
  windows: [null, null],
  bias: { qkv: false, out: false, mlp: false },
  tiedHead: false,
};

test.each([
  ['no row', []],
  ['padding behind the text', [5, 6, 7, 8, 9]],
  ['a row in the middle', [3]],
])('hidden: %s', async (_, hidden) => {
  const count = 10;
  const graph = new Graph('text');
  graph.input('rows', 'f32', [1, 'count', a.hiddenSize]);
  graph.input('hidden', 'f32', ['count']);
  graph.op('Identity', [textRows(graph, a, 'rows', 'hidden')], 'out');
  graph.output('out', 'f32', [1, 'count', a.hiddenSize]);
  const data = valuesOf('rows', count * a.hiddenSize);
  const marks = Float32Array.from({ length: count }, (__, row) => (hidden.includes(row) ? 1 : 0));
  const { read, tensors } = await runGraph(
    graph,
    { rows: { data, dims: [1, count, a.hiddenSize] }, hidden: { data: marks, dims: [count] } },
    ['out'],
  );
  const rows = Array.from({ length: count }, (__, row) => [...data.slice(row * a.hiddenSize, (row + 1) * a.hiddenSize)]);
  const expected = plainRows(a, tensors, rows, { hidden: new Set(hidden) }).flat();
  expect(offBy(read('out').data, expected)).toBeLessThan(1e-4);
});
