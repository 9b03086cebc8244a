/**
 * The check of all names and shapes of a trainer's file, and what it holds twice.
 *
 * The trainer's file holds LLaMA and the queries' last norm under two names each. One is read; where both are there, they must be equal.
 * Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TE/models/llama/vqa_model.py.
 */
import { WetreadError } from '#domain/errors.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import { expectedShapes } from '../../checkpoint/spelling.ts';
import { readRange, type TensorSource } from '../../checkpoint/tensors.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import { type MedvintTe, medvintTeGraphs } from './architecture.ts';
import { spelling } from './spelling.ts';

/** [the name that is read, the other one]. */
const twins: readonly (readonly [string, string])[] = [
  ['text_encoder.base_model.model.', 'llama_model.'],
  ['qformer_decoder.norm.', 'qformer_decoder_norm.'],
];

/** Stored, never used to answer: the pool and the layer that were only built, tables of training, buffers that are computed. */
const dropped = [
  /^image_encoder\.visual\.attnpool\./,
  /^image_encoder\.vision_model\.post_layernorm\./,
  /^qformer_decoder_layer\./,
  /^(positional_embedding|text_projection|logit_scale)$/,
  /\.(rotary_emb\.inv_freq|embeddings\.position_ids|num_batches_tracked)$/,
];

/**
 * Tensors under the names that are read. A value that another name contradicts is refused when it is read.
 * @throws (readF32) checkpoint-tensors naming both tensors and the first difference
 */
export function withoutTwins(source: TensorSource): TensorSource {
  const there = new Set(source.names);
  const other = new Map<string, string>();
  for (const name of source.names) {
    const pair = twins.find(([, second]) => name.startsWith(second));
    if (pair !== undefined) other.set(pair[0] + name.slice(pair[1].length), name);
  }
  const stored = (name: string) => (there.has(name) ? name : (other.get(name) ?? name));
  const seconds = new Set(other.values());
  return {
    names: [...new Set([...source.names.filter((name) => !seconds.has(name)), ...other.keys()])],
    info: (name) => source.info(stored(name)),
    async readF32(name, range) {
      const read = (own: string) => (range === undefined ? source.readF32(own) : readRange(source, own, range));
      const values = await read(stored(name));
      const second = other.get(name);
      if (second === undefined || second === stored(name)) return values;
      const twin = await read(second);
      const at = values.length === twin.length ? values.findIndex((value, i) => !Object.is(value, twin[i])) : 0;
      if (at < 0) return values;
      throw new WetreadError(
        'checkpoint-tensors',
        `${name} and ${second} differ at value ${(range?.from ?? 0) + at}; the authors store one tensor under both names`,
      );
    },
    close: () => source.close(),
  };
}

/** @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part */
export function checkMedvintTeTensors(a: MedvintTe, source: TensorSource): void {
  const expected = expectedShapes(tensorNeeds(medvintTeGraphs(a)).values(), spelling);
  checkTensors(expected, source, (name) => dropped.some((pattern) => pattern.test(name)));
}
