/**
 * The authors' tensor names in ours, the check of all names and shapes, and the embedding with the two rows of the image marks below it.
 *
 * A checkpoint holds the embedding under two names on one storage, and whole parts that only training used: those are dropped by name.
 * Source: chaoyi-wu/RadFM, Quick_demo/Model/RadFM/my_embedding_layer.py.
 */
import { WetreadError } from '#domain/errors.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import { type Range, readRange, type TensorSource } from '../../checkpoint/tensors.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import type { ReadTensor } from '../../onnx/layout.ts';
import { imageMarks, type RadfmArchitecture, radfmGraphs } from './architecture.ts';

/** [our prefix, the authors']. */
const prefixes: readonly (readonly [string, string])[] = [
  ['vision.', 'embedding_layer.vision_encoder.'],
  ['perceiver.', 'embedding_layer.perceiver.'],
  ['fc.', 'embedding_layer.fc.'],
  ['head.', 'lang_model.lm_head.'],
  ['decoder.', 'lang_model.model.'],
];

const ourEmbedding = 'decoder.embed_tokens.weight';
/** What prompts are looked up in; the decoder's own name is for the tokens that it writes. */
const words = 'embedding_layer.weight';
const marks = 'embedding_layer.figure_token_weight';
const sameWords = 'lang_model.model.embed_tokens.weight';

/** Stored, never used to answer: the text encoder and heads of training, buffers that are computed. */
const dropped = [
  /^embedding_layer\.bert_model\./,
  /^embedding_layer\.bert_projection_fc\./,
  /^embedding_layer\.transformer_decoder\./,
  /^embedding_layer\.transformer_decoder_mlp\./,
  /^embedding_layer\.cls_head\./,
  /^embedding_layer\.output_upscaling\./,
  /\.rotary_emb\.inv_freq$/,
];

function theirs(ours: string): string {
  const entry = prefixes.find(([prefix]) => ours.startsWith(prefix));
  return entry === undefined ? ours : entry[1] + ours.slice(entry[0].length);
}

/** The authors' names with the shapes that they must have. */
function expectedShapes(a: RadfmArchitecture): ReadonlyMap<string, readonly number[]> {
  const { vocabSize, hiddenSize } = a.decoder;
  const expected = new Map<string, readonly number[]>([
    [words, [vocabSize, hiddenSize]],
    [marks, [imageMarks, hiddenSize]],
    [sameWords, [vocabSize, hiddenSize]],
  ]);
  for (const need of tensorNeeds(radfmGraphs(a)).values()) if (need.name !== ourEmbedding) expected.set(theirs(need.name), need.shape);
  return expected;
}

/** @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part */
export function checkRadfmTensors(a: RadfmArchitecture, source: TensorSource): void {
  checkTensors(expectedShapes(a), source, (name) => dropped.some((pattern) => pattern.test(name)));
}

/** The words, then the marks around images. @throws checkpoint-tensors when the decoder's own embedding is not the one that prompts are looked up in */
async function embeddingRows(source: TensorSource, range?: Range): Promise<Float32Array> {
  const size = (name: string) => source.info(name).shape.reduce((product, dim) => product * dim, 1);
  const inWords = size(words);
  const { from, to } = range ?? { from: 0, to: inWords + size(marks) };
  const rows = new Float32Array(to - from);
  const part = { from: Math.min(from, inWords), to: Math.min(to, inWords) };
  if (part.to > part.from) {
    const [table, own] = [await readRange(source, words, part), await readRange(source, sameWords, part)];
    const at = table.findIndex((value, i) => !Object.is(value, own[i]));
    if (at >= 0) {
      throw new WetreadError(
        'checkpoint-tensors',
        `${words} and ${sameWords} differ at value ${part.from + at}; the authors store one table under both names`,
      );
    }
    rows.set(table);
  }
  const rest = { from: Math.max(from - inWords, 0), to: to - inWords };
  if (rest.to > rest.from) rows.set(await readRange(source, marks, rest), rows.length - (rest.to - rest.from));
  return rows;
}

/** Values by our name. */
export function reader(source: TensorSource): ReadTensor {
  return (ours, range) => (ours === ourEmbedding ? embeddingRows(source, range) : source.readF32(theirs(ours), range));
}
