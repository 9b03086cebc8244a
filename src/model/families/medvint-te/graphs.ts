/**
 * MedVInT-TE as three graphs: the picture's queries, the padded text through LLaMA, and the fusion blocks that read each place's token off.
 *
 * Fusion has no mask: padded places take part in it, so the answer depends on padding to the whole length. LLaMA itself does not see padding.
 * Two rows below the vocabulary stand for what is no word: padding, and the mark between text and picture.
 * Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TE/models/llama/vqa_model.py.
 */
import { type DecoderArchitecture, textRows } from '../../onnx/decoder.ts';
import { Graph } from '../../onnx/graph.ts';
import { linear, stored } from '../../onnx/layers.ts';
import { block } from '../../onnx/vision-transformer.ts';

export interface Fusion {
  readonly size: number;
  readonly heads: number;
  readonly feedForward: number;
  readonly blocks: number;
  /** Tokens of the head, which is a table of its own. */
  readonly vocabSize: number;
}

/** torch.nn.LayerNorm's own. */
const normEpsilon = 1e-5;
/** TensorProto.DataType of f32. */
const FLOAT = 1;

/** Ids that are no words: the rows below the vocabulary. */
export const paddingId = (vocabSize: number): number => vocabSize;
export const imageMarkId = (vocabSize: number): number => vocabSize + 1;
export const marks = 2;

/** input_ids i64 [1, places + 1], words, then padding, then the mark -> inputs_embeds [1, places + 1, fusion.size]. */
export function textGraph(text: DecoderArchitecture, fusion: Fusion): Graph {
  const { vocabSize, hiddenSize } = text;
  const graph = new Graph('embedding');
  const ids = graph.input('input_ids', 'i64', [1, 'sequence_length']);
  stored(graph, 'embed_tokens', { name: 'decoder.embed_tokens.weight', shape: [vocabSize, hiddenSize] });
  graph.integers('vocabulary', [vocabSize]);
  graph.op('GreaterOrEqual', [ids, 'vocabulary'], 'is_mark');
  // Padding is id 0 to the model; nothing sees the row of the mark.
  graph.op('Where', ['is_mark', graph.integers('padding', [0]), ids], 'words');
  const rows = graph.op('Gather', ['embed_tokens', 'words'], 'rows', { axis: { int: 0 } });
  graph.op('Cast', ['is_mark'], 'hidden.batch', { to: { int: FLOAT } });
  graph.op('Squeeze', ['hidden.batch', graph.integers('axis0', [0])], 'hidden');
  const known = textRows(graph, text, rows, 'hidden');
  const embedded = linear(graph, known, 'text.embedded', 'text_embed', { into: hiddenSize, out: fusion.size });
  stored(graph, 'image_mark', { name: 'image_mark', shape: [1, 1, fusion.size] });
  graph.op('Equal', [ids, graph.integers('image_mark.id', [imageMarkId(vocabSize)])], 'is_image_mark.flat');
  graph.op('Unsqueeze', ['is_image_mark.flat', graph.integers('axis2', [2])], 'is_image_mark');
  graph.op('Where', ['is_image_mark', 'image_mark', embedded], 'inputs_embeds');
  graph.output('inputs_embeds', 'f32', [1, 'sequence_length', fusion.size]);
  return graph;
}

/** x less the logarithm of the sum of its exponentials, over the last axis. */
function logSoftmax(graph: Graph, x: string, name: string): void {
  graph.integers(`${name}.axis`, [-1]);
  graph.op('ReduceMax', [x, `${name}.axis`], `${name}.largest`);
  graph.op('Sub', [x, `${name}.largest`], `${name}.below`);
  graph.op('Exp', [`${name}.below`], `${name}.shares`);
  graph.op('ReduceSum', [`${name}.shares`, `${name}.axis`], `${name}.sum`);
  graph.op('Log', [`${name}.sum`], `${name}.log`);
  graph.op('Sub', [`${name}.below`, `${name}.log`], name);
}

/**
 * inputs_embeds [1, places + 1 + queries, size], logit_positions i64 [count] -> logits [1, count, vocabSize]: log-probabilities of the token AT
 * each named place, not of the next one.
 */
export function fusionGraph(a: Fusion): Graph {
  const graph = new Graph('decoder');
  let x = graph.input('inputs_embeds', 'f32', ['batch_size', 'sequence_length', a.size]);
  graph.input('logit_positions', 'i64', ['logit_count']);
  const sizes = { hiddenSize: a.size, intermediateSize: a.feedForward, heads: a.heads, activation: 'gelu', normEpsilon } as const;
  for (let n = 0; n < a.blocks; n++) x = block(graph, sizes, `fusion.${n}`, `fusion.${n}`, x);
  graph.op('Gather', [x, 'logit_positions'], 'head.rows', { axis: { int: 1 } });
  stored(graph, 'head.projection', { name: 'head.projection', shape: [a.size, a.vocabSize] });
  graph.op('MatMul', ['head.rows', 'head.projection'], 'head.product');
  logSoftmax(graph, 'head.product', 'logits');
  graph.output('logits', 'f32', ['batch_size', 'logit_count', a.vocabSize]);
  return graph;
}
