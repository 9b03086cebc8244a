import { expect, test } from 'vitest';
import { clipped, rangeOf, slicePicture } from '#model/nifti/display.ts';
import type { NiftiVolume } from '#model/nifti/volume.ts';

const of = (values: Float32Array, width = values.length): NiftiVolume => ({
  volume: { depth: values.length / width, height: 1, width, values },
  plane: 'axial',
  display: null,
});

test('a few extreme values do not decide the range, in small and in large volumes', () => {
  for (const count of [10_000, 9_000_000]) {
    const values = Float32Array.from({ length: count }, (_, i) => (i % 1000 === 0 ? 1e6 : i % 1000));
    const { low, high, isGuess } = rangeOf(of(values), null);
    // Bins are a 65536th of the whole range wide.
    expect([Math.abs(low - 5) < 20, Math.abs(high - 995) < 20, isGuess]).toEqual([true, true, true]);
  }
});

test('one and the same value everywhere is black, not a fault', () => {
  const constant = of(Float32Array.of(7, 7, 7));
  expect([...slicePicture(constant.volume, 0, rangeOf(constant, null)).pixels]).toEqual([0, 0, 0]);
});

test('a window is black at its lower end and white at its upper one; a volume keeps its values in it', () => {
  const { volume, ...rest } = of(Float32Array.of(-1000, -160, 40, 240, 3000));
  const range = rangeOf({ volume, ...rest }, { center: 40, width: 400 });
  expect([...slicePicture(volume, 0, range).pixels]).toEqual([0, 0, 128, 255, 255]);
  expect([...clipped(volume, range).values]).toEqual([-160, -160, 40, 240, 240]);
});

test('a slice is its own', () => {
  const stack = of(Float32Array.of(0, 0, 255, 255), 2);
  const range = { low: 0, high: 255, origin: '', isGuess: false };
  expect([0, 1].map((slice) => [...slicePicture(stack.volume, slice, range).pixels])).toEqual([
    [0, 0],
    [255, 255],
  ]);
});
