/** What the engine computes on its way, for comparison with reference numbers: every stage of one prompt. */
import { joinRows, type Rows } from './decoder.ts';
import type { Engine, Prepared } from './engine.ts';

export interface Stages {
  /** Encoder rows that the projector sees, images one after the other in prompt order. */
  readonly vision: Float32Array;
  /** Decoder rows of the images, one after the other. */
  readonly features: Float32Array;
  /** [prompt rows, hidden]: the decoder's input after the images were put in. */
  readonly embeds: Float32Array;
  /** [prompt rows, vocab], from one forward over the whole prompt. */
  readonly logits: Float32Array;
  /** [answer tokens, vocab]: the row that each token of `answer` was chosen from. */
  readonly stepLogits: Float32Array;
}

/** @param answer tokens whose step logits are wanted */
export async function inspect(engine: Engine, prepared: Prepared, answer: readonly number[]): Promise<Stages> {
  const { decoder, sizes } = engine;
  const looked: { readonly vision: Float32Array; readonly features: Rows }[] = [];
  for (const place of prepared.places.keys()) looked.push(await engine.look(prepared, place, 'image'));
  const { rows: embeds, around } = await engine.whole(prepared);
  const prompt = await decoder.step(decoder.emptyCache(), embeds, [...Array(embeds.count).keys()], around);
  const steps: Float32Array[] = [prompt.logits.slice(-sizes.vocabSize)];
  let { cache } = prompt;
  for (const id of answer.slice(0, -1)) {
    const step = await decoder.step(cache, await decoder.embed([id]), [0], around);
    cache = step.cache;
    steps.push(step.logits);
  }
  const flat = (parts: readonly Float32Array[]): Float32Array =>
    joinRows(
      parts.map((data) => ({ data, count: data.length })),
      1,
    ).data;
  return {
    vision: flat(looked.map((image) => image.vision)),
    features: flat(looked.map((image) => image.features.data)),
    embeds: embeds.data,
    logits: prompt.logits,
    stepLogits: flat(answer.length === 0 ? [] : steps),
  };
}
