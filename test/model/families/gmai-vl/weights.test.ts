import { describe, expect, test } from 'vitest';
import { unpack } from '#model/families/gmai-vl/weights.ts';

/** Two key-value heads, each shared by two query heads; a head has two rows, a row `columns` values that say which row it is. */
const sizes = { heads: 4, kvHeads: 2, headDim: 2 };
const rows = (indices: readonly number[], columns: number): number[] =>
  indices.flatMap((row) => Array.from({ length: columns }, (_, column) => 10 * row + column));
const packed = (columns: number) => Float32Array.from(rows([...Array(16).keys()], columns));

describe.each([3, 1])('packed rows of %i columns', (columns) => {
  test.each([
    ['q', [0, 1, 2, 3, 8, 9, 10, 11]],
    ['k', [4, 5, 12, 13]],
    ['v', [6, 7, 14, 15]],
  ] as const)('%s: the rows of each group, in the order of the groups', (part, expected) => {
    expect([...unpack(packed(columns), part, sizes)]).toEqual(rows(expected, columns));
  });
});

test('without grouping each head has its own query, key and value', () => {
  const alone = { heads: 2, kvHeads: 2, headDim: 1 };
  const values = Float32Array.of(1, 2, 3, 4, 5, 6);
  expect([[...unpack(values, 'q', alone)], [...unpack(values, 'k', alone)], [...unpack(values, 'v', alone)]]).toEqual([
    [1, 4],
    [2, 5],
    [3, 6],
  ]);
});
