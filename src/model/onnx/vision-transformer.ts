/**
 * An image encoder of the CLIP or SigLIP kind up to one selected hidden state, and the projector that turns its rows into decoder rows.
 *
 * A selected hidden state is post-normed only with `postNorm`, and the blocks above it are not built. With `classToken` the class row is the first.
 * Source: transformers modeling_clip.py, modeling_siglip.py, modeling_llava.py; the authors' multimodal_projector/builder.py.
 */
import { Graph, type TensorNeed } from './graph.ts';

export const activations = ['quick_gelu', 'gelu', 'gelu_pytorch_tanh'] as const;
export type Activation = (typeof activations)[number];

export interface VisionArchitecture {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  /** Blocks that are run: the selected hidden state is the output of the last of them, or the embeddings if 0. */
  readonly blocks: number;
  readonly channels: number;
  readonly imageSize: number;
  readonly patchSize: number;
  readonly activation: Activation;
  readonly normEpsilon: number;
  /** CLIP: class token in front, norm before the blocks, patches without bias. SigLIP: none of them, patches with bias. */
  readonly kind: 'clip' | 'siglip';
  /** Leave the first row out of what the projector sees. */
  readonly dropFirst: boolean;
  /** The projector sees the rows after the tower's last norm; absent = before it. */
  readonly postNorm?: boolean;
}

export interface ProjectorArchitecture {
  /** Number of linear layers, with an activation between them. */
  readonly layers: number;
  readonly activation: Activation;
  readonly bias: boolean;
  readonly outSize: number;
}

/** Rows per image before the first is dropped. */
export function encoderRows(a: VisionArchitecture): number {
  return Math.floor(a.imageSize / a.patchSize) ** 2 + (a.kind === 'clip' ? 1 : 0);
}

/** Rows per image that the decoder sees. */
export function visualTokens(a: VisionArchitecture): number {
  return encoderRows(a) - (a.dropFirst ? 1 : 0);
}

function stored(graph: Graph, name: string, need: TensorNeed, dims = need.shape): string {
  return graph.weight(name, dims, { kind: 'stored', tensors: [need] });
}

function matrix(graph: Graph, name: string, tensor: string, into: number, out: number): string {
  return graph.weight(name, [into, out], { kind: 'transposed', tensors: [{ name: tensor, shape: [out, into] }] });
}

function linear(graph: Graph, x: string, out: string, from: string, into: number, size: number, bias: boolean): string {
  const weight = matrix(graph, `${out}.weight`, `${from}.weight`, into, size);
  if (!bias) return graph.op('MatMul', [x, weight], out);
  const offset = stored(graph, `${out}.bias`, { name: `${from}.bias`, shape: [size] });
  return graph.op('Add', [graph.op('MatMul', [x, weight], `${out}.product`), offset], out);
}

function layerNorm(graph: Graph, a: VisionArchitecture, x: string, out: string, from: string): string {
  const scale = stored(graph, `${out}.scale`, { name: `${from}.weight`, shape: [a.hiddenSize] });
  const offset = stored(graph, `${out}.offset`, { name: `${from}.bias`, shape: [a.hiddenSize] });
  return graph.op('LayerNormalization', [x, scale, offset], out, { axis: { int: -1 }, epsilon: { float: a.normEpsilon } });
}

function activate(graph: Graph, kind: Activation, x: string, out: string): string {
  if (kind === 'quick_gelu') return graph.contrib('QuickGelu', [x], out, { alpha: { float: 1.702 } });
  return graph.op('Gelu', [x], out, { approximate: { text: kind === 'gelu' ? 'none' : 'tanh' } });
}

/** pixel_values [images, channels, size, size] -> [images, rows, hidden], patches in rows of the image, positions added. */
function embeddings(graph: Graph, a: VisionArchitecture): string {
  const hidden = a.hiddenSize;
  const from = 'vision.embeddings';
  const shape = [hidden, a.channels, a.patchSize, a.patchSize];
  const inputs = ['pixel_values', stored(graph, 'patch.weight', { name: `${from}.patch_embedding.weight`, shape })];
  if (a.kind === 'siglip') inputs.push(stored(graph, 'patch.bias', { name: `${from}.patch_embedding.bias`, shape: [hidden] }));
  const patch = { ints: [a.patchSize, a.patchSize] };
  graph.op('Conv', inputs, 'patch.grid', { kernel_shape: patch, strides: patch });
  graph.integers('patch.shape', [0, hidden, -1]);
  graph.op('Reshape', ['patch.grid', 'patch.shape'], 'patch.columns');
  let rows = graph.op('Transpose', ['patch.columns'], 'patch.rows', { perm: { ints: [0, 2, 1] } });
  if (a.kind === 'clip') {
    stored(graph, 'class', { name: `${from}.class_embedding`, shape: [hidden] }, [1, 1, hidden]);
    graph.op('Shape', ['pixel_values'], 'images', { end: { int: 1 } });
    graph.integers('class.rest', [1, hidden]);
    graph.op('Concat', ['images', 'class.rest'], 'class.shape', { axis: { int: 0 } });
    graph.op('Expand', ['class', 'class.shape'], 'class.rows');
    rows = graph.op('Concat', ['class.rows', rows], 'rows', { axis: { int: 1 } });
  }
  const positions = { name: `${from}.position_embedding.weight`, shape: [encoderRows(a), hidden] };
  const placed = graph.op('Add', [rows, stored(graph, 'positions', positions)], 'embedded');
  return a.kind === 'clip' ? layerNorm(graph, a, placed, 'normed', 'vision.pre_layrnorm') : placed;
}

/** One pre-norm block with full attention. */
function block(graph: Graph, a: VisionArchitecture, index: number, x: string): string {
  const at = `blocks.${index}`;
  const from = `vision.encoder.layers.${index}`;
  const hidden = a.hiddenSize;
  const normed = layerNorm(graph, a, x, `${at}.norm1`, `${from}.layer_norm1`);
  const apart = ['q', 'k', 'v'].map((part) => {
    const weight = matrix(graph, `${at}.${part}.weight`, `${from}.self_attn.${part}_proj.weight`, hidden, hidden);
    return graph.op('MatMul', [normed, weight], `${at}.${part}`);
  });
  const bias = graph.weight(`${at}.qkv.bias`, [3 * hidden], {
    kind: 'stored',
    tensors: ['q', 'k', 'v'].map((part) => ({ name: `${from}.self_attn.${part}_proj.bias`, shape: [hidden] })),
  });
  const heads = { int: a.heads };
  const context = graph.contrib('MultiHeadAttention', [...apart, bias], `${at}.context`, { num_heads: heads });
  const attended = linear(graph, context, `${at}.out`, `${from}.self_attn.out_proj`, hidden, hidden, true);
  const middle = graph.op('Add', [x, attended], `${at}.middle`);
  const normed2 = layerNorm(graph, a, middle, `${at}.norm2`, `${from}.layer_norm2`);
  const up = linear(graph, normed2, `${at}.fc1`, `${from}.mlp.fc1`, hidden, a.intermediateSize, true);
  const active = activate(graph, a.activation, up, `${at}.active`);
  const down = linear(graph, active, `${at}.fc2`, `${from}.mlp.fc2`, a.intermediateSize, hidden, true);
  return graph.op('Add', [middle, down], `${at}.sum`);
}

/** Linear layers `projector.0`, `projector.1`, .. over x [.., into], an activation between them. */
export function project(graph: Graph, p: ProjectorArchitecture, x: string, into: number): string {
  let rows = x;
  for (let layer = 0; layer < p.layers; layer++) {
    if (layer > 0) rows = activate(graph, p.activation, rows, `projector.${layer}.active`);
    rows = linear(graph, rows, `projector.${layer}`, `projector.${layer}`, layer === 0 ? into : p.outSize, p.outSize, p.bias);
  }
  return rows;
}

/** What turns the tower's rows into decoder rows, where it is more than linear layers on each row. */
export interface Projection {
  /** Decoder rows per image. */
  readonly rows: number;
  readonly outSize: number;
  /** Adds its nodes: `vision` [images, visualTokens, hidden] -> [images, rows, outSize]. */
  add(graph: Graph, vision: string): string;
}

/**
 * pixel_values [images, channels, size, size] f32 -> `vision` [images, visualTokens, hidden], the hidden state that the projector sees, and
 * `features` [images, rows, outSize], one decoder row per visual token.
 */
export function encoderGraph(a: VisionArchitecture, projection: Projection): Graph {
  const graph = new Graph('vision');
  graph.input('pixel_values', 'f32', ['images', a.channels, a.imageSize, a.imageSize]);
  let x = embeddings(graph, a);
  for (let index = 0; index < a.blocks; index++) x = block(graph, a, index, x);
  if (a.postNorm === true) x = layerNorm(graph, a, x, 'post_norm', 'vision.post_layernorm');
  graph.integers('slice.start', [a.dropFirst ? 1 : 0]);
  graph.integers('slice.end', [encoderRows(a)]);
  graph.integers('slice.axis', [1]);
  graph.op('Slice', [x, 'slice.start', 'slice.end', 'slice.axis'], 'vision');
  graph.output('vision', 'f32', ['images', visualTokens(a), a.hiddenSize]);
  graph.op('Identity', [projection.add(graph, 'vision')], 'features');
  graph.output('features', 'f32', ['images', projection.rows, projection.outSize]);
  return graph;
}

/** encoderGraph with linear layers: one decoder row for each row that the projector sees. */
export function visionGraph(a: VisionArchitecture, p: ProjectorArchitecture): Graph {
  return encoderGraph(a, { rows: visualTokens(a), outSize: p.outSize, add: (graph, rows) => project(graph, p, rows, a.hiddenSize) });
}
