/**
 * Qwen2.5-VL's image encoder on patch rows: pre-norm blocks that see their window or the whole picture, rotary positions of two axes, and
 * the merger that makes one decoder row of each merge x merge unit.
 *
 * Windows are gathered into one batch, padded to the largest and masked, so that their cost grows with the picture and not with its square.
 * Norms have an epsilon of 1e-6 whatever the config says. Source: transformers models/qwen2_5_vl/modeling_qwen2_5_vl.py.
 */
import { Graph } from '../../onnx/graph.ts';

export interface PatchEncoder {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** What each block sees. */
  readonly blocks: readonly ('window' | 'picture')[];
  readonly patch: number;
  readonly temporal: number;
  readonly merge: number;
  /** Width of a decoder row. */
  readonly outSize: number;
}

const channels = 3;
const normEpsilon = 1e-6;
const rotaryTheta = 10_000;

/** Values of one patch row: channel, time, y, x. */
export function patchValues(a: PatchEncoder): number {
  return channels * a.temporal * a.patch ** 2;
}

function linear(graph: Graph, x: string, out: string, from: string, into: number, size: number): string {
  const weight = graph.weight(`${out}.weight`, [into, size], {
    kind: 'transposed',
    tensors: [{ name: `${from}.weight`, shape: [size, into] }],
  });
  const bias = graph.weight(`${out}.bias`, [size], { kind: 'stored', tensors: [{ name: `${from}.bias`, shape: [size] }] });
  return graph.op('Add', [graph.op('MatMul', [x, weight], `${out}.product`), bias], out);
}

function norm(graph: Graph, x: string, out: string, from: string, size: number): string {
  const scale = graph.weight(`${out}.scale`, [size], { kind: 'stored', tensors: [{ name: `${from}.weight`, shape: [size] }] });
  return graph.op('SimplifiedLayerNormalization', [x, scale], out, {
    axis: { int: -1 },
    epsilon: { float: normEpsilon },
    stash_type: { int: 1 },
  });
}

/** [2, headDim / 2]: frequencies of the row in the first half, of the column in the second; one of each pair of factors is zero. */
function frequencies(headDim: number): Float32Array {
  const quarter = headDim / 4;
  const table = new Float32Array(4 * quarter);
  for (let i = 0; i < quarter; i++) {
    const frequency = Math.fround(1 / Math.fround(rotaryTheta ** Math.fround((2 * i) / (headDim / 2))));
    table[i] = frequency;
    table[3 * quarter + i] = frequency;
  }
  return table;
}

/** Values that all blocks share: cos and sin [patches, 1, headDim / 2], the windows' mask, shapes. */
function shared(graph: Graph, a: PatchEncoder): void {
  const headDim = a.hiddenSize / a.heads;
  const table = graph.weight('frequencies', [2, headDim / 2], { kind: 'computed', values: () => frequencies(headDim) });
  graph.op('MatMul', ['patch_positions', table], 'angles.flat');
  graph.op('Reshape', ['angles.flat', graph.integers('angles.shape', [-1, 1, headDim / 2])], 'angles');
  graph.op('Cos', ['angles'], 'cos');
  graph.op('Sin', ['angles'], 'sin');
  graph.op('Shape', ['window_patches'], 'window.length', { start: { int: 1 }, end: { int: 2 } });
  graph.op('Concat', [graph.integers('ones', [1, 1]), 'window.length', graph.integers('one', [1])], 'window.square', { axis: { int: 0 } });
  graph.op('Expand', ['window_bias', 'window.square'], 'window.mask');
  graph.integers('shape.heads', [-1, a.heads, headDim]);
  graph.integers('shape.rows', [-1, a.hiddenSize]);
  graph.integers('shape.batch', [1, -1, a.hiddenSize]);
}

/** x [patches, hidden] with each head turned: first half pairs with second half. */
function turned(graph: Graph, x: string): string {
  const [first, second] = [`${x}.first`, `${x}.second`];
  graph.op('Reshape', [x, 'shape.heads'], `${x}.heads`);
  graph.op('Split', [`${x}.heads`], [first, second], { axis: { int: -1 }, num_outputs: { int: 2 } });
  const product = (half: string, part: 'cos' | 'sin'): string => graph.op('Mul', [half, part], `${half}.${part}`);
  graph.op('Sub', [product(first, 'cos'), product(second, 'sin')], `${first}.turned`);
  graph.op('Add', [product(second, 'cos'), product(first, 'sin')], `${second}.turned`);
  graph.op('Concat', [`${first}.turned`, `${second}.turned`], `${x}.turned.heads`, { axis: { int: -1 } });
  return graph.op('Reshape', [`${x}.turned.heads`, 'shape.rows'], `${x}.turned`);
}

/** Context of each patch [patches, hidden], of what its block sees. */
function attention(graph: Graph, a: PatchEncoder, at: string, sees: 'window' | 'picture', rows: readonly string[]): string {
  const isWindow = sees === 'window';
  const batched = rows.map((x) =>
    isWindow
      ? graph.op('Gather', [x, 'window_patches'], `${x}.batched`, { axis: { int: 0 } })
      : graph.op('Reshape', [x, 'shape.batch'], `${x}.batched`),
  );
  const inputs = isWindow ? [...batched, '', '', 'window.mask'] : batched;
  const context = graph.contrib('MultiHeadAttention', inputs, `${at}.context.batched`, { num_heads: { int: a.heads } });
  const flat = graph.op('Reshape', [context, 'shape.rows'], `${at}.context.flat`);
  return isWindow ? graph.op('Gather', [flat, 'window_places'], `${at}.context`, { axis: { int: 0 } }) : flat;
}

function block(graph: Graph, a: PatchEncoder, index: number, sees: 'window' | 'picture', x: string): string {
  const at = `blocks.${index}`;
  const from = `vision.blocks.${index}`;
  const hidden = a.hiddenSize;
  const packed = linear(graph, norm(graph, x, `${at}.norm1`, `${from}.norm1`, hidden), `${at}.qkv`, `${from}.attn.qkv`, hidden, 3 * hidden);
  const [q, k, v] = [`${at}.q`, `${at}.k`, `${at}.v`] as const;
  graph.op('Split', [packed], [q, k, v], { axis: { int: -1 }, num_outputs: { int: 3 } });
  const context = attention(graph, a, at, sees, [turned(graph, q), turned(graph, k), v]);
  const middle = graph.op('Add', [x, linear(graph, context, `${at}.out`, `${from}.attn.proj`, hidden, hidden)], `${at}.middle`);
  const normed = norm(graph, middle, `${at}.norm2`, `${from}.norm2`, hidden);
  const gate = linear(graph, normed, `${at}.gate`, `${from}.mlp.gate_proj`, hidden, a.intermediateSize);
  const up = linear(graph, normed, `${at}.up`, `${from}.mlp.up_proj`, hidden, a.intermediateSize);
  // QuickGelu with alpha 1 is SiLU in one kernel.
  const gated = graph.contrib('QuickGelu', [gate], `${at}.silu`, { alpha: { float: 1 } });
  const product = graph.op('Mul', [gated, up], `${at}.gated`);
  return graph.op('Add', [middle, linear(graph, product, `${at}.down`, `${from}.mlp.down_proj`, a.intermediateSize, hidden)], `${at}.sum`);
}

/** The patches of a unit stand one after the other: a reshape puts them side by side. */
function merger(graph: Graph, a: PatchEncoder, x: string): string {
  const wide = a.hiddenSize * a.merge ** 2;
  const normed = norm(graph, x, 'merger.norm', 'vision.merger.ln_q', a.hiddenSize);
  const units = graph.op('Reshape', [normed, graph.integers('merger.shape', [1, -1, wide])], 'merger.units');
  const first = linear(graph, units, 'merger.0', 'vision.merger.mlp.0', wide, wide);
  const active = graph.op('Gelu', [first], 'merger.active', { approximate: { text: 'none' } });
  return linear(graph, active, 'merger.2', 'vision.merger.mlp.2', wide, a.outSize);
}

/**
 * One picture: pixel_values [patches, values] f32, patch_positions [patches, 2] f32 (row, column), window_patches [windows, length] i64 (patches
 * of each window, filled up with any), window_bias [windows, 1, 1, length] f32 (0, or far below where it was filled up), window_places [patches]
 * i64 (where a patch is in the flattened windows) -> `vision` [1, patches, hidden], `features` [1, patches / merge^2, outSize].
 */
export function patchEncoderGraph(a: PatchEncoder): Graph {
  const graph = new Graph('vision', 'f16');
  const values = patchValues(a);
  graph.input('pixel_values', 'f32', ['patches', values]);
  graph.input('patch_positions', 'f32', ['patches', 2]);
  graph.input('window_patches', 'i64', ['windows', 'length']);
  graph.input('window_bias', 'f32', ['windows', 1, 1, 'length']);
  graph.input('window_places', 'i64', ['patches']);
  shared(graph, a);
  const patch = graph.weight('patch.weight', [values, a.hiddenSize], {
    kind: 'transposed',
    tensors: [{ name: 'vision.patch_embed.proj.weight', shape: [a.hiddenSize, values] }],
  });
  let x = graph.op('MatMul', ['pixel_values', patch], 'embedded');
  for (const [index, sees] of a.blocks.entries()) x = block(graph, a, index, sees, x);
  graph.op('Reshape', [x, 'shape.batch'], 'vision');
  graph.output('vision', 'f32', [1, 'patches', a.hiddenSize]);
  graph.op('Identity', [merger(graph, a, x)], 'features');
  graph.output('features', 'f32', [1, 'units', a.outSize]);
  return graph;
}
