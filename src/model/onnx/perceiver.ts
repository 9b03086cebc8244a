/**
 * The perceiver resampler of Flamingo: learned latents look at an image's rows and at themselves; what is left of an image are the latents.
 *
 * The surprise: 8 heads of 64 whatever the width is, so attention is 512 wide and width / heads means nothing.
 * Source: lucidrains/flamingo-pytorch, as mlfoundations/open_flamingo 0.0.2 and chaoyi-wu/RadFM have it (helpers.py).
 */
import type { Graph } from './graph.ts';
import { linear, stored } from './layers.ts';

/** Of the resampler and of Flamingo's cross-attention: constants of the authors' code that no shape shows. */
export const flamingoHeads = 8;
const headWidth = 64;
export const flamingoWidth = flamingoHeads * headWidth;

export interface Perceiver {
  /** Of the rows that it sees, and of its own. */
  readonly width: number;
  /** Rows that it gives per image. */
  readonly latents: number;
  readonly layers: number;
  readonly feedForward: number;
}

/** A norm over the last axis of `x`; `from` is its tensors' name without .weight and .bias. */
export type Norm = (graph: Graph, x: string, name: string, from: string) => string;

/** Keys and values of one tensor, side by side in it. */
export function keysAndValues(graph: Graph, x: string, name: string, from: string, into: number): readonly [string, string] {
  const packed = linear(graph, x, name, from, { into, out: 2 * flamingoWidth, bias: false });
  graph.op('Split', [packed], [`${name}.0`, `${name}.1`], { axis: { int: -1 }, num_outputs: { int: 2 } });
  return [`${name}.0`, `${name}.1`];
}

/** Norm, linear, exact GELU, linear, without biases: tensors `from`.0, .1 and .3. */
export function flamingoFeedForward(
  graph: Graph,
  x: string,
  at: string,
  from: string,
  sizes: { readonly width: number; readonly inner: number },
  norm: Norm,
): string {
  const { width, inner } = sizes;
  const normed = norm(graph, x, `${at}.norm`, `${from}.0`);
  const up = linear(graph, normed, `${at}.up`, `${from}.1`, { into: width, out: inner, bias: false });
  const active = graph.op('Gelu', [up], `${at}.active`, { approximate: { text: 'none' } });
  return linear(graph, active, `${at}.down`, `${from}.3`, { into: inner, out: width, bias: false });
}

function resample(graph: Graph, p: Perceiver, layer: number, media: string, latents: string, norm: Norm): string {
  const at = `perceiver.${layer}`;
  const from = `perceiver.layers.${layer}`;
  const { width } = p;
  const seen = norm(graph, media, `${at}.media`, `${from}.0.norm_media`);
  const own = norm(graph, latents, `${at}.latents`, `${from}.0.norm_latents`);
  const query = linear(graph, own, `${at}.query`, `${from}.0.to_q`, { into: width, out: flamingoWidth, bias: false });
  const both = graph.op('Concat', [seen, own], `${at}.both`, { axis: { int: 1 } });
  const [key, value] = keysAndValues(graph, both, `${at}.kv`, `${from}.0.to_kv`, width);
  const context = graph.contrib('MultiHeadAttention', [query, key, value], `${at}.context`, { num_heads: { int: flamingoHeads } });
  const out = linear(graph, context, `${at}.out`, `${from}.0.to_out`, { into: flamingoWidth, out: width, bias: false });
  const middle = graph.op('Add', [out, latents], `${at}.middle`);
  const fed = flamingoFeedForward(graph, middle, at, `${from}.1`, { width, inner: p.feedForward }, norm);
  return graph.op('Add', [fed, middle], `${at}.sum`);
}

/** `media` [images, rows, width] -> [images, latents, width]. The graph has an input pixel_values whose first dimension counts images. */
export function perceive(graph: Graph, p: Perceiver, media: string, norm: Norm): string {
  stored(graph, 'latents', { name: 'perceiver.latents', shape: [p.latents, p.width] }, [1, p.latents, p.width]);
  graph.op('Shape', ['pixel_values'], 'images.count', { end: { int: 1 } });
  graph.op('Concat', ['images.count', graph.integers('latents.rest', [p.latents, p.width])], 'latents.shape', { axis: { int: 0 } });
  let latents = graph.op('Expand', ['latents', 'latents.shape'], 'latents.each');
  for (let layer = 0; layer < p.layers; layer++) latents = resample(graph, p, layer, media, latents, norm);
  return norm(graph, latents, 'perceiver.normed', 'perceiver.norm');
}
