import fc from 'fast-check';
import { expect, test } from 'vitest';
import { repeatedPeriod } from '#runtime/repetition.ts';

test('a sequence that fills 48 tokens at least four times over is found with its period, whatever stood before', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.nat(), { minLength: 1, maxLength: 40 }), fc.array(fc.nat()), (round, before) => {
      const times = Math.max(4, Math.ceil(48 / round.length));
      const tokens = [...before, ...Array.from({ length: times }, () => round).flat()];
      expect(repeatedPeriod(tokens)).toBe(round.length);
    }),
  );
});

test('a list of alike findings is no repetition', () => {
  const line = [1, 2, 3, 4, 5, 6, 7];
  expect(repeatedPeriod([...line, ...line, ...line])).toBeNull();
  expect(repeatedPeriod(new Array<number>(40).fill(9))).toBeNull();
  expect(repeatedPeriod(Array.from({ length: 400 }, (_, i) => (i * i) % 397))).toBeNull();
  expect(repeatedPeriod([])).toBeNull();
});
