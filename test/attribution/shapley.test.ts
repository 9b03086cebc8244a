import { globSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { allOf, allSubsets, keepOf, keepOneIn, leaveOneOut, noneOf, shapley, subsetOf } from '#attribution/shapley.ts';
import { available, sharedPath } from '../setup/require.ts';

test('subsets come so that neighbours share as many first images as possible', () => {
  expect(allSubsets(2)).toEqual(['11', '10', '01', '00']);
  const subsets = allSubsets(4);
  for (let length = 1; length <= 4; length++) {
    const prefixes = subsets.map((subset) => subset.slice(0, length));
    const runs = prefixes.filter((prefix, at) => prefix !== prefixes[at - 1]);
    expect(new Set(runs).size, 'each prefix is one run').toBe(runs.length);
  }
});

test('a subset and its flags are the same thing', () => {
  fc.assert(
    fc.property(fc.array(fc.boolean()), (keep) => {
      expect(keepOf(subsetOf(keep))).toEqual(keep);
    }),
  );
});

const game = fc.integer({ min: 1, max: 4 }).chain((images) =>
  fc.array(fc.double({ min: -50, max: 0, noNaN: true }), { minLength: 2 ** images, maxLength: 2 ** images }).map((values) => {
    const table = new Map(allSubsets(images).map((subset, at) => [subset, values[at] ?? 0]));
    return { images, value: (subset: string) => table.get(subset) ?? Number.NaN };
  }),
);

describe('for any values', () => {
  test('Shapley values sum to v(all) - v(none)', () => {
    fc.assert(
      fc.property(game, ({ images, value }) => {
        const sum = shapley(images, value).reduce((a, b) => a + b, 0);
        expect(sum).toBeCloseTo(value(allOf(images)) - value(noneOf(images)), 9);
      }),
    );
  });
  test('they permute when the images do', () => {
    fc.assert(
      fc.property(game, fc.infiniteStream(fc.nat()), ({ images, value }, numbers) => {
        const order = Array.from({ length: images }, (_, image) => ({ image, by: numbers.next().value }))
          .sort((a, b) => a.by - b.by)
          .map(({ image }) => image);
        const permuted = (subset: string) => value(Array.from({ length: images }, (_, image) => subset[order.indexOf(image)]).join(''));
        const [before, after] = [shapley(images, value), shapley(images, permuted)];
        for (const [at, image] of order.entries()) expect(after[at]).toBeCloseTo(before[image] ?? Number.NaN, 9);
      }),
    );
  });
  test('an image that changes nothing gets nothing', () => {
    fc.assert(
      fc.property(game, ({ images, value }) => {
        const deaf = (subset: string) => value(`0${subset.slice(1)}`);
        expect(shapley(images, deaf)[0]).toBeCloseTo(0, 12);
        expect(leaveOneOut(images, deaf)[0]).toBe(0);
      }),
    );
  });
});

describe.skipIf(!available('shared'))('golden tables', () => {
  const files = globSync(sharedPath('golden/*/*/cases/*.json'));
  const cases = files.flatMap((file) => {
    const { score } = JSON.parse(readFileSync(file, 'utf8'));
    return score === undefined ? [] : [{ name: file.split('/').slice(-4).join('/'), score }];
  });
  test('are there', () => expect(cases.length).toBeGreaterThan(10));
  test.each(cases)('$name: Shapley, leave-one-out and keep-one-in follow from the table', ({ score }) => {
    let checked = 0;
    for (const name of ['black', 'mean']) {
      const table: Record<string, number> | undefined = score[`null_${name}`];
      if (table === undefined) continue;
      const value = (subset: string) => table[subset] ?? Number.NaN;
      for (const [key, method] of [
        ['shapley', shapley],
        ['leave_one_out', leaveOneOut],
        ['keep_one_in', keepOneIn],
      ] as const) {
        const expected: number[] | undefined = score[`${key}_${name}`];
        if (expected === undefined) continue;
        const found = method(score.images, value);
        for (const [image, one] of expected.entries())
          expect(Math.abs((found[image] ?? Number.NaN) - one)).toBeLessThan(1e-5 * Math.max(1, Math.abs(one)));
        checked++;
      }
    }
    expect(checked).toBeGreaterThan(0);
  });
});
