import { describe, expect, test } from 'vitest';
import type { RawVolume } from '#model/encoded.ts';
import { commonDepth, encodePicture, encodeVolume } from '#model/families/radfm/preprocess.ts';
import type { Processor } from '#model/preprocess/processor.ts';

const processor: Processor = {
  pad: false,
  resize: { to: 'size', height: 2, width: 2 },
  filter: 'bicubic',
  crop: null,
  scale: 1 / 255,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

/** Value = 100 z + 10 y + x. */
const counted = (depth: number, height: number, width: number): RawVolume => ({
  depth,
  height,
  width,
  values: Float32Array.from(
    { length: depth * height * width },
    (_, i) => 100 * Math.floor(i / (height * width)) + 10 * (Math.floor(i / width) % height) + (i % width),
  ),
});

describe('common depth', () => {
  test.each([
    [[], 4],
    [[1], 4],
    [[9], 8],
    [[10], 8],
    [[14], 12],
    [[19, 3], 20],
    [[66], 64],
    [[500], 64],
  ])('%j slices -> %i: the nearest multiple of 4, the smaller on a tie, at most 64', (slices, depth) => {
    expect(commonDepth(slices, 4)).toBe(depth);
  });
});

describe('a volume', () => {
  test('its own range is 0..1, three channels are equal, slices run fastest', () => {
    const { data, shape } = encodeVolume(counted(4, 2, 2), 2, 4);
    expect(shape).toEqual([1, 3, 2, 2, 4]);
    const plane = [0, 100, 200, 300, 1, 101, 201, 301, 10, 110, 210, 310, 11, 111, 211, 311].map((value) => Math.fround(value / 311));
    expect([...data]).toEqual([...plane, ...plane, ...plane]);
  });

  test('the nearest value below is taken in all three axes', () => {
    const { data } = encodeVolume(counted(6, 3, 5), 2, 4);
    const at = (row: number, column: number, slice: number) => Math.round((data[(row * 2 + column) * 4 + slice] ?? Number.NaN) * 524);
    // Rows 0 and 1 of 3, columns 0 and 2 of 5, slices 0, 1, 3, 4 of 6.
    expect([at(0, 0, 0), at(1, 0, 1), at(0, 1, 2), at(1, 1, 3)]).toEqual([0, 110, 302, 412]);
  });

  test('one value everywhere is refused, not replaced by noise', () => {
    const flat = { ...counted(4, 2, 2), values: new Float32Array(16).fill(7) };
    expect(() => encodeVolume(flat, 2, 4)).toThrow(
      expect.objectContaining({ code: 'pixel-unsupported', message: expect.stringContaining('7') }),
    );
  });

  test('a value that is no number is refused', () => {
    const values = counted(4, 2, 2).values.with(5, Number.NaN);
    expect(() => encodeVolume({ ...counted(4, 2, 2), values }, 2, 4)).toThrow(expect.objectContaining({ code: 'not-finite' }));
  });

  test.each([3, 0])('%i slices for the values of four are refused', (depth) => {
    expect(() => encodeVolume({ ...counted(4, 2, 2), depth }, 2, 4)).toThrow(expect.objectContaining({ code: 'pixel-damaged' }));
  });
});

describe('a picture', () => {
  const image = { width: 2, height: 2, channels: 1 as const, pixels: Uint8Array.of(0, 51, 102, 255) };

  test('is repeated along the depth, without mean and deviation', () => {
    const { data, shape } = encodePicture(image, processor, 4);
    expect(shape).toEqual([1, 3, 2, 2, 4]);
    const plane = [0, 51, 102, 255].flatMap((value) => new Array<number>(4).fill(Math.fround(value / 255)));
    expect([...data].map((value) => value.toFixed(6))).toEqual([...plane, ...plane, ...plane].map((value) => value.toFixed(6)));
  });

  test('its nulls are black and the middle grey', () => {
    expect(encodePicture(image, processor, 4)).toMatchObject({ black: [0, 0, 0], mean: [0.5, 0.5, 0.5] });
  });
});
