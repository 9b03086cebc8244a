/** Matrices stored as [in, out] and 8-bit ones, as the numbers that they stand for; scales and orders that do not fit are named. */
import { describe, expect, test } from 'vitest';
import type { TensorSource } from '#model/checkpoint/tensors.ts';
import { turnedSource } from '#model/checkpoint/turned.ts';

type Tensors = Record<string, { readonly dtype?: string; readonly shape: readonly number[]; readonly values: readonly number[] }>;

function sourceOf(tensors: Tensors): TensorSource {
  const of = (name: string) => {
    const tensor = tensors[name];
    if (tensor === undefined) throw new Error(`no tensor ${name}`);
    return tensor;
  };
  return {
    names: Object.keys(tensors),
    info: (name) => ({ dtype: of(name).dtype ?? 'F32', shape: of(name).shape }),
    readF32: async (name) => Float32Array.from(of(name).values),
    close: async () => undefined,
  };
}

const isTurned = (name: string) => name.startsWith('conv');

describe('what is given', () => {
  test('a turned matrix has its sizes and values the other way round, its bias not', async () => {
    const source = await turnedSource(
      sourceOf({
        'conv.weight': { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
        'conv.bias': { shape: [3], values: [7, 8, 9] },
        'linear.weight': { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] },
      }),
      isTurned,
    );
    expect(source.info('conv.weight').shape).toEqual([3, 2]);
    expect([...(await source.readF32('conv.weight'))]).toEqual([1, 4, 2, 5, 3, 6]);
    expect([...(await source.readF32('conv.bias'))]).toEqual([7, 8, 9]);
    expect([...(await source.readF32('linear.weight'))]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  test('an 8-bit matrix lies by rows of outputs whatever the layer, and its scales and order are no tensors', async () => {
    const source = await turnedSource(
      sourceOf({
        'conv.weight': { dtype: 'I8', shape: [2, 3], values: [127, -127, 0, 64, 1, -2] },
        'conv.SCB': { shape: [2], values: [2, 12.7] },
        'conv.weight_format': { dtype: 'U8', shape: [], values: [0] },
      }),
      isTurned,
    );
    expect(source.names).toEqual(['conv.weight']);
    expect(source.info('conv.weight').shape).toEqual([2, 3]);
    const values = [...(await source.readF32('conv.weight'))];
    for (const [index, value] of [2, -2, 0, 6.4, 0.1, -0.2].entries()) expect(values[index]).toBeCloseTo(value, 6);
  });
});

describe('what is refused by name', () => {
  const weight = { dtype: 'I8', shape: [2, 3], values: [1, 2, 3, 4, 5, 6] };
  test.each<[string, Tensors, RegExp]>([
    ['scales without their matrix', { 'a.SCB': { shape: [2], values: [1, 1] } }, /a\.SCB \[2\] is beside no int8 weight/],
    [
      'scales beside what is no int8',
      { 'a.weight': { ...weight, dtype: 'F32' }, 'a.SCB': { shape: [2], values: [1, 1] } },
      /a\.SCB \[2\] is beside no int8/,
    ],
    [
      'scales of another number',
      { 'a.weight': weight, 'a.SCB': { shape: [3], values: [1, 1, 1] } },
      /a\.SCB \[3\] is beside no int8 weight/,
    ],
    ['int8 without scales', { 'a.weight': weight }, /a\.weight is int8 and has no scales/],
    [
      'another order',
      { 'a.weight': weight, 'a.SCB': { shape: [2], values: [1, 1] }, 'a.weight_format': { dtype: 'U8', shape: [], values: [2] } },
      /a\.weight_format is 2: int8 weights in another order/,
    ],
  ])('%s', async (_, tensors, message) => {
    await expect(turnedSource(sourceOf(tensors), isTurned)).rejects.toMatchObject({
      code: 'checkpoint-tensors',
      message: expect.stringMatching(message),
    });
  });
});
