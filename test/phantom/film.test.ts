import { describe, expect, it } from 'vitest';
import { findingNames } from '#domain/finding.ts';
import { anatomyOf } from '#phantom/anatomy.ts';
import { mapSize } from '#phantom/field.ts';
import { type Film, renderFilm } from '#phantom/film.ts';
import { type Lesion, makeLesion } from '#phantom/lesion.ts';
import { randomOf } from '#phantom/random.ts';

const size = 256;
const anatomy = anatomyOf('film test', false);

function film(lesions: readonly Lesion[], seed = 'pose one'): Film {
  return renderFilm({ anatomy, lesions, seed, size });
}

function lesion(finding: (typeof findingNames)[number], side: 'left' | 'right'): Lesion {
  return { ...makeLesion(anatomy, randomOf(`lesion ${finding} ${side}`), finding, side, 'middle'), size: 0.9 };
}

/** Share of the total absolute difference that lies in each half of the image: [left half, right half]. */
function differenceByHalf(a: Film, b: Film): readonly [number, number] {
  const sums: [number, number] = [0, 0];
  a.pixels.forEach((value, at) => {
    sums[at % size < size / 2 ? 0 : 1] += Math.abs(value - (b.pixels[at] ?? 0));
  });
  const total = sums[0] + sums[1];
  return [sums[0] / total, sums[1] / total];
}

describe('a synthetic film', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(film([]).pixels).toEqual(film([]).pixels);
    expect(film([]).pixels).not.toEqual(film([], 'pose two').pixels);
  });

  it('has 12-bit values that use the range: air dark, abdomen bright', () => {
    const { pixels } = film([]);
    expect(Math.max(...pixels)).toBeLessThanOrEqual(4095);
    const sorted = [...pixels].sort((a, b) => a - b);
    expect(sorted[Math.floor(pixels.length * 0.05)]).toBeLessThan(400);
    expect(sorted[Math.floor(pixels.length * 0.9)]).toBeGreaterThan(2200);
  });

  it('differs from the healthy film where the lesion is and nowhere else', () => {
    const healthy = film([]);
    for (const finding of findingNames.filter((name) => name !== 'cardiomegaly')) {
      for (const side of ['left', 'right'] as const) {
        const halves = differenceByHalf(film([lesion(finding, side)]), healthy);
        // The patient's left is at the image's right, as films are hung.
        expect(halves[side === 'left' ? 1 : 0], `${finding} ${side}`).toBeGreaterThan(0.97);
      }
    }
  });

  it('maps each lesion into its own kind, on its own side', () => {
    for (const [kind, finding] of findingNames.entries()) {
      if (finding === 'cardiomegaly') continue;
      const { map } = film([lesion(finding, 'left')]);
      const cells = [...map.entries()].filter(([, share]) => share > 0.3).map(([at]) => at);
      expect(cells.length, finding).toBeGreaterThan(0);
      for (const cell of cells) {
        expect(Math.floor(cell / (mapSize * mapSize))).toBe(kind);
        expect(cell % mapSize, finding).toBeGreaterThanOrEqual(mapSize / 2 - 1);
      }
    }
  });

  it('widens the heart for cardiomegaly', () => {
    const wide = film([lesion('cardiomegaly', 'left')]);
    const narrow = film([]);
    const row = Math.round(size * 0.62);
    const bright = (one: Film): number => one.pixels.subarray(row * size, (row + 1) * size).filter((value) => value > 2000).length;
    expect(bright(wide) - bright(narrow)).toBeGreaterThan(size * 0.08);
  });
});
