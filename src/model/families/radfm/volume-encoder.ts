/**
 * RadFM's image encoder as one graph: 3D patches, a ViT, a perceiver with learned latents, one linear layer. Side and depth are free.
 *
 * Two orders surprise: tokens run over rows, columns and slices with slices fastest, and a patch's values end with the channel. Positions
 * are the last row of each stride of the tables: (i + 1) * floor(rows / patches) - 1.
 * Source: chaoyi-wu/RadFM, Quick_demo/Model/RadFM/{vit_3d,position_encoding,helpers}.py.
 */
import { Graph } from '../../onnx/graph.ts';
import { linear, stored } from '../../onnx/layers.ts';
import { type Perceiver, perceive } from '../../onnx/perceiver.ts';

/** Constants of the authors' constructor that no shape shows. */
const heads = 8;
const headWidth = 64;
/** Slices of a patch. */
export const framePatch = 4;
export const channels = 3;
export const attentionWidth = heads * headWidth;
const normEpsilon = 1e-5;

export interface VolumeEncoder {
  readonly width: number;
  /** Side of a patch in pixels. */
  readonly patchSize: number;
  /** [rows, width] of the position tables. */
  readonly tables: Readonly<Record<Axis, readonly [number, number]>>;
  readonly layers: number;
  readonly feedForward: number;
  readonly perceiver: Perceiver;
  readonly outSize: number;
}

const axes = ['row', 'col', 'dep'] as const;
type Axis = (typeof axes)[number];

function patchVector(a: VolumeEncoder): number {
  return a.patchSize ** 2 * framePatch * channels;
}

/**
 * Norm of x less its mean. The kernel takes the mean of squares less the square of the mean, which loses a faint pattern on a bright ground;
 * with the mean gone before, it does not.
 */
function layerNorm(graph: Graph, x: string, name: string, from: string, size: number): string {
  const scale = stored(graph, `${name}.scale`, { name: `${from}.weight`, shape: [size] });
  const offset = stored(graph, `${name}.offset`, { name: `${from}.bias`, shape: [size] });
  graph.op('ReduceMean', [x, graph.integers(`${name}.axis`, [-1])], `${name}.mean`);
  const centred = graph.op('Sub', [x, `${name}.mean`], `${name}.centred`);
  return graph.op('LayerNormalization', [centred, scale, offset], name, { axis: { int: -1 }, epsilon: { float: normEpsilon } });
}

/** `count` equal parts of the last axis. */
function split(graph: Graph, x: string, count: number): string[] {
  const names = Array.from({ length: count }, (_, part) => `${x}.${part}`);
  graph.op('Split', [x], names, { axis: { int: -1 }, num_outputs: { int: count } });
  return names;
}

function attention(graph: Graph, name: string, query: string, key: string, value: string): string {
  return graph.contrib('MultiHeadAttention', [query, key, value], name, { num_heads: { int: heads } });
}

/** Patches along each axis, as three i64 tensors of one element. */
function patchCounts(graph: Graph, a: VolumeEncoder): void {
  graph.op('Shape', ['pixel_values'], 'pixels.sizes', { start: { int: 2 }, end: { int: 5 } });
  graph.integers('patch.sizes', [a.patchSize, a.patchSize, framePatch]);
  graph.op('Div', ['pixels.sizes', 'patch.sizes'], 'grid');
  const counts = axes.map((axis) => `${axis}.count`);
  graph.op('Split', ['grid'], counts, { axis: { int: 0 }, num_outputs: { int: axes.length } });
}

/** pixel_values -> [images, patches, patch vector], each patch less its mean. */
function patches(graph: Graph, a: VolumeEncoder): string {
  graph.integers('patch.kept', [0, channels]);
  graph.integers('patch.side', [a.patchSize]);
  graph.integers('patch.frames', [framePatch]);
  const apart = ['patch.kept', 'row.count', 'patch.side', 'col.count', 'patch.side', 'dep.count', 'patch.frames'];
  graph.op('Concat', apart, 'patch.apart', { axis: { int: 0 } });
  graph.op('Reshape', ['pixel_values', 'patch.apart'], 'patch.cut');
  graph.op('Transpose', ['patch.cut'], 'patch.ordered', { perm: { ints: [0, 2, 4, 6, 3, 5, 7, 1] } });
  graph.integers('patch.rows', [0, -1, patchVector(a)]);
  // Zero copies the dimension in the same place: the first.
  graph.op('Reshape', ['patch.ordered', 'patch.rows'], 'patch.values');
  // Of thousands of values the mean itself is inexact: taken here, and what is left of it in the norm.
  graph.op('ReduceMean', ['patch.values', graph.integers('patch.axis', [-1])], 'patch.mean');
  return graph.op('Sub', ['patch.values', 'patch.mean'], 'patch.centred');
}

/** Patch vectors to the encoder's width. Summed by rows of the patch: one long sum in single precision cost half of all accuracy. */
function mapped(graph: Graph, a: VolumeEncoder, x: string): string {
  const from = 'vision.to_patch_embedding.2';
  const part = patchVector(a) / a.patchSize;
  graph.op('Reshape', [x, graph.integers('mapped.shape', [0, -1, a.patchSize, part])], 'mapped.rows');
  graph.op('Transpose', ['mapped.rows'], 'mapped.each', { perm: { ints: [0, 2, 1, 3] } });
  const matrix = graph.weight('mapped.weight', [a.patchSize, part, a.width], {
    kind: 'transposed',
    tensors: [{ name: `${from}.weight`, shape: [a.width, patchVector(a)] }],
  });
  graph.op('MatMul', ['mapped.each', matrix], 'mapped.products');
  graph.op('ReduceSum', ['mapped.products', graph.integers('mapped.axis', [1])], 'mapped.sum', { keepdims: { int: 0 } });
  return graph.op('Add', ['mapped.sum', stored(graph, 'mapped.bias', { name: `${from}.bias`, shape: [a.width] })], 'mapped');
}

/** [1, patches, width]: row, column and depth position side by side. */
function positions(graph: Graph, a: VolumeEncoder): string {
  graph.integers('scalar.0', [0], []);
  graph.integers('scalar.1', [1], []);
  const parts = axes.map((axis, place) => {
    const [rows, width] = a.tables[axis];
    const count = graph.op('Gather', [`${axis}.count`, 'scalar.0'], `${axis}.scalar`, { axis: { int: 0 } });
    const end = graph.op('Add', [count, 'scalar.1'], `${axis}.end`);
    const ordinals = graph.op('Range', ['scalar.1', end, 'scalar.1'], `${axis}.ordinals`);
    const stride = graph.op('Div', [graph.integers(`${axis}.rows`, [rows], []), count], `${axis}.stride`);
    const last = graph.op('Sub', [graph.op('Mul', [ordinals, stride], `${axis}.ends`), 'scalar.1'], `${axis}.last`);
    const table = stored(graph, `${axis}.table`, { name: `vision.pos_embedding.${axis}_embed.weight`, shape: [rows, width] });
    const taken = graph.op('Gather', [table, last], `${axis}.taken`, { axis: { int: 0 } });
    const shape = [1, 1, 1, width];
    shape[place] = -1;
    const spread = graph.op('Reshape', [taken, graph.integers(`${axis}.shape`, shape)], `${axis}.spread`);
    const whole = graph.op('Concat', ['grid', graph.integers(`${axis}.width`, [width])], `${axis}.whole`, { axis: { int: 0 } });
    return graph.op('Expand', [spread, whole], `${axis}.positions`);
  });
  graph.op('Concat', parts, 'positions.grid', { axis: { int: 3 } });
  return graph.op('Reshape', ['positions.grid', graph.integers('positions.shape', [1, -1, a.width])], 'positions');
}

/** Pre-norm block of the ViT with full attention. */
function block(graph: Graph, a: VolumeEncoder, layer: number, x: string): string {
  const at = `blocks.${layer}`;
  const from = `vision.transformer.layers.${layer}`;
  const { width } = a;
  const normed = layerNorm(graph, x, `${at}.norm1`, `${from}.0.norm`, width);
  const packed = { into: width, out: 3 * attentionWidth, bias: false };
  const [query = '', key = '', value = ''] = split(graph, linear(graph, normed, `${at}.qkv`, `${from}.0.fn.to_qkv`, packed), 3);
  const context = attention(graph, `${at}.context`, query, key, value);
  const out = linear(graph, context, `${at}.out`, `${from}.0.fn.to_out.0`, { into: attentionWidth, out: width });
  const middle = graph.op('Add', [out, x], `${at}.middle`);
  const normed2 = layerNorm(graph, middle, `${at}.norm2`, `${from}.1.norm`, width);
  const up = linear(graph, normed2, `${at}.up`, `${from}.1.fn.net.0`, { into: width, out: a.feedForward });
  const active = graph.op('Gelu', [up], `${at}.active`, { approximate: { text: 'none' } });
  const down = linear(graph, active, `${at}.down`, `${from}.1.fn.net.3`, { into: a.feedForward, out: width });
  return graph.op('Add', [down, middle], `${at}.sum`);
}

/**
 * pixel_values [images, 3, height, width, depth] f32 -> `vision` [images, patches, width] and `features` [images, latents, outSize]. Height
 * and width must be multiples of the patch's side, depth one of framePatch, none with more patches than its table has rows.
 */
export function volumeGraph(a: VolumeEncoder): Graph {
  // Values of several hundred and of 0.1 stand in one row: weights in fp16 cost ten times what they cost elsewhere.
  const graph = new Graph('vision', 'f32');
  graph.input('pixel_values', 'f32', ['images', channels, 'height', 'width', 'depth']);
  patchCounts(graph, a);
  const cut = layerNorm(graph, patches(graph, a), 'patch.normed', 'vision.to_patch_embedding.1', patchVector(a));
  const embedded = layerNorm(graph, mapped(graph, a, cut), 'patch.embedded', 'vision.to_patch_embedding.3', a.width);
  let x = graph.op('Add', [embedded, positions(graph, a)], 'placed');
  for (let layer = 0; layer < a.layers; layer++) x = block(graph, a, layer, x);
  graph.op('Identity', [x], 'vision');
  graph.output('vision', 'f32', ['images', 'patches', a.width]);
  const norm = (within: Graph, rows: string, name: string, from: string) => layerNorm(within, rows, name, from, a.width);
  const normed = perceive(graph, a.perceiver, 'vision', norm);
  linear(graph, normed, 'features', 'fc', { into: a.width, out: a.outSize });
  graph.output('features', 'f32', ['images', a.perceiver.latents, a.outSize]);
  return graph;
}
