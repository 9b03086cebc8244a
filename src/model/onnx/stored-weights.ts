/**
 * How weights lie in the data file, and the nodes that read them so. Computing stays in f32: inputs, outputs and caches do not change.
 *
 * fp16: matrices and tables are cast to f32, which ONNX Runtime does once, when it loads the graph. int8: what is multiplied by or looked up
 * lies as rows of 8-bit blocks, each block with its own f32 scale; one table serves as embedding and as tied head. Everything else stays f32,
 * and image encoders are fp16 there: the 8-bit kernel is made for single rows, and an encoder runs hundreds at once.
 * Source: microsoft/onnxruntime ContribOperators.md, MatMulNBits and GatherBlockQuantized.
 */
import {
  type Attribute,
  dataTypes,
  type Form,
  type Graph,
  type Initializer,
  MICROSOFT,
  type Node,
  type Placement,
  type Weight,
} from './graph.ts';

/** Number types that weights are offered in. */
export const weightTypes = ['fp32', 'fp16', 'int8'] as const;
export type WeightType = (typeof weightTypes)[number];

/** Values that share a scale: the smallest block that the kernels take loses the least. */
export const BLOCK = 32;
/** Stored value of 0. */
export const ZERO_POINT = 128;
const BITS = 8;
/** Activations are taken to 8 bits too: level 0 does not, and is 20 times slower at a single row on CPU. */
const ACCURACY = 4;

/** A weight as it was written. */
export interface Stored {
  readonly form: Form;
  readonly values: Placement;
  /** f32, one per block; of rows8 only. */
  readonly scales?: Placement;
}

export interface Rows8 {
  readonly rows: number;
  /** Values of a row. */
  readonly length: number;
  /** Stored values of a row: whole blocks, filled up with zeros. */
  readonly width: number;
}

/** What a weight is as rows8; null = it cannot be. */
export function rowsOf(weight: Weight): Rows8 | null {
  const [a = 0, b = 0] = weight.dims;
  if (weight.dims.length !== 2 || weight.recipe.kind === 'computed') return null;
  const [rows, length] = weight.recipe.kind === 'transposed' ? [b, a] : [a, b];
  return { rows, length, width: Math.ceil(length / BLOCK) * BLOCK };
}

function uses(graph: Graph, name: string): { readonly node: Node; readonly at: number }[] {
  return graph.nodes.flatMap((node) => node.inputs.flatMap((input, at) => (input === name ? [{ node, at }] : [])));
}

const isProduct = (node: Node, at: number): boolean => node.type === 'MatMul' && at === 1;
const isLookUp = (node: Node, at: number): boolean => {
  const axis = node.attributes.axis;
  return node.type === 'Gather' && at === 0 && axis !== undefined && 'int' in axis && axis.int === 0;
};

/** The form of a weight in a bundle of `type`. Vectors (norms, biases) and computed tables are f32 in all of them. */
export function formOf(graph: Graph, weight: Weight, type: WeightType): Form {
  const isExact = type === 'fp32' || graph.coarsest === 'f32';
  if (isExact || weight.recipe.kind === 'computed' || weight.dims.length < 2) return 'f32';
  if (type === 'fp16' || graph.coarsest === 'f16') return 'f16';
  if (rowsOf(weight) === null) return 'f32';
  const fits = weight.recipe.kind === 'transposed' ? isProduct : isLookUp;
  const all = uses(graph, weight.name);
  return all.length > 0 && all.every(({ node, at }) => fits(node, at)) ? 'rows8' : 'f32';
}

function cast(from: string, to: string): Node {
  return { domain: '', type: 'Cast', inputs: [from], outputs: [to], attributes: { to: { int: dataTypes.f32 } } };
}

function tensorsOf({ name, dims, recipe }: Weight, { form, values, scales }: Stored, shape: Rows8 | null): Initializer[] {
  if (form === 'f32') return [{ name, type: 'f32', dims, placement: values }];
  if (form === 'f16') return [{ name: `${name}.f16`, type: 'f16', dims, placement: values }];
  if (shape === null || scales === undefined) throw new Error(`weight ${name} was written as rows8 without rows or scales`);
  const { rows, width } = shape;
  return [
    { name: `${name}.rows8`, type: 'u8', dims: recipe.kind === 'stored' ? [rows, width] : [rows, width / BLOCK, BLOCK], placement: values },
    { name: `${name}.scales`, type: 'f32', dims: [rows, width / BLOCK], placement: scales },
  ];
}

/** What reads a weight of rows8 in place of `node`; `filled` is called when rows are to be cut to their length. */
function reading8(node: Node, name: string, { rows, length, width }: Rows8, filled: () => void): Node[] {
  const tensors = [`${name}.rows8`, `${name}.scales`];
  const [first = '', second = ''] = node.inputs;
  const shared: Record<string, Attribute> = { bits: { int: BITS }, block_size: { int: BLOCK } };
  if (node.type === 'MatMul') {
    const attributes = { ...shared, K: { int: length }, N: { int: rows }, accuracy_level: { int: ACCURACY } };
    return [{ domain: MICROSOFT, type: 'MatMulNBits', inputs: [first, ...tensors], outputs: node.outputs, attributes }];
  }
  const attributes = { ...shared, gather_axis: { int: 0 }, quantize_axis: { int: 1 } };
  const inputs = [tensors[0] ?? '', second, tensors[1] ?? ''];
  const [output = ''] = node.outputs;
  const lookUp = { domain: MICROSOFT, type: 'GatherBlockQuantized', inputs, attributes };
  if (width === length) return [{ ...lookUp, outputs: node.outputs }];
  filled();
  const cut = [`${output}.filled`, ...boundsOf(name)];
  return [
    { ...lookUp, outputs: [`${output}.filled`] },
    { domain: '', type: 'Slice', inputs: cut, outputs: node.outputs, attributes: {} },
  ];
}

/** Names of a Slice's start, end and axis that cut rows of a filled table. */
const boundsOf = (name: string): string[] => ['start', 'end', 'axis'].map((part) => `${name}.cut.${part}`);

function boundTensors(name: string, length: number): Initializer[] {
  return [0, length, -1].map((value, i) => {
    const bytes = new Uint8Array(BigInt64Array.of(BigInt(value)).buffer);
    return { name: boundsOf(name)[i] ?? '', type: 'i64', dims: [1], placement: { kind: 'inline', bytes } };
  });
}

/** A graph's nodes and tensors as they read what was stored. */
export function readingNodes(graph: Graph, storedAs: (weight: Weight) => Stored): { nodes: readonly Node[]; tensors: Initializer[] } {
  const weights = new Map(graph.weights.map((weight) => [weight.name, { weight, stored: storedAs(weight), shape: rowsOf(weight) }]));
  const casts: Node[] = [];
  const casted = new Set<string>();
  const cut = new Map<string, number>();
  const nodes = graph.nodes.flatMap((node): Node[] => {
    const named = node.inputs.map((input) => weights.get(input));
    const rows = named.find((entry) => entry?.stored.form === 'rows8');
    if (rows?.shape) {
      const { shape, weight } = rows;
      return reading8(node, weight.name, shape, () => cut.set(weight.name, shape.length));
    }
    const [output = ''] = node.outputs;
    // Rows are looked up before they are cast: else the whole table would lie in memory as f32.
    if (node.type === 'Gather' && named[0]?.stored.form === 'f16') {
      const halves = { ...node, inputs: [`${node.inputs[0]}.f16`, ...node.inputs.slice(1)], outputs: [`${output}.f16`] };
      return [halves, cast(`${output}.f16`, output)];
    }
    for (const entry of named) {
      if (entry?.stored.form !== 'f16' || casted.has(entry.weight.name)) continue;
      casted.add(entry.weight.name);
      casts.push(cast(`${entry.weight.name}.f16`, entry.weight.name));
    }
    return [node];
  });
  const tensors = [...weights.values()].flatMap(({ weight, stored, shape }) => tensorsOf(weight, stored, shape));
  const bounds = [...cut].flatMap(([name, length]) => boundTensors(name, length));
  return { nodes: [...casts, ...nodes], tensors: [...tensors, ...bounds] };
}
