/**
 * A decoder of the GPT-2 kind as one graph: learned positions, pre-norm blocks with offsets, full heads, one activation between two layers.
 *
 * Positions are counted on the cache: with virtual rows in front (prefix tuning) the text begins behind them. Heads are widened as in
 * onnx/decoder.ts. Source: transformers 4.28 modeling_gpt2.py, modeling_biogpt.py.
 */
import { cacheHeadDim, embeddingGraph, head, lengths, linear, padding, type Vocabulary } from '../../onnx/decoder.ts';
import { Graph, type HeadPadding } from '../../onnx/graph.ts';
import { type Activation, activate, layerNorm, stored } from '../../onnx/layers.ts';

export interface PositionDecoder extends Vocabulary {
  readonly intermediateSize: number;
  readonly heads: number;
  readonly headDim: number;
  readonly normEpsilon: number;
  readonly activation: Activation;
  /** Longest cache: virtual rows, prompt and answer. */
  readonly maxPositions: number;
  /** Row of the position table that the first position takes. */
  readonly positionOffset: number;
  /** Factor of the scores before the softmax, one per layer. */
  readonly scoreScales: readonly number[];
}

/** Learned keys and values in front of every layer's cache. */
export interface VirtualRows {
  readonly rows: number;
}

function headPadding(a: PositionDecoder, axis: HeadPadding['axis']): { readonly heads?: HeadPadding } {
  const heads = padding(a, axis);
  return heads === undefined ? {} : { heads };
}

/**
 * input_ids -> inputs_embeds, rows as they are in the table; `tableRows` has those behind the vocabulary too. With `virtual`, also the
 * outputs past_key_values.N.key/.value [1, heads, rows, headDim], which follow from no input.
 */
export function tableGraph(a: PositionDecoder, tableRows: number, virtual: VirtualRows | null): Graph {
  const graph = embeddingGraph({ vocabSize: tableRows, hiddenSize: a.hiddenSize });
  if (virtual === null) return graph;
  const width = cacheHeadDim(a);
  for (const layer of a.scoreScales.keys()) {
    for (const part of ['key', 'value'] as const) {
      const rows = graph.weight(`virtual.${layer}.${part}`, [1, a.heads, virtual.rows, width], {
        kind: 'stored',
        tensors: [{ name: `virtual.${layer}.${part}`, shape: [a.heads, virtual.rows, a.headDim] }],
        ...headPadding(a, 'out'),
      });
      graph.op('Identity', [rows], `past_key_values.${layer}.${part}`);
      graph.output(`past_key_values.${layer}.${part}`, 'f32', [1, a.heads, virtual.rows, width]);
    }
  }
  return graph;
}

/** inputs_embeds plus the rows of the position table from the cache's length on. */
function placed(graph: Graph, a: PositionDecoder): string {
  graph.integers('index0', [0], []);
  graph.op('Gather', [graph.op('Shape', ['inputs_embeds'], 'embeds_shape'), 'index1'], 'count', { axis: { int: 0 } });
  graph.integers('offset', [a.positionOffset], []);
  graph.op('Add', ['total_i64', 'offset'], 'position_end');
  graph.op('Range', [graph.op('Sub', ['position_end', 'count'], 'position_start'), 'position_end', 'index1'], 'positions');
  const table = { name: 'decoder.embed_positions.weight', shape: [a.maxPositions + a.positionOffset, a.hiddenSize] };
  graph.op('Gather', [stored(graph, 'position_table', table), 'positions'], 'position_rows', { axis: { int: 0 } });
  return graph.op('Add', ['inputs_embeds', 'position_rows'], 'placed');
}

/** Attention of one layer; x is normed. Declares the layer's past and present. */
function attention(graph: Graph, a: PositionDecoder, layer: number, x: string): string {
  const at = `layers.${layer}.attention`;
  const from = `decoder.layers.${layer}.self_attn`;
  const parts = ['q', 'k', 'v'].map((part) => [`${from}.${part}_proj`, a.hiddenSize] as const);
  const packed = linear(graph, x, `${at}.qkv`, { into: a.hiddenSize, parts, bias: true, ...headPadding(a, 'out') });
  const cache = ['batch_size', a.heads, 'past_sequence_length', cacheHeadDim(a)];
  const past = ['key', 'value'].map((part) => graph.input(`past_key_values.${layer}.${part}`, 'f32', cache));
  const present = ['key', 'value'].map((part) => `present.${layer}.${part}`);
  graph.contrib('GroupQueryAttention', [packed, '', '', ...past, 'seqlens_k', 'total_sequence_length'], [`${at}.context`, ...present], {
    num_heads: { int: a.heads },
    kv_num_heads: { int: a.heads },
    scale: { float: a.scoreScales[layer] ?? Number.NaN },
    do_rotary: { int: 0 },
  });
  for (const name of present) graph.output(name, 'f32', ['batch_size', a.heads, 'total_sequence_length', cacheHeadDim(a)]);
  const out = { into: a.hiddenSize, parts: [[`${from}.o_proj`, a.hiddenSize] as const], bias: true, ...headPadding(a, 'in') };
  return linear(graph, `${at}.context`, `${at}.out`, out);
}

function feedForward(graph: Graph, a: PositionDecoder, layer: number, x: string): string {
  const at = `layers.${layer}.mlp`;
  const part = (name: string, size: number) => [[`decoder.${at}.${name}`, size] as const];
  const up = linear(graph, x, `${at}.up`, { into: a.hiddenSize, parts: part('fc1', a.intermediateSize), bias: true });
  const active = activate(graph, a.activation, up, `${at}.active`);
  return linear(graph, active, `${at}.down`, { into: a.intermediateSize, parts: part('fc2', a.hiddenSize), bias: true });
}

/** Inputs and outputs as those of the shared decoder (onnx/decoder.ts). */
export function positionDecoder(a: PositionDecoder): Graph {
  const graph = new Graph('decoder');
  graph.input('inputs_embeds', 'f32', ['batch_size', 'sequence_length', a.hiddenSize]);
  graph.input('attention_mask', 'i64', ['batch_size', 'total_sequence_length']);
  lengths(graph);
  const normed = (x: string, norm: string) =>
    layerNorm(graph, x, `${norm}.out`, `decoder.${norm}`, { size: a.hiddenSize, epsilon: a.normEpsilon });
  let x = placed(graph, a);
  for (const layer of a.scoreScales.keys()) {
    const at = `layers.${layer}`;
    x = graph.op('Add', [x, attention(graph, a, layer, normed(x, `${at}.input_layernorm`))], `${at}.middle`);
    x = graph.op('Add', [x, feedForward(graph, a, layer, normed(x, `${at}.post_attention_layernorm`))], `${at}.sum`);
  }
  head(graph, a, normed(x, 'norm'));
  return graph;
}
