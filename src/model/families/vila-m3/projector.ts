/**
 * VILA's projectors: linear layers on each row, or four neighbouring rows merged into one before them.
 *
 * The merge takes the tower's rows as a square, adds a row of zeros below and a column of zeros to the right where its side is odd, and makes
 * one row of each block of two by two, its parts row by row. The blocks themselves follow column by column: the authors' code lacks the last
 * transposition, and the models were trained so.
 * Source: NVlabs/VILA 355fda9, llava/model/multimodal_projector/base_projector.py (DownSampleBlock).
 */
import type { Graph } from '../../onnx/graph.ts';
import { type Projection, project, type VisionArchitecture, visualTokens } from '../../onnx/vision-transformer.ts';

export type MergeOrder = 'columns' | 'rows';

interface MergeProjector {
  readonly kind: 'merge';
  /** Rows of the tower along one side of the image. */
  readonly side: number;
  readonly order: MergeOrder;
  readonly outSize: number;
}

interface LayersProjector {
  readonly kind: 'layers';
  readonly layers: number;
  /** A layer that stands alone has no number in its name; `mlp1x_gelu` is a Sequential of one. */
  readonly alone: boolean;
  readonly outSize: number;
}

export type VilaProjector = MergeProjector | LayersProjector;

/** torch.nn.LayerNorm's own. */
const normEpsilon = 1e-5;

/** Blocks along one side. */
function across({ side }: MergeProjector): number {
  return Math.ceil(side / 2);
}

/** Decoder rows per image after the merge. */
export function blocksPerImage(merge: MergeProjector): number {
  return across(merge) ** 2;
}

/** rows [images, side * side, width] -> [images, blocks, 4 width] */
function merged(graph: Graph, merge: MergeProjector, rows: string, width: number): string {
  const { side, order } = merge;
  const blocks = across(merge);
  graph.integers('merge.square.shape', [0, side, side, width]);
  let square = graph.op('Reshape', [rows, 'merge.square.shape'], 'merge.square');
  if (side % 2 === 1) {
    graph.integers('merge.pads', [0, 0, 0, 0, 0, 1, 1, 0]);
    square = graph.op('Pad', [square, 'merge.pads'], 'merge.even');
  }
  graph.integers('merge.split.shape', [0, blocks, 2, blocks, 2, width]);
  graph.op('Reshape', [square, 'merge.split.shape'], 'merge.split');
  const perm = order === 'columns' ? [0, 3, 1, 2, 4, 5] : [0, 1, 3, 2, 4, 5];
  graph.op('Transpose', ['merge.split'], 'merge.blocks', { perm: { ints: perm } });
  graph.integers('merge.rows.shape', [0, blocks * blocks, 4 * width]);
  return graph.op('Reshape', ['merge.blocks', 'merge.rows.shape'], 'merge.rows');
}

function addMerge(graph: Graph, merge: MergeProjector, rows: string, width: number): string {
  const wide = 4 * width;
  const x = merged(graph, merge, rows, width);
  const [scale, offset] = (['weight', 'bias'] as const).map((part) =>
    graph.weight(`projector.norm.${part}`, [wide], { kind: 'stored', tensors: [{ name: `projector.norm.${part}`, shape: [wide] }] }),
  );
  const normed = graph.op('LayerNormalization', [x, scale ?? '', offset ?? ''], 'projector.norm', {
    axis: { int: -1 },
    epsilon: { float: normEpsilon },
  });
  return project(graph, { layers: 2, activation: 'gelu', bias: true, outSize: merge.outSize }, normed, wide);
}

/** The projector behind its tower. */
export function vilaProjection(vision: VisionArchitecture, projector: VilaProjector): Projection {
  const { outSize } = projector;
  if (projector.kind === 'merge') {
    return { rows: blocksPerImage(projector), outSize, add: (graph, rows) => addMerge(graph, projector, rows, vision.hiddenSize) };
  }
  const layers = { layers: projector.layers, activation: 'gelu', bias: true, outSize } as const;
  return { rows: visualTokens(vision), outSize, add: (graph, rows) => project(graph, layers, rows, vision.hiddenSize) };
}
