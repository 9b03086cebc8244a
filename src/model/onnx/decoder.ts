/**
 * The decoder of the Llama kind as one graph: pre-norm blocks, rotary positions, grouped-query attention, SwiGLU; Llama, Mistral and Qwen2
 * differ only in the numbers and flags of `DecoderArchitecture`.
 *
 * GroupQueryAttention takes head sizes that are multiples of 16 only: others are widened with zeros at import, with equal results.
 * Inputs, outputs and dimension names are those of onnxruntime-genai, plus `logit_positions`: only the rows named there reach the head.
 * Source: transformers modeling_llama.py, modeling_mistral.py, modeling_qwen2.py; microsoft/onnxruntime ContribOperators.md.
 */
import { Graph, type HeadPadding, type TensorNeed } from './graph.ts';
import { type Rotary, rotaryTable } from './rotary.ts';

export interface DecoderArchitecture {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly normEpsilon: number;
  readonly vocabSize: number;
  /** Rows of the rotary table: the longest prompt and answer together. */
  readonly maxPositions: number;
  readonly rotary: Rotary;
  /** Rotary frequencies that each axis of position_ids turns, in order, headDim / 2 in sum; absent = one axis, the row's index. */
  readonly positionSections?: readonly number[];
  /** One per layer: positions that a position sees, itself included; null = all before it. */
  readonly windows: readonly (number | null)[];
  readonly bias: { readonly qkv: boolean; readonly out: boolean; readonly mlp: boolean };
  /** The embedding is the head. */
  readonly tiedHead: boolean;
}

/** TensorProto.DataType of int32. */
const INT32 = 6;
const HEAD_MULTIPLE = 16;

/** Values per head in the graph and in the key-value cache. */
export function cacheHeadDim(a: Pick<DecoderArchitecture, 'headDim'>): number {
  return Math.ceil(a.headDim / HEAD_MULTIPLE) * HEAD_MULTIPLE;
}

/** undefined where heads need no widening. */
export function padding(a: Pick<DecoderArchitecture, 'headDim'>, axis: HeadPadding['axis']): HeadPadding | undefined {
  const padded = cacheHeadDim(a);
  return padded === a.headDim ? undefined : { axis, size: a.headDim, padded };
}

/** What the token table and the head are made of. */
export type Vocabulary = Pick<DecoderArchitecture, 'vocabSize' | 'hiddenSize' | 'tiedHead'>;

const embeddingNeed = (a: Pick<Vocabulary, 'vocabSize' | 'hiddenSize'>): TensorNeed => ({
  name: 'decoder.embed_tokens.weight',
  shape: [a.vocabSize, a.hiddenSize],
});

/** input_ids [batch, sequence] i64 -> inputs_embeds [batch, sequence, hidden]. Ids outside the table are the caller's to refuse. */
export function embeddingGraph(a: Pick<Vocabulary, 'vocabSize' | 'hiddenSize'>): Graph {
  const graph = new Graph('embedding');
  graph.input('input_ids', 'i64', ['batch_size', 'sequence_length']);
  graph.weight('embed_tokens', [a.vocabSize, a.hiddenSize], { kind: 'stored', tensors: [embeddingNeed(a)] });
  graph.op('Gather', ['embed_tokens', 'input_ids'], 'inputs_embeds', { axis: { int: 0 } });
  graph.output('inputs_embeds', 'f32', ['batch_size', 'sequence_length', a.hiddenSize]);
  return graph;
}

interface Linear {
  /** Width of x. */
  readonly into: number;
  /** [our name without .weight, rows] of the tensors that stand side by side. */
  readonly parts: readonly (readonly [string, number])[];
  readonly bias: boolean;
  readonly heads?: HeadPadding | undefined;
}

/** x [.., into] times the tensors' rows, side by side; with `bias`, plus their biases. */
export function linear(graph: Graph, x: string, out: string, { into, parts, bias, heads }: Linear): string {
  const wider = (size: number, axis: HeadPadding['axis']): number => (heads?.axis === axis ? (size / heads.size) * heads.padded : size);
  const width = parts.reduce((sum, [, size]) => sum + wider(size, 'out'), 0);
  const layout = heads === undefined ? {} : { heads };
  const matrix = graph.weight(`${out}.weight`, [wider(into, 'in'), width], {
    kind: 'transposed',
    tensors: parts.map(([name, size]) => ({ name: `${name}.weight`, shape: [size, into] })),
    ...layout,
  });
  if (!bias) return graph.op('MatMul', [x, matrix], out);
  const offset = graph.weight(`${out}.bias`, [width], {
    kind: 'stored',
    tensors: parts.map(([name, size]) => ({ name: `${name}.bias`, shape: [size] })),
    ...layout,
  });
  return graph.op('Add', [graph.op('MatMul', [x, matrix], `${out}.product`), offset], out);
}

/** From attention_mask: `seqlens_k` and `total_sequence_length` of the attention kernel, and the latter as `total_i64`, a scalar. */
export function lengths(graph: Graph): void {
  graph.integers('axis1', [1]);
  graph.integers('one', [1]);
  graph.integers('index1', [1], []);
  graph.op('ReduceSum', ['attention_mask', 'axis1'], 'row_lengths', { keepdims: { int: 0 } });
  graph.op('Sub', ['row_lengths', 'one'], 'row_last');
  graph.op('Cast', ['row_last'], 'seqlens_k', { to: { int: INT32 } });
  graph.op('Shape', ['attention_mask'], 'mask_shape');
  graph.op('Gather', ['mask_shape', 'index1'], 'total_i64', { axis: { int: 0 } });
  graph.op('Cast', ['total_i64'], 'total_sequence_length', { to: { int: INT32 } });
}

/** Values that all layers share: lengths from the mask, the rotary tables. */
function shared(graph: Graph, a: DecoderArchitecture): void {
  lengths(graph);
  rotaryCaches(graph, a, positionRows(graph, a, cacheHeadDim(a) / 2));
}

/** cos_cache and sin_cache; with `rows`, the rows of the whole tables that these are in this call. */
function rotaryCaches(graph: Graph, a: DecoderArchitecture, rows: string | null): void {
  const width = cacheHeadDim(a);
  for (const part of ['cos', 'sin'] as const) {
    const table = graph.weight(rows === null ? `${part}_cache` : `${part}_table`, [a.maxPositions, width / 2], {
      kind: 'computed',
      values: () => rotaryTable(part, a.maxPositions, a.headDim, width, a.rotary),
    });
    if (rows !== null) graph.op('GatherElements', [table, rows], `${part}_cache`, { axis: { int: 0 } });
  }
}

/**
 * Row of the rotary table for each sequence index and frequency, [total, frequencies]: the attention kernel takes row i for index i, so with
 * several axes the tables are put together anew in each call. null = row i of the whole table. Frequencies of widened heads take any axis.
 */
function positionRows(graph: Graph, a: DecoderArchitecture, frequencies: number): string | null {
  if (a.positionSections === undefined) return null;
  const axes = a.positionSections.flatMap((count, axis) => new Array<number>(count).fill(axis));
  graph.input('position_ids', 'i64', [a.positionSections.length, 'total_sequence_length']);
  graph.integers('position_axes', [...axes, ...new Array<number>(frequencies - axes.length).fill(0)]);
  graph.op('Gather', ['position_ids', 'position_axes'], 'position_columns', { axis: { int: 0 } });
  return graph.op('Transpose', ['position_columns'], 'position_rows', { perm: { ints: [1, 0] } });
}

/** The kernel's inputs after queries, keys and values, and its outputs after the context. */
interface Kernel {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Declares a layer's past and present. */
function cached(graph: Graph, a: DecoderArchitecture, layer: number): Kernel {
  const past = ['key', 'value'].map((part) =>
    graph.input(`past_key_values.${layer}.${part}`, 'f32', ['batch_size', a.kvHeads, 'past_sequence_length', cacheHeadDim(a)]),
  );
  return {
    inputs: [...past, 'seqlens_k', 'total_sequence_length', 'cos_cache', 'sin_cache'],
    outputs: [`present.${layer}.key`, `present.${layer}.value`],
  };
}

/** Attention of one layer; x is normed. */
function attention(graph: Graph, a: DecoderArchitecture, layer: number, x: string, kernel: Kernel): string {
  const at = `layers.${layer}.attention`;
  const from = `decoder.layers.${layer}.self_attn`;
  const queryWidth = a.heads * a.headDim;
  const keyWidth = a.kvHeads * a.headDim;
  const parts = [
    [`${from}.q_proj`, queryWidth],
    [`${from}.k_proj`, keyWidth],
    [`${from}.v_proj`, keyWidth],
  ] as const;
  const packed = linear(graph, x, `${at}.qkv`, { into: a.hiddenSize, parts, bias: a.bias.qkv, heads: padding(a, 'out') });
  const window = a.windows[layer] ?? null;
  graph.contrib('GroupQueryAttention', [packed, '', '', ...kernel.inputs], [`${at}.context`, ...kernel.outputs], {
    num_heads: { int: a.heads },
    kv_num_heads: { int: a.kvHeads },
    // Of the model's own head size, not of the widened one.
    scale: { float: 1 / Math.sqrt(a.headDim) },
    do_rotary: { int: 1 },
    ...(window === null ? {} : { local_window_size: { int: window } }),
  });
  return linear(graph, `${at}.context`, `${at}.out`, {
    into: queryWidth,
    parts: [[`${from}.o_proj`, a.hiddenSize]],
    bias: a.bias.out,
    heads: padding(a, 'in'),
  });
}

/** SwiGLU: down(silu(gate x) * up x). */
function feedForward(graph: Graph, a: DecoderArchitecture, layer: number, x: string): string {
  const at = `layers.${layer}.mlp`;
  const from = `decoder.layers.${layer}.mlp`;
  const bias = a.bias.mlp;
  const gate = linear(graph, x, `${at}.gate`, { into: a.hiddenSize, parts: [[`${from}.gate_proj`, a.intermediateSize]], bias });
  const up = linear(graph, x, `${at}.up`, { into: a.hiddenSize, parts: [[`${from}.up_proj`, a.intermediateSize]], bias });
  // QuickGelu is x * sigmoid(alpha x): with alpha 1 it is SiLU in one kernel.
  const gated = graph.contrib('QuickGelu', [gate], `${at}.silu`, { alpha: { float: 1 } });
  graph.op('Mul', [gated, up], `${at}.product`);
  return linear(graph, `${at}.product`, `${at}.down`, { into: a.intermediateSize, parts: [[`${from}.down_proj`, a.hiddenSize]], bias });
}

function normed(graph: Graph, a: DecoderArchitecture, x: string, norm: string): string {
  return graph.op('SimplifiedLayerNormalization', [x, normWeight(graph, a, norm)], `${norm}.out`, {
    axis: { int: -1 },
    epsilon: { float: a.normEpsilon },
    stash_type: { int: 1 },
  });
}

/**
 * Adds `x` to the residual and norms the sum: [normed, new residual]. SkipSimplifiedLayerNormalization does both in one kernel but sums less
 * exactly: on a trained decoder of 30 layers its logits were off by half as much again.
 */
function addNormed(graph: Graph, a: DecoderArchitecture, x: string, residual: string, norm: string): readonly [string, string] {
  const sum = graph.op('Add', [x, residual], `${norm}.sum`);
  return [normed(graph, a, sum, norm), sum];
}

function normWeight(graph: Graph, a: DecoderArchitecture, norm: string): string {
  return graph.weight(`${norm}.weight`, [a.hiddenSize], {
    kind: 'stored',
    tensors: [{ name: `decoder.${norm}.weight`, shape: [a.hiddenSize] }],
  });
}

/** The rows of `input` that `logit_positions` names, times the head. A tied head is the embedding in the layout that is fast to multiply by. */
export function head(graph: Graph, a: Vocabulary, input: string): void {
  graph.input('logit_positions', 'i64', ['logit_count']);
  graph.op('Gather', [input, 'logit_positions'], 'head.rows', { axis: { int: 1 } });
  const need = a.tiedHead ? embeddingNeed(a) : { name: 'head.weight', shape: [a.vocabSize, a.hiddenSize] };
  graph.weight('head.matrix', [a.hiddenSize, a.vocabSize], { kind: 'transposed', tensors: [need] });
  graph.op('MatMul', ['head.rows', 'head.matrix'], 'logits');
  graph.output('logits', 'f32', ['batch_size', 'logit_count', a.vocabSize]);
}

/** What is done to the residual rows before a layer, where the model has more than its layers. */
export type BeforeLayer = (graph: Graph, layer: number, rows: string) => string;

/** All layers and the last norm over `rows` [batch, sequence, hidden]. */
function layers(
  graph: Graph,
  a: DecoderArchitecture,
  rows: string,
  kernel: (layer: number) => Kernel,
  before: BeforeLayer = (_, __, unchanged) => unchanged,
): string {
  let residual = before(graph, 0, rows);
  let input = normed(graph, a, residual, 'layers.0.input_layernorm');
  for (const layer of a.windows.keys()) {
    const attended = attention(graph, a, layer, input, kernel(layer));
    [input, residual] = addNormed(graph, a, attended, residual, `layers.${layer}.post_attention_layernorm`);
    const fed = feedForward(graph, a, layer, input);
    const isLast = layer + 1 === a.windows.length;
    const next = isLast ? 'norm' : `layers.${layer + 1}.input_layernorm`;
    const sum = graph.op('Add', [fed, residual], `${next}.sum`);
    residual = isLast ? sum : before(graph, layer + 1, sum);
    input = normed(graph, a, residual, next);
  }
  return input;
}

/** Far below any score: a hidden key's weight is exactly zero. */
const HIDDEN = -1e30;

/**
 * The decoder as an encoder of one text: all layers and the last norm, without a cache or a head. `hidden` f32 [sequence] is 1 at the rows
 * that no row sees (padding), else 0. Causal like the decoder: a row sees itself and what stands before it.
 * @returns [1, sequence, hidden]
 */
export function textRows(graph: Graph, a: DecoderArchitecture, rows: string, hidden: string): string {
  graph.op('Shape', [hidden], 'text.length');
  graph.op('Sub', ['text.length', graph.integers('text.one', [1])], 'text.last');
  graph.op('Cast', ['text.last'], 'seqlens_k', { to: { int: INT32 } });
  graph.op('Squeeze', ['text.length'], 'text.total');
  graph.op('Cast', ['text.total'], 'total_sequence_length', { to: { int: INT32 } });
  const low = graph.weight('text.low', [1], { kind: 'computed', values: () => Float32Array.of(HIDDEN) });
  graph.op('Mul', [hidden, low], 'text.bias.row');
  graph.op('Concat', [graph.integers('text.ones', [1, 1]), 'text.length', 'text.length'], 'text.square', { axis: { int: 0 } });
  graph.op('Expand', ['text.bias.row', 'text.square'], 'text.bias');
  rotaryCaches(graph, a, null);
  const inputs = ['', '', 'seqlens_k', 'total_sequence_length', 'cos_cache', 'sin_cache', '', 'text.bias'];
  return layers(graph, a, rows, () => ({ inputs, outputs: [] }));
}

/**
 * inputs_embeds [batch, sequence, hidden], attention_mask i64 [batch, past + sequence], past_key_values.N.key/.value
 * [batch, kvHeads, past, headDim], logit_positions i64 [count] (rows of this call's sequence), with positionSections also position_ids i64
 * [axes, past + sequence] (the same for the whole batch) -> logits [batch, count, vocab],
 * present.N.key/.value [batch, kvHeads, past + sequence, headDim].
 * @param extend declares what more the graph reads, and says what is done to the rows before each layer
 */
export function decoderGraph(a: DecoderArchitecture, extend?: (graph: Graph) => BeforeLayer): Graph {
  const graph = new Graph('decoder');
  graph.input('inputs_embeds', 'f32', ['batch_size', 'sequence_length', a.hiddenSize]);
  graph.input('attention_mask', 'i64', ['batch_size', 'total_sequence_length']);
  shared(graph, a);
  const input = layers(graph, a, 'inputs_embeds', (layer) => cached(graph, a, layer), extend?.(graph));
  for (const layer of a.windows.keys()) {
    for (const part of ['key', 'value']) {
      graph.output(`present.${layer}.${part}`, 'f32', ['batch_size', a.kvHeads, 'total_sequence_length', cacheHeadDim(a)]);
    }
  }
  head(graph, a, input);
  return graph;
}
