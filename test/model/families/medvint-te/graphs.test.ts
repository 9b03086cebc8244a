/** What the two graphs of the text see: LLaMA no padding, the fusion all of it; and the marks that are no words. */
import { expect, test } from 'vitest';
import { fusionGraph, imageMarkId, paddingId, textGraph } from '#model/families/medvint-te/graphs.ts';
import type { DecoderArchitecture } from '#model/onnx/decoder.ts';
import { offBy, runGraph, valuesOf } from '../../onnx/graph-run.ts';

const text: DecoderArchitecture = {
  hiddenSize: 16,
  intermediateSize: 12,
  heads: 2,
  kvHeads: 2,
  headDim: 8,
  normEpsilon: 1e-6,
  vocabSize: 9,
  maxPositions: 12,
  rotary: { theta: 10_000, scaling: { type: 'none' } },
  windows: [null],
  bias: { qkv: false, out: false, mlp: false },
  tiedHead: false,
};
const fusion = { size: 8, heads: 8, feedForward: 10, blocks: 1, vocabSize: 7 };
const [padding, mark] = [paddingId(text.vocabSize), imageMarkId(text.vocabSize)];

async function rowsOf(ids: readonly number[]) {
  const data = BigInt64Array.from(ids, BigInt);
  const { read, tensors } = await runGraph(textGraph(text, fusion), { input_ids: { data, dims: [1, ids.length] } }, ['inputs_embeds']);
  const rows = read('inputs_embeds').data;
  return { row: (at: number) => [...rows.slice(at * fusion.size, (at + 1) * fusion.size)], mark: [...tensors('image_mark')] };
}

test('a padded place sees the words, and neither padding nor the mark', async () => {
  const short = await rowsOf([1, 4, 2, padding, padding, mark]);
  const long = await rowsOf([1, 4, 2, padding, padding, padding, padding, mark]);
  const other = await rowsOf([1, 5, 2, padding, padding, mark]);
  for (const at of [0, 1, 2, 3, 4]) expect(offBy(short.row(at), long.row(at))).toBeLessThan(1e-6);
  expect(offBy(short.row(4), other.row(4))).toBeGreaterThan(1e-3);
  // Id 0 as a word, the unknown one, is seen.
  const unknown = await rowsOf([1, 4, 2, 0, padding, mark]);
  expect(offBy(unknown.row(4), short.row(4))).toBeGreaterThan(1e-3);
});

test('the row of the mark is the mark itself', async () => {
  const { row, mark: own } = await rowsOf([1, padding, mark]);
  expect(row(2)).toEqual(own);
});

test('every row of the fusion bears on every place, and what comes out are log-probabilities', async () => {
  const count = 6;
  const logits = async (change: number) => {
    const data = valuesOf('rows', count * fusion.size);
    data[data.length - 1] = (data.at(-1) ?? 0) + change;
    const feeds = {
      inputs_embeds: { data, dims: [1, count, fusion.size] },
      logit_positions: { data: BigInt64Array.from([0n, 3n]), dims: [2] },
    };
    return (await runGraph(fusionGraph(fusion), feeds, ['logits'])).read('logits').data;
  };
  const found = await logits(0);
  expect(found.length).toBe(2 * fusion.vocabSize);
  for (const place of [0, 1]) {
    const row = [...found.slice(place * fusion.vocabSize, (place + 1) * fusion.vocabSize)];
    expect(row.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 5);
  }
  expect(offBy(found, [...(await logits(1))])).toBeGreaterThan(1e-3);
});
