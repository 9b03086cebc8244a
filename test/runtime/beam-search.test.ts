/** The length-averaged rule on a model that is a table: the next token depends on the last one only. */
import { describe, expect, test } from 'vitest';
import { searchBeams } from '#runtime/beam-search.ts';
import type { Decoder } from '#runtime/decoder.ts';
import type { GenerateOptions } from '#runtime/engine.ts';

const stop = 0;

/** Rows of one value, the token; its logits are the logarithms of `table[token]`. The prompt's last token is `prompt`. */
function tableDecoder(table: readonly (readonly number[])[]): Decoder {
  const vocabSize = table.length;
  return {
    sizes: {
      hiddenSize: 1,
      layers: 1,
      kvHeads: 1,
      headDim: 1,
      vocabSize,
      contextTokens: 100,
      visualTokens: 1,
      needs: [],
    },
    emptyCache: () => ({ length: 0, values: {} }),
    async step(cache, rows, positions) {
      const logits = positions.flatMap((at) => (table[rows.data[at] ?? 0] ?? []).map(Math.log));
      return { cache: { ...cache, length: cache.length + rows.count }, logits: Float32Array.from(logits) };
    },
    embed: async (ids) => ({ data: Float32Array.from(ids), count: ids.length }),
  };
}

function search(table: readonly (readonly number[])[], count: number, options: Partial<GenerateOptions> = {}) {
  const decoder = tableDecoder(table);
  const start = { cache: decoder.emptyCache(), last: { data: Float32Array.of(table.length - 1), count: 1 }, around: {} };
  return searchBeams(decoder, start, count, {
    maxNewTokens: 4,
    minNewTokens: 0,
    stopIds: [stop],
    tokenizerSize: table.length,
    ...options,
  });
}

const ids = (beams: Awaited<ReturnType<typeof search>>) => beams.map(({ tokens }) => tokens);

describe('beams compared by the mean of their log-probabilities', () => {
  /** From the prompt (3): 1 is likelier, but after 2 comes a certain end. */
  const table = [
    [1, 0, 0, 0],
    [0.3, 0.3, 0.4, 0],
    [0.98, 0.01, 0.01, 0],
    [0.05, 0.5, 0.45, 0],
  ];

  test('one beam is the greedy answer', async () => {
    expect(ids(await search(table, 1))).toEqual([[1, 2, stop]]);
  });

  test('two beams find an answer whose first step is the worse one, and order all by their mean', async () => {
    const beams = await search(table, 2);
    expect(ids(beams)).toEqual([
      [2, stop],
      [1, 2, stop],
    ]);
    expect(beams[0]?.mean).toBeCloseTo((Math.log(0.45) + Math.log(0.98)) / 2, 6);
    expect(beams[1]?.mean).toBeCloseTo((Math.log(0.5) + Math.log(0.4) + Math.log(0.98)) / 3, 6);
    expect(beams.every((beam) => beam.isStopped)).toBe(true);
  });

  test('a stopped beam keeps its mean and is pushed out by longer ones that are likelier per token', async () => {
    const long = [
      [1, 0, 0, 0],
      [0.01, 0.99, 0, 0],
      [0.01, 0, 0.99, 0],
      [0.4, 0.31, 0.29, 0],
    ];
    expect(ids(await search(long, 2, { maxNewTokens: 1 }))).toEqual([[stop], [1]]);
    expect(ids(await search(long, 3))).toEqual([[1, 1, 1, 1], [2, 2, 2, 2], [stop]]);
    expect(ids(await search(long, 2, { maxNewTokens: 3 }))[0]).toEqual([1, 1, 1]);
  });

  test('the limit ends the search; what had not stopped says so, and every step is told', async () => {
    let steps = 0;
    const beams = await search(table, 2, { maxNewTokens: 2, onStep: () => steps++ });
    expect(steps).toBe(2);
    expect(beams.map(({ tokens, isStopped }) => [tokens, isStopped])).toEqual([
      [[2, stop], true],
      [[1, 2], false],
    ]);
  });

  test('rules of an answer’s beginning and rows beyond the tokenizer hold for every beam', async () => {
    expect(ids(await search(table, 2, { minNewTokens: 2, maxNewTokens: 2 })).flat()).not.toContain(stop);
    expect(ids(await search(table, 3, { firstIds: [2], maxNewTokens: 1 }))).toEqual([[2]]);
    expect(ids(await search(table, 4, { tokenizerSize: 2, maxNewTokens: 1 }))).toEqual([[1], [stop]]);
  });

  test('numbers that are none are an error', async () => {
    const bad = table.map((row) => row.map(() => Number.NaN));
    await expect(search(bad, 2)).rejects.toMatchObject({ code: 'not-finite', message: expect.stringContaining('new token 1') });
    const mixed = [...table.slice(0, 3), [0.5, 0.5, Number.NaN, 0]];
    await expect(search(mixed, 2)).rejects.toMatchObject({ code: 'not-finite' });
  });
});
