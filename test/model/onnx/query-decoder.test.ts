/** Learned queries against plain arithmetic: pre-norm, ReLU, no positions, and rows that are not normed. */
import { expect, test } from 'vitest';
import { Graph } from '#model/onnx/graph.ts';
import { type QueryDecoder, queryRows } from '#model/onnx/query-decoder.ts';
import { offBy, runGraph, valuesOf } from './graph-run.ts';

type Row = readonly number[];
type Tensors = (name: string) => Float32Array;

const plus = (x: Row, y: Row): Row => x.map((value, i) => value + (y[i] ?? 0));

function linear(tensors: Tensors, name: string, x: Row): Row {
  const weight = tensors(`${name}.weight`);
  return [...tensors(`${name}.bias`)].map((bias, o) => x.reduce((sum, value, i) => sum + value * (weight[o * x.length + i] ?? 0), bias));
}

function normed(tensors: Tensors, name: string, x: Row): Row {
  const [scale, offset] = [tensors(`${name}.weight`), tensors(`${name}.bias`)];
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const root = Math.sqrt(x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length + 1e-5);
  return x.map((value, i) => ((value - mean) / root) * (scale[i] ?? 0) + (offset[i] ?? 0));
}

function attended(tensors: Tensors, name: string, heads: number, rows: readonly Row[], seen: readonly Row[]): readonly Row[] {
  const [queries, keys, values] = [
    rows.map((row) => linear(tensors, `${name}.q_proj`, row)),
    seen.map((row) => linear(tensors, `${name}.k_proj`, row)),
    seen.map((row) => linear(tensors, `${name}.v_proj`, row)),
  ];
  return queries.map((query) => {
    const width = query.length / heads;
    const context = query.map((_, d) => {
      const from = Math.floor(d / width) * width;
      const score = (key: Row) => query.slice(from, from + width).reduce((sum, value, i) => sum + value * (key[from + i] ?? 0), 0);
      const weights = keys.map((key) => Math.exp(score(key) / Math.sqrt(width)));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return weights.reduce((sum, weight, i) => sum + (weight / total) * (values[i]?.[d] ?? 0), 0);
    });
    return linear(tensors, `${name}.out_proj`, context);
  });
}

function plain(a: QueryDecoder, tensors: Tensors, seen: readonly Row[]): readonly Row[] {
  const table = tensors('queries.table');
  let x: readonly Row[] = Array.from({ length: a.queries }, (_, row) => [...table.slice(row * a.size, (row + 1) * a.size)]);
  for (let n = 0; n < a.layers; n++) {
    const at = `queries.layers.${n}`;
    const all = (norm: number) => x.map((row) => normed(tensors, `${at}.norm${norm}`, row));
    const own = all(1);
    const first = attended(tensors, `${at}.self_attn`, a.heads, own, own);
    x = x.map((row, i) => plus(row, first[i] ?? []));
    const second = attended(tensors, `${at}.multihead_attn`, a.heads, all(2), seen);
    x = x.map((row, i) => plus(row, second[i] ?? []));
    const fed = all(3).map((row) => {
      const up = linear(tensors, `${at}.linear1`, row).map((value) => Math.max(0, value));
      return linear(tensors, `${at}.linear2`, up);
    });
    x = x.map((row, i) => plus(row, fed[i] ?? []));
  }
  return x.map((row) => normed(tensors, 'queries.norm', row));
}

test.each<[string, QueryDecoder]>([
  ['one head, one layer', { queries: 2, size: 4, heads: 1, layers: 1, feedForward: 3 }],
  ['three heads, two layers', { queries: 3, size: 6, heads: 3, layers: 2, feedForward: 5 }],
])('%s, of two pictures at once', async (_, a) => {
  const rows = 5;
  const pictures = 2;
  const graph = new Graph('queries');
  graph.input('seen', 'f32', ['images', rows, a.size]);
  graph.op('Identity', [queryRows(graph, a, 'seen')], 'out');
  graph.output('out', 'f32', ['images', a.queries, a.size]);
  const data = valuesOf('seen', pictures * rows * a.size);
  const { read, tensors } = await runGraph(graph, { seen: { data, dims: [pictures, rows, a.size] } }, ['out']);
  const expected = Array.from({ length: pictures }, (__, picture) => {
    const rowsOf = Array.from({ length: rows }, (___, row) => {
      const at = (picture * rows + row) * a.size;
      return [...data.slice(at, at + a.size)];
    });
    return plain(a, tensors, rowsOf);
  });
  expect(offBy(read('out').data, expected.flat(2))).toBeLessThan(1e-4);
});
