/**
 * Layers that graphs are made of: linear, norm, activation and full attention, each with its weights by our names.
 *
 * A linear layer's [out, in] tensor lies transposed in the bundle, because that is the layout that is fast to multiply by.
 */
import type { Graph, TensorNeed } from './graph.ts';

/** Those that a config of a tower or projector may name. */
export const activations = ['quick_gelu', 'gelu', 'gelu_pytorch_tanh'] as const;
export type Activation = (typeof activations)[number] | 'relu' | 'tanh';

export function stored(graph: Graph, name: string, need: TensorNeed, dims = need.shape): string {
  return graph.weight(name, dims, { kind: 'stored', tensors: [need] });
}

export interface LinearSizes {
  readonly into: number;
  readonly out: number;
  /** Absent = with a bias. */
  readonly bias?: boolean;
}

/** x [.., into] -> [.., out]; `from` is the tensors' name without .weight and .bias. */
export function linear(graph: Graph, x: string, name: string, from: string, { into, out, bias = true }: LinearSizes): string {
  const weight = graph.weight(`${name}.weight`, [into, out], {
    kind: 'transposed',
    tensors: [{ name: `${from}.weight`, shape: [out, into] }],
  });
  if (!bias) return graph.op('MatMul', [x, weight], name);
  const offset = stored(graph, `${name}.bias`, { name: `${from}.bias`, shape: [out] });
  return graph.op('Add', [graph.op('MatMul', [x, weight], `${name}.product`), offset], name);
}

/** Norm over the last axis, with scale and offset. */
export function layerNorm(
  graph: Graph,
  x: string,
  name: string,
  from: string,
  { size, epsilon }: { readonly size: number; readonly epsilon: number },
): string {
  const scale = stored(graph, `${name}.scale`, { name: `${from}.weight`, shape: [size] });
  const offset = stored(graph, `${name}.offset`, { name: `${from}.bias`, shape: [size] });
  return graph.op('LayerNormalization', [x, scale, offset], name, { axis: { int: -1 }, epsilon: { float: epsilon } });
}

export function activate(graph: Graph, kind: Activation, x: string, name: string): string {
  if (kind === 'relu') return graph.op('Relu', [x], name);
  if (kind === 'tanh') return graph.op('Tanh', [x], name);
  if (kind === 'quick_gelu') return graph.contrib('QuickGelu', [x], name, { alpha: { float: 1.702 } });
  return graph.op('Gelu', [x], name, { approximate: { text: kind === 'gelu' ? 'none' : 'tanh' } });
}

/**
 * Full attention of the rows `x` [batch, rows, size] on the rows `seen` [batch, .., size]; no row is hidden.
 * Tensors: `from`.q_proj, .k_proj, .v_proj and .out_proj, each with a bias; with `bias` false the first three have none.
 */
export function attention(
  graph: Graph,
  name: string,
  from: string,
  { size, heads, bias = true }: { readonly size: number; readonly heads: number; readonly bias?: boolean },
  x: string,
  seen: string,
): string {
  const apart = (['q', 'k', 'v'] as const).map((part) => {
    const weight = graph.weight(`${name}.${part}.weight`, [size, size], {
      kind: 'transposed',
      tensors: [{ name: `${from}.${part}_proj.weight`, shape: [size, size] }],
    });
    return graph.op('MatMul', [part === 'q' ? x : seen, weight], `${name}.${part}`);
  });
  const tensors = ['q', 'k', 'v'].map((part) => ({ name: `${from}.${part}_proj.bias`, shape: [size] }));
  const offsets = bias ? [graph.weight(`${name}.bias`, [3 * size], { kind: 'stored', tensors })] : [];
  const context = graph.contrib('MultiHeadAttention', [...apart, ...offsets], `${name}.context`, { num_heads: { int: heads } });
  return linear(graph, context, `${name}.out`, `${from}.out_proj`, { into: size, out: size });
}
