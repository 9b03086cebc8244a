import { expect, test } from 'vitest';
import { rotaryFrequencies, rotaryTable } from '#model/onnx/rotary.ts';

const plain = { theta: 10_000, scaling: { type: 'none' } } as const;

test('frequencies fall from 1 to nearly 1 / theta', () => {
  const frequencies = rotaryFrequencies(8, plain);
  expect([...frequencies].map((value) => Number(value.toPrecision(5)))).toEqual([1, 0.1, 0.01, 0.001]);
});

test('linear scaling divides every frequency, llama3 only the slow ones, and blends between its thresholds', () => {
  const base = rotaryFrequencies(64, plain);
  const linear = rotaryFrequencies(64, { theta: 10_000, scaling: { type: 'linear', factor: 4 } });
  expect(linear.every((value, i) => Math.abs(value - (base[i] ?? 0) / 4) < 1e-9)).toBe(true);
  const llama3 = rotaryFrequencies(64, {
    theta: 10_000,
    scaling: { type: 'llama3', factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 1024 },
  });
  const ratios = [...llama3].map((value, i) => (base[i] ?? 0) / value);
  expect(ratios[0]).toBe(1);
  expect(ratios.at(-1)).toBeCloseTo(8, 4);
  expect(ratios.some((ratio) => ratio > 1.01 && ratio < 7.9)).toBe(true);
  expect(ratios.every((ratio, i) => i === 0 || ratio >= (ratios[i - 1] ?? 0) - 1e-6)).toBe(true);
});

test('the pairs that widening adds are not turned', () => {
  const cos = rotaryTable('cos', 3, 4, 16, plain);
  const sin = rotaryTable('sin', 3, 4, 16, plain);
  expect([...cos.slice(16 + 2, 24)]).toEqual(new Array(6).fill(1));
  expect([...sin.slice(16 + 2, 24)]).toEqual(new Array(6).fill(0));
  expect(sin[16]).toBe(Math.fround(Math.sin(2)));
});
