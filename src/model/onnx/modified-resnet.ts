/**
 * CLIP's ModifiedResNet up to its last stage, as PMC-CLIP has it: three convolutions as stem, bottlenecks, and no attention pool.
 *
 * Strides are average pools: in the stem, in a block after its second convolution, and in its shortcut before the convolution. Batch norms
 * are those of a finished model, with their running statistics. Source: WeixiongLin/PMC-CLIP, src/pmc_clip/model (ModifiedResNet, Bottleneck).
 */
import { Graph } from './graph.ts';
import { stored } from './layers.ts';
import type { Projection } from './vision-transformer.ts';

export interface ResnetBlock {
  /** Channels in, inside, and out. */
  readonly into: number;
  readonly inner: number;
  readonly out: number;
  /** Where channels or size change. */
  readonly shortcut: boolean;
}

export interface ModifiedResnet {
  readonly channels: number;
  /** Channels after each convolution of the stem. */
  readonly stem: readonly [number, number, number];
  /** The first block of every stage but the first halves the size. */
  readonly stages: readonly (readonly ResnetBlock[])[];
  readonly imageSize: number;
}

/** torch.nn.BatchNorm2d's own. */
const normEpsilon = 1e-5;
const halving = 2;

/** Channels of a row. */
export function resnetWidth(a: ModifiedResnet): number {
  return a.stages.at(-1)?.at(-1)?.out ?? a.stem[2];
}

/** Rows along one side of the picture: the stem halves it twice, rounding up once; every later stage halves it, rounding down. */
export function resnetSide(a: ModifiedResnet): number {
  const stem = Math.floor(Math.ceil(a.imageSize / halving) / halving);
  return a.stages.slice(1).reduce((side) => Math.floor(side / halving), stem);
}

interface Convolution {
  readonly into: number;
  readonly out: number;
  readonly kernel: 1 | 3;
  readonly stride?: number;
}

/** A convolution without bias and its batch norm; `at` names the values, `from` and `norm` the tensors. */
function convolved(graph: Graph, x: string, at: string, from: string, norm: string, c: Convolution): string {
  const weight = stored(graph, `${at}.weight`, { name: `${from}.weight`, shape: [c.out, c.into, c.kernel, c.kernel] });
  const pad = (c.kernel - 1) / 2;
  graph.op('Conv', [x, weight], `${at}.conv`, {
    kernel_shape: { ints: [c.kernel, c.kernel] },
    strides: { ints: [c.stride ?? 1, c.stride ?? 1] },
    pads: { ints: [pad, pad, pad, pad] },
  });
  const statistics = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
    stored(graph, `${at}.norm.${part}`, { name: `${norm}.${part}`, shape: [c.out] }),
  );
  return graph.op('BatchNormalization', [`${at}.conv`, ...statistics], at, { epsilon: { float: normEpsilon } });
}

function halved(graph: Graph, x: string): string {
  return graph.op('AveragePool', [x], `${x}.halved`, {
    kernel_shape: { ints: [halving, halving] },
    strides: { ints: [halving, halving] },
  });
}

function bottleneck(graph: Graph, b: ResnetBlock, at: string, halves: boolean, x: string): string {
  const relu = (value: string) => graph.op('Relu', [value], `${value}.active`);
  const part = (n: number, value: string, c: Convolution) => convolved(graph, value, `${at}.${n}`, `${at}.conv${n}`, `${at}.bn${n}`, c);
  const first = relu(part(1, x, { into: b.into, out: b.inner, kernel: 1 }));
  const second = relu(part(2, first, { into: b.inner, out: b.inner, kernel: 3 }));
  const third = part(3, halves ? halved(graph, second) : second, { into: b.inner, out: b.out, kernel: 1 });
  const shortcut = () =>
    convolved(graph, halves ? halved(graph, x) : x, `${at}.0`, `${at}.shortcut.conv`, `${at}.shortcut.bn`, {
      into: b.into,
      out: b.out,
      kernel: 1,
    });
  return relu(graph.op('Add', [third, b.shortcut ? shortcut() : x], `${at}.sum`));
}

/**
 * pixel_values [images, channels, size, size] f32 -> `vision` [images, side * side, width], the last stage's output row by row of the
 * picture, and `features` [images, rows, outSize]. Tensors: vision.stem.N, vision.stages.S.B.
 */
export function resnetGraph(a: ModifiedResnet, projection: Projection): Graph {
  const graph = new Graph('vision', 'f16');
  let x = graph.input('pixel_values', 'f32', ['images', a.channels, a.imageSize, a.imageSize]);
  for (const [n, out] of a.stem.entries()) {
    const into = a.stem[n - 1] ?? a.channels;
    const at = `vision.stem.${n + 1}`;
    const sizes = { into, out, kernel: 3, stride: n === 0 ? halving : 1 } as const;
    x = graph.op('Relu', [convolved(graph, x, at, `vision.stem.conv${n + 1}`, `vision.stem.bn${n + 1}`, sizes)], `${at}.active`);
  }
  x = halved(graph, x);
  for (const [stage, blocks] of a.stages.entries()) {
    for (const [n, block] of blocks.entries()) {
      x = bottleneck(graph, block, `vision.stages.${stage}.${n}`, stage > 0 && n === 0, x);
    }
  }
  const [side, width] = [resnetSide(a), resnetWidth(a)];
  graph.op('Reshape', [x, graph.integers('grid.shape', [0, width, side * side])], 'grid.columns');
  graph.op('Transpose', ['grid.columns'], 'vision', { perm: { ints: [0, 2, 1] } });
  graph.output('vision', 'f32', ['images', side * side, width]);
  graph.op('Identity', [projection.add(graph, 'vision')], 'features');
  graph.output('features', 'f32', ['images', projection.rows, projection.outSize]);
  return graph;
}
