/**
 * Flamingo's gated cross-attention: before some layers of the decoder every row looks at the rows of the one image that it sees, then a second
 * feed-forward; tanh of a learned gate says how much of each is added.
 *
 * A row that sees no image gets exactly 0 from the attention, and the feed-forward still runs. Which image a row sees is the caller's to say.
 * Source: mlfoundations/open_flamingo 0.0.2, helpers.py and flamingo_lm.py.
 */
import type { BeforeLayer } from '../../onnx/decoder.ts';
import type { Graph } from '../../onnx/graph.ts';
import { layerNorm, linear, stored } from '../../onnx/layers.ts';
import { flamingoFeedForward, flamingoHeads, flamingoWidth, keysAndValues } from '../../onnx/perceiver.ts';

export interface GatedLayer {
  /** The decoder's layer before which it stands. */
  readonly layer: number;
  readonly feedForward: number;
}

export interface CrossAttention {
  /** Width of a row of an image. */
  readonly mediaWidth: number;
  /** Rows per image. */
  readonly mediaRows: number;
  /** Width of the decoder's rows. */
  readonly hiddenSize: number;
  readonly layers: readonly GatedLayer[];
}

const normEpsilon = 1e-5;
const FLOAT = 1;
/** Far below any score: a hidden key's weight is exactly zero. */
const HIDDEN = -1e30;

function constant(graph: Graph, name: string, value: number): string {
  return graph.weight(name, [1], { kind: 'computed', values: () => Float32Array.of(value) });
}

/**
 * Inputs media [1, images x mediaRows, mediaWidth] and media_time i64 [sequence]: which of these images a row sees, 1 = the first, 0 = none.
 * Gives `media.bias` [1, 1, sequence, images x mediaRows], an addend of the scores, and `media.any` [sequence, 1], 0 where a row sees none.
 */
function shared(graph: Graph, a: CrossAttention): void {
  graph.input('media', 'f32', [1, 'media_rows', a.mediaWidth]);
  graph.input('media_time', 'i64', ['sequence_length']);
  graph.integers('media.zero', [0], []);
  graph.integers('media.one', [1], []);
  graph.op('Gather', [graph.op('Shape', ['media'], 'media.shape'), 'media.one'], 'media.count', { axis: { int: 0 } });
  graph.op('Range', ['media.zero', 'media.count', 'media.one'], 'media.indices');
  graph.op('Div', ['media.indices', graph.integers('media.each', [a.mediaRows])], 'media.places');
  graph.op('Add', ['media.places', 'media.one'], 'media.owners');
  graph.op('Unsqueeze', ['media_time', graph.integers('media.column', [1])], 'media.times');
  graph.op('Equal', ['media.times', 'media.owners'], 'media.seen');
  const [shown, hidden] = [constant(graph, 'media.shown', 0), constant(graph, 'media.hidden', HIDDEN)];
  graph.op('Where', ['media.seen', shown, hidden], 'media.mask');
  graph.op('Unsqueeze', ['media.mask', graph.integers('media.outer', [0, 1])], 'media.bias');
  graph.op('Cast', [graph.op('Greater', ['media.times', 'media.zero'], 'media.some')], 'media.any', { to: { int: FLOAT } });
}

function gated(graph: Graph, x: string, added: string, at: string, from: string): string {
  const gate = graph.op('Tanh', [stored(graph, `${at}.gate`, { name: from, shape: [1] })], `${at}.share`);
  return graph.op('Add', [x, graph.op('Mul', [added, gate], `${at}.added`)], `${at}.sum`);
}

function block(graph: Graph, a: CrossAttention, { layer, feedForward }: GatedLayer, x: string): string {
  const at = `gated.${layer}`;
  const width = a.hiddenSize;
  const norm = (within: Graph, rows: string, name: string, from: string) =>
    layerNorm(within, rows, name, from, { size: width, epsilon: normEpsilon });
  const normed = norm(graph, x, `${at}.normed`, `${at}.attn.norm`);
  const query = linear(graph, normed, `${at}.query`, `${at}.attn.to_q`, { into: width, out: flamingoWidth, bias: false });
  const [key, value] = keysAndValues(graph, 'media', `${at}.kv`, `${at}.attn.to_kv`, a.mediaWidth);
  const heads = { num_heads: { int: flamingoHeads } };
  const context = graph.contrib('MultiHeadAttention', [query, key, value, '', '', 'media.bias'], `${at}.context`, heads);
  const seen = graph.op('Mul', [context, 'media.any'], `${at}.seen`);
  const out = linear(graph, seen, `${at}.out`, `${at}.attn.to_out`, { into: flamingoWidth, out: width, bias: false });
  const attended = gated(graph, x, out, `${at}.attended`, `${at}.attn_gate`);
  const fed = flamingoFeedForward(graph, attended, `${at}.ff`, `${at}.ff`, { width, inner: feedForward }, norm);
  return gated(graph, attended, fed, `${at}.fed`, `${at}.ff_gate`);
}

/** What stands before the decoder's layers. */
export function crossAttention(a: CrossAttention): (graph: Graph) => BeforeLayer {
  const blocks = new Map(a.layers.map((each) => [each.layer, each]));
  return (graph) => {
    shared(graph, a);
    return (within, layer, rows) => {
      const each = blocks.get(layer);
      return each === undefined ? rows : block(within, a, each, rows);
    };
  };
}
