/** Merged weights against plain arithmetic, in the three ages of names; halves and shapes that do not fit are named. */
import { describe, expect, test } from 'vitest';
import { mergeLora } from '#model/checkpoint/lora.ts';
import type { TensorSource } from '#model/checkpoint/tensors.ts';

type Tensors = Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>;

function sourceOf(tensors: Tensors): TensorSource {
  const of = (name: string) => {
    const tensor = tensors[name];
    if (tensor === undefined) throw new Error(`no tensor ${name}`);
    return tensor;
  };
  return {
    names: Object.keys(tensors),
    info: (name) => ({ dtype: 'F32', shape: of(name).shape }),
    readF32: async (name) => Float32Array.from(of(name).values),
    close: async () => undefined,
  };
}

const weight = { shape: [2, 3], values: [1, 2, 3, 4, 5, 6] };
const down = { shape: [2, 3], values: [1, 0, -1, 2, 1, 0] };
const up = { shape: [2, 2], values: [1, 0.5, -1, 2] };
const other = { shape: [2], values: [7, 8] };
/** alpha 6 over rank 2 is 3; B A is [[2, 0.5, -1], [3, 2, 1]]. */
const merged = [7, 3.5, 0, 13, 11, 9];

describe('a pair is merged into its weight', () => {
  test.each<[string, Tensors]>([
    ['names before peft 0.3', { 'q.weight': weight, 'q.lora_A.weight': down, 'q.lora_B.weight': up, norm: other }],
    ['an adapter of a name', { 'q.weight': weight, 'q.lora_A.default.weight': down, 'q.lora_B.default.weight': up, norm: other }],
    ['a wrapped weight', { 'q.base_layer.weight': weight, 'q.lora_A.first.weight': down, 'q.lora_B.first.weight': up, norm: other }],
  ])('%s', async (_, tensors) => {
    const source = mergeLora(sourceOf(tensors), 6);
    expect(source.names).toEqual(['q.weight', 'norm']);
    expect(source.info('q.weight').shape).toEqual([2, 3]);
    expect([...(await source.readF32('q.weight'))]).toEqual(merged);
    expect([...(await source.readF32('norm'))]).toEqual(other.values);
  });

  test('a wrapped layer keeps its bias under the plain name', async () => {
    const source = mergeLora(
      sourceOf({
        'q.base_layer.weight': weight,
        'q.base_layer.bias': other,
        'q.lora_A.default.weight': down,
        'q.lora_B.default.weight': up,
      }),
      6,
    );
    expect([...(await source.readF32('q.bias'))]).toEqual(other.values);
  });

  test('a source without pairs is what it was', async () => {
    const source = mergeLora(sourceOf({ 'q.weight': weight }), 6);
    expect([...(await source.readF32('q.weight'))]).toEqual(weight.values);
  });
});

describe('what does not fit is named', () => {
  test.each<[string, Tensors, RegExp]>([
    ['half a pair', { 'q.weight': weight, 'q.lora_A.default.weight': down }, /missing: q\.lora_B\.default\.weight/],
    ['a pair without its weight', { 'q.lora_A.weight': down, 'q.lora_B.weight': up }, /missing: q\.weight/],
    [
      'another input width',
      { 'q.weight': weight, 'q.lora_A.weight': { shape: [2, 4], values: [] }, 'q.lora_B.weight': up },
      /q\.lora_A\.weight is \[2, 4\], \[2, 3\] expected beside q\.weight \[2, 3\]/,
    ],
    [
      'another rank',
      { 'q.weight': weight, 'q.lora_A.weight': down, 'q.lora_B.weight': { shape: [2, 1], values: [] } },
      /q\.lora_B\.weight is \[2, 1\], \[2, 2\] expected/,
    ],
    [
      'two adapters',
      {
        'q.weight': weight,
        'q.lora_A.a.weight': down,
        'q.lora_B.a.weight': up,
        'q.lora_A.b.weight': down,
        'q.lora_B.b.weight': up,
      },
      /q has 2 LoRA adapters \(a, b\)/,
    ],
  ])('%s', (_, tensors, message) => {
    expect(() => mergeLora(sourceOf(tensors), 6)).toThrow(
      expect.objectContaining({ code: 'checkpoint-tensors', message: expect.stringMatching(message) }),
    );
  });
});
