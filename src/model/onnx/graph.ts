/**
 * A typed builder of ONNX graphs: inputs, outputs, nodes in topological order, constants and weights.
 *
 * Weights are recipes, not bytes: which tensors of a checkpoint they are made of and in which layout. So a graph can be built and every
 * name and shape checked before one value is read; `files.ts` then streams the values. Every weight is f32 to the builder: how it is stored,
 * and the nodes that read it so (`stored-weights.ts`), are settled when the graph is encoded.
 * Source: onnx/onnx.proto3 (IR version 10), opset ai.onnx 23 and com.microsoft 1.
 */
import { bytesField, type Field, floatField, integerField, message, messageField, packedIntegersField, textField } from './protobuf.ts';

/** TensorProto.DataType of the element types that we write. */
export const dataTypes = { f32: 1, u8: 2, i32: 6, i64: 7, f16: 10 } as const;
export type ElementType = keyof typeof dataTypes;

/** A number is a fixed size, a string the name of a dynamic one. */
export type Dimension = number | string;

export type Attribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly text: string };

/** A tensor of the checkpoint by our name, with the shape that it must have. */
export interface TensorNeed {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Attention heads of `size` values widened to `padded`, because kernels take multiples of 16 only. The added values are zero and so is what
 * they contribute; each half of a head keeps its own end free, so that rotary still pairs the same values.
 */
export interface HeadPadding {
  readonly axis: 'out' | 'in';
  readonly size: number;
  readonly padded: number;
}

/**
 * How a weight comes to be. `stored`: the tensors one after the other as they are. `transposed`: each [out, in] tensor becomes columns of one
 * [in, sum of out] matrix. `computed`: values that no checkpoint holds.
 */
export type Recipe =
  | { readonly kind: 'stored' | 'transposed'; readonly tensors: readonly TensorNeed[]; readonly heads?: HeadPadding }
  | { readonly kind: 'computed'; readonly values: () => Float32Array };

/** How a weight's values are stored, from the finest; `rows8`: [out, in] in 8-bit blocks along `in`. */
export type Form = 'f32' | 'f16' | 'rows8';

/** f32 weight of a graph. Two weights with one `key` hold the same bytes and share one place in the data file. */
export interface Weight {
  readonly name: string;
  readonly key: string;
  readonly dims: readonly number[];
  readonly recipe: Recipe;
}

/** Where a tensor's bytes are: in the graph file, or in the data file beside it. */
export type Placement =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'external'; readonly location: string; readonly offset: number; readonly length: number };

/** A tensor of the graph that is stored, not computed. */
export interface Initializer {
  readonly name: string;
  readonly type: ElementType;
  readonly dims: readonly number[];
  readonly placement: Placement;
}

export interface Node {
  /** '' = ai.onnx. */
  readonly domain: string;
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, Attribute>>;
}

const OPSET = 23;
const IR_VERSION = 10;
export const MICROSOFT = 'com.microsoft';

function attributeField(name: string, value: Attribute): Field {
  const fields = [textField(1, name)];
  if ('int' in value) fields.push(integerField(3, value.int), integerField(20, 2));
  else if ('float' in value) fields.push(floatField(2, value.float), integerField(20, 1));
  else if ('ints' in value) fields.push(...value.ints.map((item) => integerField(8, item)), integerField(20, 7));
  else fields.push(textField(4, value.text), integerField(20, 3));
  return messageField(5, fields);
}

function valueInfo(field: number, name: string, type: ElementType, dims: readonly Dimension[]): Field {
  const shape = dims.map((dim) => messageField(1, [typeof dim === 'number' ? integerField(1, dim) : textField(2, dim)]));
  return messageField(field, [
    textField(1, name),
    messageField(2, [messageField(1, [integerField(1, dataTypes[type]), messageField(2, shape)])]),
  ]);
}

function initializerField({ name, type, dims, placement }: Initializer): Field {
  const head = [packedIntegersField(1, dims), integerField(2, dataTypes[type]), textField(8, name)];
  if (placement.kind === 'inline') return messageField(5, [...head, bytesField(9, placement.bytes)]);
  const entry = (key: string, value: string): Field => messageField(13, [textField(1, key), textField(2, value)]);
  return messageField(5, [
    ...head,
    entry('location', placement.location),
    entry('offset', String(placement.offset)),
    entry('length', String(placement.length)),
    integerField(14, 1),
  ]);
}

function nodeField({ domain, type, inputs, outputs, attributes }: Node): Field {
  return messageField(1, [
    ...inputs.map((input) => textField(1, input)),
    ...outputs.map((name) => textField(2, name)),
    textField(3, `${type} ${outputs[0] ?? ''}`),
    textField(4, type),
    ...Object.entries(attributes).map(([name, value]) => attributeField(name, value)),
    ...(domain === '' ? [] : [textField(7, domain)]),
  ]);
}

function keyOf(graph: string, name: string, recipe: Recipe): string {
  if (recipe.kind === 'computed') return `computed ${graph} ${name}`;
  const { heads } = recipe;
  const widening = heads === undefined ? '' : ` ${heads.axis} ${heads.size} to ${heads.padded}`;
  return `${recipe.kind}${widening} ${recipe.tensors.map((tensor) => tensor.name).join(' ')}`;
}

/** One graph under construction. Every value has one name; a node's inputs must exist before it ('' = an optional input left out). */
export class Graph {
  readonly name: string;
  readonly coarsest: Form;
  readonly weights: Weight[] = [];
  readonly nodes: Node[] = [];
  readonly #inputs: Field[] = [];
  readonly #outputs: Field[] = [];
  readonly #constants: Field[] = [];
  readonly #known = new Set<string>(['']);

  /** @param coarsest the coarsest form that its matrices may be stored in (stored-weights.ts); absent = any */
  constructor(name: string, coarsest: Form = 'rows8') {
    this.name = name;
    this.coarsest = coarsest;
  }

  #define(name: string): string {
    if (this.#known.has(name)) throw new Error(`graph ${this.name}: value ${name} is defined twice`);
    this.#known.add(name);
    return name;
  }

  input(name: string, type: ElementType, dims: readonly Dimension[]): string {
    this.#inputs.push(valueInfo(11, name, type, dims));
    return this.#define(name);
  }

  /** Declares an existing value as an output of the graph. */
  output(name: string, type: ElementType, dims: readonly Dimension[]): void {
    if (!this.#known.has(name)) throw new Error(`graph ${this.name}: output ${name} is not defined`);
    this.#outputs.push(valueInfo(12, name, type, dims));
  }

  /** A small i64 constant, e.g. axes or a shape; `dims` [] is a scalar. */
  integers(name: string, values: readonly number[], dims: readonly number[] = [values.length]): string {
    const bytes = new Uint8Array(BigInt64Array.from(values.map(BigInt)).buffer);
    this.#constants.push(initializerField({ name, type: 'i64', dims, placement: { kind: 'inline', bytes } }));
    return this.#define(name);
  }

  /** An f32 weight; repeated use of one name must mean the same weight. */
  weight(name: string, dims: readonly number[], recipe: Recipe): string {
    this.weights.push({ name, key: keyOf(this.name, name, recipe), dims, recipe });
    return this.#define(name);
  }

  /** Adds a node of domain ai.onnx and returns its first output. */
  op(type: string, inputs: readonly string[], outputs: string | readonly string[], attributes: Record<string, Attribute> = {}): string {
    return this.#node('', type, inputs, outputs, attributes);
  }

  /** Adds a node of domain com.microsoft and returns its first output. */
  contrib(
    type: string,
    inputs: readonly string[],
    outputs: string | readonly string[],
    attributes: Record<string, Attribute> = {},
  ): string {
    return this.#node(MICROSOFT, type, inputs, outputs, attributes);
  }

  #node(
    domain: string,
    type: string,
    inputs: readonly string[],
    outputs: string | readonly string[],
    attributes: Record<string, Attribute>,
  ): string {
    for (const input of inputs) {
      if (!this.#known.has(input)) throw new Error(`graph ${this.name}: ${type} reads ${input}, which is not defined`);
    }
    const names = typeof outputs === 'string' ? [outputs] : outputs;
    for (const name of names) if (name !== '') this.#define(name);
    const first = names[0];
    if (first === undefined) throw new Error(`graph ${this.name}: ${type} has no output`);
    this.nodes.push({ domain, type, inputs, outputs: names, attributes });
    return first;
  }

  /** The ModelProto of `nodes`, which stand for this graph's own, and the tensors that they read. */
  encode(nodes: readonly Node[], stored: readonly Initializer[]): Uint8Array {
    const opset = (domain: string, version: number): Field =>
      messageField(8, [...(domain === '' ? [] : [textField(1, domain)]), integerField(2, version)]);
    const body = [
      ...nodes.map(nodeField),
      textField(2, this.name),
      ...this.#constants,
      ...stored.map(initializerField),
      ...this.#inputs,
      ...this.#outputs,
    ];
    return message([integerField(1, IR_VERSION), textField(2, 'wetread'), messageField(7, body), opset('', OPSET), opset(MICROSOFT, 1)]);
  }
}
