/**
 * An image encoder of the CLIP or SigLIP kind up to one selected hidden state, and the projector that turns its rows into decoder rows.
 *
 * A selected hidden state is post-normed only with `postNorm`, and the blocks above it are not built. With `classToken` the class row is the first.
 * Source: transformers modeling_clip.py, modeling_siglip.py, modeling_llava.py; the authors' multimodal_projector/builder.py.
 */
import { Graph } from './graph.ts';
import { type Activation, activate, attention, layerNorm, linear, stored } from './layers.ts';

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
  /** Width between the layers; absent = outSize. */
  readonly innerSize?: number;
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
  return a.kind === 'clip' ? layerNorm(graph, placed, 'normed', 'vision.pre_layrnorm', { size: hidden, epsilon: a.normEpsilon }) : placed;
}

/** What a pre-norm block is made of. */
export interface BlockSizes {
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly heads: number;
  readonly activation: Activation;
  readonly normEpsilon: number;
  /** Absent = queries, keys and values have biases. */
  readonly qkvBias?: boolean;
}

/** One pre-norm block with full attention: x [.., rows, hidden]; `at` names its values in the graph, `from` its tensors. */
export function block(graph: Graph, a: BlockSizes, at: string, from: string, x: string): string {
  const hidden = a.hiddenSize;
  const norm = { size: hidden, epsilon: a.normEpsilon };
  const sizes = { size: hidden, heads: a.heads, bias: a.qkvBias ?? true };
  const normed = layerNorm(graph, x, `${at}.norm1`, `${from}.layer_norm1`, norm);
  const attended = attention(graph, `${at}.attention`, `${from}.self_attn`, sizes, normed, normed);
  const middle = graph.op('Add', [x, attended], `${at}.middle`);
  const normed2 = layerNorm(graph, middle, `${at}.norm2`, `${from}.layer_norm2`, norm);
  const up = linear(graph, normed2, `${at}.fc1`, `${from}.mlp.fc1`, { into: hidden, out: a.intermediateSize });
  const active = activate(graph, a.activation, up, `${at}.active`);
  const down = linear(graph, active, `${at}.fc2`, `${from}.mlp.fc2`, { into: a.intermediateSize, out: hidden });
  return graph.op('Add', [middle, down], `${at}.sum`);
}

/** Linear layers `projector.0`, `projector.1`, .. over x [.., into], an activation between them. */
export function project(graph: Graph, p: ProjectorArchitecture, x: string, into: number): string {
  let rows = x;
  let width = into;
  for (let layer = 0; layer < p.layers; layer++) {
    if (layer > 0) rows = activate(graph, p.activation, rows, `projector.${layer}.active`);
    const out = layer === p.layers - 1 ? p.outSize : (p.innerSize ?? p.outSize);
    rows = linear(graph, rows, `projector.${layer}`, `projector.${layer}`, { into: width, out, bias: p.bias });
    width = out;
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

/** Adds the input pixel_values [images, channels, size, size] and the tower: [images, encoderRows, hidden], before its last norm. */
export function towerRows(graph: Graph, a: VisionArchitecture): string {
  graph.input('pixel_values', 'f32', ['images', a.channels, a.imageSize, a.imageSize]);
  let x = embeddings(graph, a);
  for (let index = 0; index < a.blocks; index++) x = block(graph, a, `blocks.${index}`, `vision.encoder.layers.${index}`, x);
  return x;
}

/** The tower's last norm over `rows` [.., hidden]. */
export function postNorm(graph: Graph, a: VisionArchitecture, rows: string): string {
  return layerNorm(graph, rows, 'post_norm', 'vision.post_layernorm', { size: a.hiddenSize, epsilon: a.normEpsilon });
}

/**
 * pixel_values [images, channels, size, size] f32 -> `vision` [images, visualTokens, hidden], the hidden state that the projector sees, and
 * `features` [images, rows, outSize], one decoder row per visual token.
 */
export function encoderGraph(a: VisionArchitecture, projection: Projection): Graph {
  const graph = new Graph('vision', 'f16');
  const rows = towerRows(graph, a);
  const x = a.postNorm === true ? postNorm(graph, a, rows) : rows;
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
