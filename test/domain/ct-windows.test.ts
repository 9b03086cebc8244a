import { expect, test } from 'vitest';
import { windowsToRgb } from '#domain/ct-windows.ts';

test('Hounsfield units give one window per channel', () => {
  const windows = [
    [-1024, 1024],
    [-135, 215],
    [0, 80],
  ] as const;
  expect([...windowsToRgb(Float32Array.of(-1024, 40, 3000), windows)]).toEqual([0, 0, 0, 132, 128, 128, 255, 255, 255]);
});
