/**
 * CLIP's pooled embedding of a picture, and the mapper that turns it into the rows of the slot.
 *
 * The embedding is the class row behind the tower's last norm, projected, and not normalised. `MLP`: linear layers with tanh between them, whose
 * last output is cut into rows. `Transformer`: the embedding as a few rows, learned rows behind them, blocks over all; the rows of the slot are
 * the last ones. Source: tjvsonsbeek/open-ended-medical-vqa, prefix_mappers.py; openai/CLIP, clip/model.py.
 */
import { Graph } from '../../onnx/graph.ts';
import { activate, linear, stored } from '../../onnx/layers.ts';
import { block, postNorm, towerRows, type VisionArchitecture } from '../../onnx/vision-transformer.ts';

export interface PooledTower {
  readonly vision: VisionArchitecture;
  /** Width of the embedding. */
  readonly projection: number;
}

export type Mapper =
  | { readonly kind: 'mlp' /** Outputs of the linear layers. */; readonly widths: readonly number[] }
  | {
      readonly kind: 'transformer';
      /** Rows that the embedding becomes. */
      readonly clipRows: number;
      readonly layers: number;
      readonly intermediateSize: number;
    };

/** Heads of the authors' transformer mapper, and the epsilon of torch's norms; no file says them. */
export const mapperHeads = 8;
const normEpsilon = 1e-5;

export interface Slot {
  /** Rows in the prompt. */
  readonly rows: number;
  readonly hiddenSize: number;
}

function mlp(graph: Graph, widths: readonly number[], projection: number, { rows, hiddenSize }: Slot): string {
  let x = 'vision';
  for (const [index, out] of widths.entries()) {
    if (index > 0) x = activate(graph, 'tanh', x, `mapper.${index}.active`);
    x = linear(graph, x, `mapper.${index}`, `mapper.linears.${index}`, { into: widths[index - 1] ?? projection, out });
  }
  return graph.op('Reshape', [x, graph.integers('slot.shape', [-1, rows, hiddenSize])], 'mapped');
}

function transformer(graph: Graph, m: Extract<Mapper, { kind: 'transformer' }>, projection: number, { rows, hiddenSize }: Slot): string {
  const wide = linear(graph, 'vision', 'mapper.wide', 'mapper.linear', { into: projection, out: m.clipRows * hiddenSize });
  graph.op('Reshape', [wide, graph.integers('mapper.shape', [-1, m.clipRows, hiddenSize])], 'mapper.clip');
  stored(graph, 'mapper.learned', { name: 'mapper.prefix', shape: [rows, hiddenSize] }, [1, rows, hiddenSize]);
  graph.op('Shape', ['vision'], 'mapper.images', { end: { int: 1 } });
  graph.op('Concat', ['mapper.images', graph.integers('mapper.rest', [rows, hiddenSize])], 'mapper.each', { axis: { int: 0 } });
  graph.op('Expand', ['mapper.learned', 'mapper.each'], 'mapper.prefixes');
  let x = graph.op('Concat', ['mapper.clip', 'mapper.prefixes'], 'mapper.rows', { axis: { int: 1 } });
  const sizes = {
    hiddenSize,
    intermediateSize: m.intermediateSize,
    heads: mapperHeads,
    activation: 'relu',
    normEpsilon,
    qkvBias: false,
  } as const;
  for (let layer = 0; layer < m.layers; layer++) x = block(graph, sizes, `mapper.layers.${layer}`, `mapper.layers.${layer}`, x);
  graph.integers('slot.start', [m.clipRows]);
  graph.integers('slot.end', [m.clipRows + rows]);
  return graph.op('Slice', [x, 'slot.start', 'slot.end', graph.integers('slot.axis', [1])], 'mapped');
}

/**
 * pixel_values [images, channels, size, size] -> `vision` [images, projection], the pooled embedding, and `features` [images, slot rows,
 * hidden].
 */
export function pooledGraph({ vision, projection }: PooledTower, mapper: Mapper, slot: Slot): Graph {
  const graph = new Graph('vision', 'f16');
  const rows = towerRows(graph, vision);
  graph.op('Gather', [rows, graph.integers('class.index', [0], [])], 'class.row', { axis: { int: 1 } });
  const pooled = postNorm(graph, vision, 'class.row');
  const sizes = { into: vision.hiddenSize, out: projection, bias: false };
  graph.op('Identity', [linear(graph, pooled, 'projected', 'vision.projection', sizes)], 'vision');
  graph.output('vision', 'f32', ['images', projection]);
  const mapped = mapper.kind === 'mlp' ? mlp(graph, mapper.widths, projection, slot) : transformer(graph, mapper, projection, slot);
  graph.op('Identity', [mapped], 'features');
  graph.output('features', 'f32', ['images', slot.rows, slot.hiddenSize]);
  return graph;
}
