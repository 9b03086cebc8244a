import { describe, expect, test } from 'vitest';
import type { Form, Recipe, Weight } from '#model/onnx/graph.ts';
import { type Limits, type ReadTensor, storedBytes, writeWeight } from '#model/onnx/layout.ts';

const whole: Limits = { piece: 1e9, whole: 1e9, strip: 1e9 };
/** A row or a head at a time, and no matrix in memory. */
const pieces: Limits = { piece: 1, whole: 1, strip: 1 };

const value = (name: string, i: number): number => Math.sin(i * 0.7 + name.length);

function reader(kind: 'ranges' | 'all'): { read: ReadTensor; largest: () => number } {
  let largest = 0;
  return {
    read: (name, range) => {
      const size = sizes[name] ?? 0;
      const { from, to } = kind === 'all' || range === undefined ? { from: 0, to: size } : range;
      largest = Math.max(largest, to - from);
      return Promise.resolve(Float32Array.from({ length: to - from }, (_, i) => value(name, from + i)));
    },
    largest: () => largest,
  };
}

const sizes: Record<string, number> = { q: 24 * 64, kv: 12 * 64, o: 10 * 96, bias: 36 };
const heads = (axis: 'out' | 'in') => ({ axis, size: 6, padded: 16 }) as const;

function weightOf(dims: number[], recipe: Recipe): Weight {
  return { name: 'w', key: 'w', dims, recipe };
}

const weights: Record<string, Weight> = {
  'tensors side by side': weightOf([64, 36], {
    kind: 'transposed',
    tensors: [
      { name: 'q', shape: [24, 64] },
      { name: 'kv', shape: [12, 64] },
    ],
  }),
  'heads widened out': weightOf([64, 96], {
    kind: 'transposed',
    tensors: [
      { name: 'q', shape: [24, 64] },
      { name: 'kv', shape: [12, 64] },
    ],
    heads: heads('out'),
  }),
  'heads widened in': weightOf([256, 10], { kind: 'transposed', tensors: [{ name: 'o', shape: [10, 96] }], heads: heads('in') }),
  stored: weightOf([36, 64], {
    kind: 'stored',
    tensors: [
      { name: 'q', shape: [24, 64] },
      { name: 'kv', shape: [12, 64] },
    ],
  }),
  'a bias of widened heads': weightOf([96], { kind: 'stored', tensors: [{ name: 'bias', shape: [36] }], heads: heads('out') }),
};

async function bytesOf(weight: Weight, form: Form, read: ReadTensor, limits: Limits): Promise<{ values: Uint8Array; scales: Uint8Array }> {
  const size = storedBytes(weight, form);
  const out = { values: new Uint8Array(size.values), scales: new Uint8Array(size.scales) };
  const into = (all: Uint8Array) => (bytes: Uint8Array, at: number) => Promise.resolve(all.set(bytes, at));
  await writeWeight(weight, form, read, { write: into(out.values), writeScales: into(out.scales) }, limits);
  return out;
}

describe('a weight that is written in the smallest pieces has the bytes of one that is put together in memory', () => {
  const cases = Object.entries(weights).flatMap(([name, weight]) =>
    (weight.dims.length === 2 ? (['f32', 'f16', 'rows8'] as const) : (['f32', 'f16'] as const)).map((form) => [name, form] as const),
  );
  test.each(cases)('%s, %s', async (name, form) => {
    const weight = weights[name] ?? weightOf([], { kind: 'stored', tensors: [] });
    const expected = await bytesOf(weight, form, reader('all').read, whole);
    expect(new Set(expected.values).size).toBeGreaterThan(8);
    const ranged = reader('ranges');
    expect(await bytesOf(weight, form, ranged.read, pieces)).toEqual(expected);
    // Never more than a head of rows.
    expect(ranged.largest()).toBeLessThanOrEqual(6 * 96);
    expect(await bytesOf(weight, form, reader('all').read, pieces)).toEqual(expected);
  });
});

test('a reader that gives another number of values than asked for and than there are is refused', async () => {
  const weight = weights.stored ?? weightOf([], { kind: 'stored', tensors: [] });
  await expect(bytesOf(weight, 'f32', () => Promise.resolve(new Float32Array(7)), pieces)).rejects.toMatchObject({
    code: 'checkpoint-tensors',
    message: 'q has 7 values, 1536 expected (24 x 64)',
  });
});

test('a value that is not finite is named by its place in the tensor, not in the piece', async () => {
  const { read } = reader('ranges');
  const spoilt: ReadTensor = async (name, range) =>
    (await read(name, range)).map((v, i) => (name === 'kv' && (range?.from ?? 0) + i === 700 ? Number.NEGATIVE_INFINITY : v));
  const weight = weights['heads widened out'] ?? weightOf([], { kind: 'stored', tensors: [] });
  await expect(bytesOf(weight, 'rows8', spoilt, pieces)).rejects.toMatchObject({
    message: 'kv holds -Infinity at position 700, finite values expected',
  });
});
