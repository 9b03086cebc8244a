/**
 * The Gemma 3 decoder as one graph: four norms per block, normed queries and keys, two rotary bases, full and sliding layers.
 *
 * The rows of an image see each other, later ones too, which GroupQueryAttention cannot say: attention is spelt out with a mask.
 * `position_ids` [1, past + sequence] is therefore not a rotary position but the last row that each row sees: its own index in text, the end of
 * its image in an image. Stored norm weights are weight - 1; the reader adds the 1. Source: transformers modeling_gemma3.py.
 */
import { Graph, type TensorNeed } from '../../onnx/graph.ts';
import { type Rotary, rotaryFrequencies } from '../../onnx/rotary.ts';

export interface GemmaDecoder {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly normEpsilon: number;
  readonly vocabSize: number;
  /** Longest prompt and answer together. */
  readonly maxPositions: number;
  /** Factor of the scores before the softmax. */
  readonly scoreScale: number;
  readonly rotary: { readonly full: Rotary; readonly sliding: Rotary };
  /** One per layer: positions that a position sees, itself included; null = a full layer. */
  readonly windows: readonly (number | null)[];
}

/** TensorProto.DataType of f32. */
const FLOAT = 1;
/** Added to scores of rows that are not seen: nothing is left of them after the softmax. */
const UNSEEN = -1e30;

const table = (a: GemmaDecoder): TensorNeed => ({ name: 'decoder.embed_tokens.weight', shape: [a.vocabSize, a.hiddenSize] });

function constant(graph: Graph, name: string, values: readonly number[], dims: readonly number[] = [values.length]): string {
  return graph.weight(name, dims, { kind: 'computed', values: () => Float32Array.from(values) });
}

/** input_ids [batch, sequence] i64 -> inputs_embeds [batch, sequence, hidden], times the root of hidden. */
export function gemmaEmbedding(a: GemmaDecoder): Graph {
  const graph = new Graph('embedding');
  graph.input('input_ids', 'i64', ['batch_size', 'sequence_length']);
  graph.weight('embed_tokens', [a.vocabSize, a.hiddenSize], { kind: 'stored', tensors: [table(a)] });
  graph.op('Gather', ['embed_tokens', 'input_ids'], 'rows', { axis: { int: 0 } });
  graph.op('Mul', ['rows', constant(graph, 'scale', [Math.sqrt(a.hiddenSize)])], 'inputs_embeds');
  graph.output('inputs_embeds', 'f32', ['batch_size', 'sequence_length', a.hiddenSize]);
  return graph;
}

function linear(graph: Graph, x: string, out: string, from: string, into: number, size: number): string {
  const tensors = [{ name: `${from}.weight`, shape: [size, into] }];
  return graph.op('MatMul', [x, graph.weight(`${out}.weight`, [into, size], { kind: 'transposed', tensors })], out);
}

function normed(graph: Graph, a: GemmaDecoder, x: string, norm: string, width: number): string {
  const tensors = [{ name: `decoder.${norm}.weight`, shape: [width] }];
  return graph.op(
    'SimplifiedLayerNormalization',
    [x, graph.weight(`${norm}.weight`, [width], { kind: 'stored', tensors })],
    `${norm}.out`,
    {
      axis: { int: -1 },
      epsilon: { float: a.normEpsilon },
      stash_type: { int: 1 },
    },
  );
}

type Kind = 'full' | 'sliding';

/** Indices of the rows, what each sees as an addend of the scores, cos and sin of each kind of layer. */
function shared(graph: Graph, a: GemmaDecoder): void {
  for (const [name, value] of [
    ['zero', 0],
    ['index1', 1],
  ] as const) {
    graph.integers(name, [value], []);
  }
  graph.op('Gather', [graph.op('Shape', ['attention_mask'], 'mask_shape'), 'index1'], 'total', { axis: { int: 0 } });
  graph.op('Gather', [graph.op('Shape', ['inputs_embeds'], 'embeds_shape'), 'index1'], 'count', { axis: { int: 0 } });
  graph.op('Sub', ['total', 'count'], 'past');
  graph.op('Range', ['zero', 'total', 'index1'], 'keys');
  graph.integers('column', [-1, 1]);
  graph.op('Reshape', [graph.op('Range', ['past', 'total', 'index1'], 'query_row'), 'column'], 'queries');
  graph.op('Gather', ['position_ids', 'query_row'], 'last_row', { axis: { int: 1 } });
  graph.op('Reshape', ['last_row', 'column'], 'last');
  graph.op('LessOrEqual', ['keys', 'last'], 'seen.full');
  constant(graph, 'seen', [0]);
  constant(graph, 'unseen', [UNSEEN]);
  graph.op('Cast', ['queries'], 'positions', { to: { int: FLOAT } });
  const window = a.windows.find((width) => width !== null) ?? null;
  if (window !== null) {
    graph.integers('window', [window]);
    graph.op('Less', [graph.op('Sub', ['queries', 'keys'], 'distance'), 'window'], 'near');
    graph.op('And', ['seen.full', 'near'], 'seen.sliding');
  }
  for (const kind of window === null ? (['full'] as const) : (['full', 'sliding'] as const)) {
    graph.op('Where', [`seen.${kind}`, 'seen', 'unseen'], `mask.${kind}`);
    const frequencies = [...rotaryFrequencies(a.headDim, a.rotary[kind])];
    graph.op('Mul', ['positions', constant(graph, `frequencies.${kind}`, frequencies, [1, a.headDim / 2])], `phases.${kind}`);
    graph.op('Cos', [`phases.${kind}`], `cos.${kind}`);
    graph.op('Sin', [`phases.${kind}`], `sin.${kind}`);
  }
  constant(graph, 'score_scale', [a.scoreScale]);
  graph.integers('heads.query', [0, 0, a.heads, a.headDim]);
  graph.integers('heads.key', [0, 0, a.kvHeads, a.headDim]);
  graph.integers('grouped', [0, a.kvHeads, -1, 0]);
  graph.integers('apart', [0, a.heads, -1, 0]);
  graph.integers('joined', [0, 0, a.heads * a.headDim]);
}

/** The first half of each head turned against the second. x [batch, heads, sequence, headDim]. */
function turned(graph: Graph, x: string, kind: Kind): string {
  graph.op('Split', [x], [`${x}.a`, `${x}.b`], { axis: { int: -1 }, num_outputs: { int: 2 } });
  const product = (half: 'a' | 'b', part: 'cos' | 'sin') => graph.op('Mul', [`${x}.${half}`, `${part}.${kind}`], `${x}.${half}.${part}`);
  const first = graph.op('Sub', [product('a', 'cos'), product('b', 'sin')], `${x}.first`);
  const second = graph.op('Add', [product('b', 'cos'), product('a', 'sin')], `${x}.second`);
  return graph.op('Concat', [first, second], `${x}.turned`, { axis: { int: -1 } });
}

/** [batch, sequence, heads x headDim] -> [batch, heads, sequence, headDim], normed over headDim where `norm` is named. */
function headsOf(graph: Graph, a: GemmaDecoder, x: string, part: 'query' | 'key', norm: string | null): string {
  const split = graph.op('Reshape', [x, `heads.${part}`], `${x}.split`);
  return graph.op('Transpose', [norm === null ? split : normed(graph, a, split, norm, a.headDim)], `${x}.heads`, {
    perm: { ints: [0, 2, 1, 3] },
  });
}

/** Attention of one layer; x is normed. Declares the layer's past and present. */
function attention(graph: Graph, a: GemmaDecoder, layer: number, x: string): string {
  const at = `layers.${layer}.self_attn`;
  const kind = a.windows[layer] === null ? 'full' : 'sliding';
  const projected = (part: string, heads: number) =>
    linear(graph, x, `${at}.${part}`, `decoder.${at}.${part}_proj`, a.hiddenSize, heads * a.headDim);
  const q = turned(graph, headsOf(graph, a, projected('q', a.heads), 'query', `${at}.q_norm`), kind);
  const k = turned(graph, headsOf(graph, a, projected('k', a.kvHeads), 'key', `${at}.k_norm`), kind);
  const v = headsOf(graph, a, projected('v', a.kvHeads), 'key', null);
  const [keys, values] = [
    ['key', k],
    ['value', v],
  ].map(([part, now]) => {
    const past = graph.input(`past_key_values.${layer}.${part}`, 'f32', ['batch_size', a.kvHeads, 'past_sequence_length', a.headDim]);
    const present = graph.op('Concat', [past, now ?? ''], `present.${layer}.${part}`, { axis: { int: 2 } });
    graph.output(present, 'f32', ['batch_size', a.kvHeads, 'total_sequence_length', a.headDim]);
    return present;
  });
  const scaled = graph.op('Mul', [q, 'score_scale'], `${at}.scaled`);
  const columns = graph.op('Transpose', [keys ?? ''], `${at}.columns`, { perm: { ints: [0, 1, 3, 2] } });
  // Query heads that share a key head are stacked, so that keys need not be repeated.
  const scores = graph.op('MatMul', [graph.op('Reshape', [scaled, 'grouped'], `${at}.stacked`), columns], `${at}.scores`);
  const masked = graph.op('Add', [graph.op('Reshape', [scores, 'apart'], `${at}.apart`), `mask.${kind}`], `${at}.masked`);
  const shares = graph.op('Softmax', [masked], `${at}.shares`, { axis: { int: -1 } });
  const mixed = graph.op('MatMul', [graph.op('Reshape', [shares, 'grouped'], `${at}.grouped`), values ?? ''], `${at}.mixed`);
  const rows = graph.op('Transpose', [graph.op('Reshape', [mixed, 'apart'], `${at}.mixed.apart`)], `${at}.rows`, {
    perm: { ints: [0, 2, 1, 3] },
  });
  const context = graph.op('Reshape', [rows, 'joined'], `${at}.context`);
  return linear(graph, context, `${at}.out`, `decoder.${at}.o_proj`, a.heads * a.headDim, a.hiddenSize);
}

/** down(gelu(gate x) * up x). */
function feedForward(graph: Graph, a: GemmaDecoder, layer: number, x: string): string {
  const at = `layers.${layer}.mlp`;
  const gate = linear(graph, x, `${at}.gate`, `decoder.${at}.gate_proj`, a.hiddenSize, a.intermediateSize);
  const up = linear(graph, x, `${at}.up`, `decoder.${at}.up_proj`, a.hiddenSize, a.intermediateSize);
  const active = graph.op('Gelu', [gate], `${at}.active`, { approximate: { text: 'tanh' } });
  const product = graph.op('Mul', [active, up], `${at}.product`);
  return linear(graph, product, `${at}.down`, `decoder.${at}.down_proj`, a.intermediateSize, a.hiddenSize);
}

/** Inputs and outputs as those of the shared decoder (onnx/decoder.ts); position_ids as the head of this file says. */
export function gemmaDecoder(a: GemmaDecoder): Graph {
  const graph = new Graph('decoder');
  graph.input('inputs_embeds', 'f32', ['batch_size', 'sequence_length', a.hiddenSize]);
  graph.input('attention_mask', 'i64', ['batch_size', 'total_sequence_length']);
  graph.input('position_ids', 'i64', [1, 'total_sequence_length']);
  shared(graph, a);
  let x = 'inputs_embeds';
  for (const layer of a.windows.keys()) {
    const at = `layers.${layer}`;
    const norm = (rows: string, name: string) => normed(graph, a, rows, `${at}.${name}_layernorm`, a.hiddenSize);
    const attended = norm(attention(graph, a, layer, norm(x, 'input')), 'post_attention');
    x = graph.op('Add', [x, attended], `${at}.middle`);
    const fed = norm(feedForward(graph, a, layer, norm(x, 'pre_feedforward')), 'post_feedforward');
    x = graph.op('Add', [x, fed], `${at}.sum`);
  }
  graph.input('logit_positions', 'i64', ['logit_count']);
  graph.op('Gather', [normed(graph, a, x, 'norm', a.hiddenSize), 'logit_positions'], 'head.rows', { axis: { int: 1 } });
  graph.weight('head.matrix', [a.hiddenSize, a.vocabSize], { kind: 'transposed', tensors: [table(a)] });
  graph.op('MatMul', ['head.rows', 'head.matrix'], 'logits');
  graph.output('logits', 'f32', ['batch_size', 'logit_count', a.vocabSize]);
  return graph;
}
