/**
 * One step of the decoder: rows in, log-probability rows and the grown key-value cache out.
 *
 * A cache is never changed: a step gives a new one, so several continuations may start from the same cache. That is how subsets of images
 * share their common beginning.
 */
import { WetreadError } from '#domain/errors.ts';
import type { AxisPositions, Sight } from '#model/encoded.ts';
import type { ModelSizes } from '#model/onnx/sizes.ts';
import { checkFinite } from './finite.ts';
import type { OrtRuntime, OrtSession, OrtValue } from './port.ts';

/** Keys and values of all layers for the first `length` rows. */
export interface Cache {
  readonly length: number;
  readonly values: Readonly<Record<string, OrtValue>>;
}

/** [count, hidden] rows of the decoder's input. */
export interface Rows {
  readonly data: Float32Array;
  readonly count: number;
}

/** What a step must know of its prompt beside the rows. */
export interface Surroundings {
  /** Where the prompt's rows stand on each rotary axis, if that is not their index; read by models of several axes only. */
  readonly positions?: AxisPositions | undefined;
  /** Images that rows see by cross-attention, in prompt order, [visualTokens, mediaWidth] each. */
  readonly media?: { readonly images: readonly Rows[]; readonly sight: Sight } | undefined;
}

export interface Decoder {
  readonly sizes: ModelSizes;
  /** What stands before the first row of a prompt: nothing, or the model's virtual rows. */
  emptyCache(): Cache;
  /**
   * @param positions rows of this step whose logits are wanted, 0 = the first row of `rows`
   * @returns logits [positions, vocab]; empty when no positions were asked for
   * @throws not-finite
   */
  step(
    cache: Cache,
    rows: Rows,
    positions: readonly number[],
    around?: Surroundings,
  ): Promise<{ readonly cache: Cache; readonly logits: Float32Array }>;
  /** Rows of token ids. @throws bundle-invalid for an id outside the table. */
  embed(ids: readonly number[]): Promise<Rows>;
}

/** Rows one after the other. */
export function joinRows(parts: readonly Rows[], hiddenSize: number): Rows {
  const count = parts.reduce((sum, part) => sum + part.count, 0);
  const data = new Float32Array(count * hiddenSize);
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { data, count };
}

function layerNames(layers: number): readonly string[] {
  return Array.from({ length: layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
}

/** [count, length]: the prompt's positions, then one more than the largest and on. */
function positionIds(count: number, length: number, axes: AxisPositions | undefined): number[] {
  const known = axes?.[0]?.length ?? 0;
  const next = (axes ?? []).flat().reduce((most, position) => Math.max(most, position + 1), 0);
  return Array.from({ length: count }, (_, axis) =>
    Array.from({ length }, (__, index) => axes?.[axis]?.[index] ?? next + index - known),
  ).flat();
}

/** The learned keys and values that the embedding graph gives; null = the model has none. @throws bundle-invalid when one is missing */
export async function readVirtualRows(runtime: OrtRuntime, embedding: OrtSession, sizes: ModelSizes): Promise<Cache | null> {
  if (sizes.virtualRows === undefined) return null;
  const names = layerNames(sizes.layers);
  const input = { input_ids: runtime.value(new BigInt64Array(1), [1, 1]) };
  const out = await embedding.run(
    input,
    names.map((name) => `past_key_values.${name}`),
  );
  const values: Record<string, OrtValue> = {};
  for (const name of names) {
    const value = out[`past_key_values.${name}`];
    if (value?.dims[2] !== sizes.virtualRows)
      throw new WetreadError('bundle-invalid', `the embedding graph gives ${value?.dims[2]} virtual rows, ${sizes.virtualRows} expected`);
    values[name] = value;
  }
  return { length: sizes.virtualRows, values };
}

/**
 * Values of the images that `count` rows from `from` on see, `size` each, and for each row the place of its image among them, 0 = none. Where
 * no row sees any, one blank image stands there: the graph needs one.
 */
function seen(
  size: number,
  media: Surroundings['media'],
  from: number,
  count: number,
): { readonly media: Float32Array; readonly times: readonly number[] } {
  const { images = [], sight = { rows: [], after: 0 } } = media ?? {};
  const wanted = Array.from({ length: count }, (_, row) => sight.rows[from + row] ?? sight.after);
  const used = [...new Set(wanted)].filter((time) => time > 0);
  const values = new Float32Array(Math.max(1, used.length) * size);
  for (const [place, time] of used.entries()) values.set(images[time - 1]?.data ?? [], place * size);
  return { media: values, times: wanted.map((time) => used.indexOf(time) + 1) };
}

/** @param start the model's virtual rows; null = a prompt begins with nothing before it */
export function openDecoder(
  runtime: OrtRuntime,
  embedding: OrtSession,
  decoder: OrtSession,
  sizes: ModelSizes,
  start: Cache | null = null,
): Decoder {
  const names = layerNames(sizes.layers);
  const integers = (values: readonly number[], dims: readonly number[]): OrtValue =>
    runtime.value(
      BigInt64Array.from(values, (value) => BigInt(value)),
      dims,
    );
  return {
    sizes,
    emptyCache() {
      if (start !== null) return start;
      const dims = [1, sizes.kvHeads, 0, sizes.headDim];
      return { length: 0, values: Object.fromEntries(names.map((name) => [name, runtime.value(new Float32Array(0), dims)])) };
    },
    async step(cache, rows, positions, around = {}) {
      const length = cache.length + rows.count;
      const feeds: Record<string, OrtValue> = {
        inputs_embeds: runtime.value(rows.data, [1, rows.count, sizes.hiddenSize]),
        ...(sizes.layers === 0 ? {} : { attention_mask: runtime.value(new BigInt64Array(length).fill(1n), [1, length]) }),
        logit_positions: integers(positions, [positions.length]),
      };
      if (sizes.positionAxes !== undefined) {
        feeds.position_ids = integers(positionIds(sizes.positionAxes, length, around.positions), [sizes.positionAxes, length]);
      }
      if (sizes.mediaWidth !== undefined) {
        const { media, times } = seen(sizes.visualTokens * sizes.mediaWidth, around.media, cache.length, rows.count);
        feeds.media = runtime.value(media, [1, media.length / sizes.mediaWidth, sizes.mediaWidth]);
        feeds.media_time = integers(times, [rows.count]);
      }
      for (const [name, value] of Object.entries(cache.values)) feeds[`past_key_values.${name}`] = value;
      const presents = names.map((name) => `present.${name}`);
      const wanted = positions.length > 0;
      const out = await decoder.run(feeds, wanted ? ['logits', ...presents] : presents);
      const values: Record<string, OrtValue> = {};
      for (const name of names) {
        const present = out[`present.${name}`];
        if (present === undefined) throw new WetreadError('internal', `the decoder gave no present.${name}`);
        values[name] = present;
      }
      const logits = out.logits?.read() ?? new Float32Array(0);
      checkFinite(logits, 'logits');
      return { cache: { length, values }, logits };
    },
    async embed(ids) {
      if (ids.length === 0) return { data: new Float32Array(0), count: 0 };
      const rows = sizes.embeddingRows ?? sizes.vocabSize;
      const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= rows);
      if (bad !== undefined) {
        throw new WetreadError('bundle-invalid', `the prompt holds token id ${bad}; the embedding table has rows 0 to ${rows - 1}`);
      }
      const out = await embedding.run({ input_ids: integers(ids, [1, ids.length]) }, ['inputs_embeds']);
      return { data: out.inputs_embeds?.read() ?? new Float32Array(0), count: ids.length };
    },
  };
}
