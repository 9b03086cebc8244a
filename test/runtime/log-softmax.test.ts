import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bestId, logProbability } from '#runtime/log-softmax.ts';

const logits = fc.array(fc.float({ min: -50, max: 50, noNaN: true }), { minLength: 2, maxLength: 40 });

test('the probabilities of a row sum to one, and the best id has the largest', () => {
  fc.assert(
    fc.property(logits, (row) => {
      const values = Float32Array.from([...row, ...row]);
      const all = row.map((_, id) => logProbability(values, 1, row.length, id));
      expect(all.reduce((sum, value) => sum + Math.exp(value), 0)).toBeCloseTo(1, 9);
      expect(all[bestId(values, 1, row.length, row.length, () => true)]).toBe(Math.max(...all));
    }),
  );
});

test('a NaN anywhere in the row makes every probability NaN, and is never the best id', () => {
  const row = Float32Array.of(1, Number.NaN, 3);
  expect(logProbability(row, 0, 3, 0)).toBeNaN();
  expect(bestId(row, 0, 3, 3, () => true)).toBe(2);
  expect(bestId(new Float32Array(3).fill(Number.NaN), 0, 3, 3, () => true)).toBe(-1);
});

test('ids at the limit and above, and forbidden ones, are passed over', () => {
  const row = Float32Array.of(1, 2, 3, 4);
  expect(bestId(row, 0, 4, 3, (id) => id !== 2)).toBe(1);
});
