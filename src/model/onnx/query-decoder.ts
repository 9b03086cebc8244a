/**
 * Learned queries that look at an encoder's rows: torch.nn.TransformerDecoder, pre-norm, ReLU, with a norm at the end.
 *
 * Neither queries nor the rows that they see have positions, and those rows are not normed: only the first norm of each block and the last
 * one see the queries. Source: pytorch torch/nn/modules/transformer.py (TransformerDecoderLayer, norm_first).
 */
import type { Graph } from './graph.ts';
import { activate, attention, layerNorm, linear, stored } from './layers.ts';

export interface QueryDecoder {
  readonly queries: number;
  readonly size: number;
  readonly heads: number;
  readonly layers: number;
  readonly feedForward: number;
}

/** torch.nn.LayerNorm's own. */
const normEpsilon = 1e-5;

function layer(graph: Graph, a: QueryDecoder, at: string, x: string, seen: string): string {
  const normed = (n: number, value: string) =>
    layerNorm(graph, value, `${at}.norm${n}`, `${at}.norm${n}`, { size: a.size, epsilon: normEpsilon });
  const own = normed(1, x);
  const first = graph.op('Add', [x, attention(graph, `${at}.own`, `${at}.self_attn`, a, own, own)], `${at}.first`);
  const crossed = attention(graph, `${at}.cross`, `${at}.multihead_attn`, a, normed(2, first), seen);
  const second = graph.op('Add', [first, crossed], `${at}.second`);
  const up = linear(graph, normed(3, second), `${at}.linear1`, `${at}.linear1`, { into: a.size, out: a.feedForward });
  const down = linear(graph, activate(graph, 'relu', up, `${at}.active`), `${at}.linear2`, `${at}.linear2`, {
    into: a.feedForward,
    out: a.size,
  });
  return graph.op('Add', [second, down], `${at}.sum`);
}

/** seen [images, .., size] -> [images, queries, size]. Tensors: queries.table, queries.layers.N, queries.norm. */
export function queryRows(graph: Graph, a: QueryDecoder, seen: string): string {
  const table = stored(graph, 'queries.table', { name: 'queries.table', shape: [a.queries, a.size] }, [1, a.queries, a.size]);
  graph.op('Shape', [seen], 'queries.images', { end: { int: 1 } });
  graph.op('Concat', ['queries.images', graph.integers('queries.rest', [a.queries, a.size])], 'queries.shape', { axis: { int: 0 } });
  let x = graph.op('Expand', [table, 'queries.shape'], 'queries.rows');
  for (let n = 0; n < a.layers; n++) x = layer(graph, a, `queries.layers.${n}`, x, seen);
  return layerNorm(graph, x, 'queries.norm', 'queries.norm', { size: a.size, epsilon: normEpsilon });
}
