/**
 * The authors' tensor names in ours, and the check of all names and shapes of trained part, base and tower together.
 *
 * The head has no rows for the tokens that were added: the authors' code draws them anew at every start and saves them nowhere. Here they are 0,
 * so those tokens have the logit 0. Source: mlfoundations/open_flamingo 0.0.2, factory.py (resize_token_embeddings) and train_utils.py.
 */
import { checkTensors } from '../../checkpoint/misfit.ts';
import { expectedShapes, type Spelling, speltReader } from '../../checkpoint/spelling.ts';
import { readRange, type TensorSource } from '../../checkpoint/tensors.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import type { ReadTensor } from '../../onnx/layout.ts';
import { openaiClipRest, openaiClipSpelling } from '../openai-clip.ts';
import { embedding, type FlamingoArchitecture, flamingoGraphs, head } from './architecture.ts';
import type { TowerForm } from './open-clip.ts';

const own: Spelling = [
  [/^gated\./, 'lang_encoder.gated_cross_attn_layers.'],
  [/^decoder\.embed_tokens\.weight$/, embedding],
  [/^decoder\./, 'model.'],
  [/^head\.weight$/, head],
];
const towerSpelling: Readonly<Record<TowerForm['kind'], Spelling>> = {
  openai: openaiClipSpelling,
  hf: [[/^vision\./, 'vision_model.']],
};

/** The base's embedding, which the trained one replaces; buffers; what of CLIP is not the last block's rows. */
const ignorable: readonly RegExp[] = [
  /^model\.embed_tokens\.weight$/,
  /\.rotary_emb\.inv_freq$/,
  openaiClipRest,
  /^visual\.(ln_post\.|proj$)/,
  /^(text_model|visual_projection)\./,
  /^text_projection\.weight$/,
  /^vision_model\.(post_layernorm\.|embeddings\.position_ids$)/,
];

/**
 * Values by our name, once every name and shape was found to fit.
 * @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part
 */
export function resolvedReader(a: FlamingoArchitecture, form: TowerForm['kind'], source: TensorSource): ReadTensor {
  const spelling = [...own, ...towerSpelling[form]];
  const expected = expectedShapes(tensorNeeds(flamingoGraphs(a)).values(), spelling);
  const { hiddenSize, vocabSize, tiedHead } = a.decoder;
  if (!tiedHead) expected.set(head, [a.headRows, hiddenSize]);
  // A head that a tied base stores too, and a tower inside the trained file where another one is read.
  const more = [...(tiedHead ? [/^lm_head\.weight$/] : []), ...(form === 'hf' ? [/^visual\./] : [])];
  checkTensors(expected, source, (name) => [...ignorable, ...more].some((pattern) => pattern.test(name)));
  const read = speltReader(source, spelling);
  return async (ours, range) => {
    if (ours !== 'head.weight' || a.headRows === vocabSize) return await read(ours);
    const stored = a.headRows * hiddenSize;
    const { from, to } = range ?? { from: 0, to: vocabSize * hiddenSize };
    const values = new Float32Array(to - from);
    if (from < stored) values.set(await readRange(source, head, { from, to: Math.min(to, stored) }));
    return values;
  };
}
