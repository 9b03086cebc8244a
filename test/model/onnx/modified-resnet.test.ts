/** The ResNet with pooled strides against plain arithmetic, on sides that pools do not divide. */
import { expect, test } from 'vitest';
import { type ModifiedResnet, resnetGraph, resnetSide, resnetWidth } from '#model/onnx/modified-resnet.ts';
import { offBy, runGraph, valuesOf } from './graph-run.ts';

type Tensors = (name: string) => Float32Array;
/** [channel][row][column] */
type Planes = readonly (readonly (readonly number[])[])[];

const planes = (channels: number, side: number, value: (c: number, y: number, x: number) => number): Planes =>
  Array.from({ length: channels }, (_, c) =>
    Array.from({ length: side }, (__, y) => Array.from({ length: side }, (___, x) => value(c, y, x))),
  );

/** Convolution with zeros around, then the norm of a finished model. */
function convolved(tensors: Tensors, from: string, norm: string, x: Planes, kernel: number, stride: number): Planes {
  const weight = tensors(`${from}.weight`);
  const [scale, offset, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map((part) => tensors(`${norm}.${part}`));
  const pad = (kernel - 1) / 2;
  const side = Math.floor(((x[0]?.length ?? 0) + 2 * pad - kernel) / stride) + 1;
  return planes(scale?.length ?? 0, side, (o, row, column) => {
    let sum = 0;
    for (const [c, plane] of x.entries()) {
      for (let dy = 0; dy < kernel; dy++) {
        for (let dx = 0; dx < kernel; dx++) {
          const value = plane[row * stride + dy - pad]?.[column * stride + dx - pad] ?? 0;
          sum += value * (weight[((o * x.length + c) * kernel + dy) * kernel + dx] ?? 0);
        }
      }
    }
    return ((sum - (mean?.[o] ?? 0)) / Math.sqrt((variance?.[o] ?? 0) + 1e-5)) * (scale?.[o] ?? 0) + (offset?.[o] ?? 0);
  });
}

const active = (x: Planes): Planes => x.map((plane) => plane.map((row) => row.map((value) => Math.max(0, value))));

/** Mean of 2 x 2, what is left over at the end dropped. */
function halved(x: Planes): Planes {
  return planes(x.length, Math.floor((x[0]?.length ?? 0) / 2), (c, y, column) => {
    const at = (dy: number, dx: number) => x[c]?.[2 * y + dy]?.[2 * column + dx] ?? Number.NaN;
    return (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4;
  });
}

function plain(a: ModifiedResnet, tensors: Tensors, picture: Planes): Planes {
  let x = picture;
  for (const n of [1, 2, 3]) x = active(convolved(tensors, `vision.stem.conv${n}`, `vision.stem.bn${n}`, x, 3, n === 1 ? 2 : 1));
  x = halved(x);
  for (const [stage, blocks] of a.stages.entries()) {
    for (const [n, block] of blocks.entries()) {
      const at = `vision.stages.${stage}.${n}`;
      const pool = stage > 0 && n === 0 ? halved : (value: Planes) => value;
      const first = active(convolved(tensors, `${at}.conv1`, `${at}.bn1`, x, 1, 1));
      const second = pool(active(convolved(tensors, `${at}.conv2`, `${at}.bn2`, first, 3, 1)));
      const third = convolved(tensors, `${at}.conv3`, `${at}.bn3`, second, 1, 1);
      const short = block.shortcut ? convolved(tensors, `${at}.shortcut.conv`, `${at}.shortcut.bn`, pool(x), 1, 1) : x;
      x = active(third.map((plane, c) => plane.map((row, y) => row.map((value, column) => value + (short[c]?.[y]?.[column] ?? 0)))));
    }
  }
  return x;
}

const base = {
  channels: 3,
  stem: [2, 3, 4] as const,
  stages: [
    [
      { into: 4, inner: 2, out: 6, shortcut: true },
      { into: 6, inner: 3, out: 6, shortcut: false },
    ],
    [{ into: 6, inner: 2, out: 5, shortcut: true }],
  ],
};

test.each([
  [16, 2],
  [23, 3],
  [29, 3],
])('pictures of %i pixels give %i rows a side', async (imageSize, side) => {
  const a: ModifiedResnet = { ...base, imageSize };
  expect(resnetSide(a)).toBe(side);
  const graph = resnetGraph(a, { rows: side * side, outSize: resnetWidth(a), add: (_, rows) => rows });
  const data = valuesOf('picture', 3 * imageSize ** 2);
  const { read, tensors } = await runGraph(graph, { pixel_values: { data, dims: [1, 3, imageSize, imageSize] } }, ['vision', 'features']);
  const picture = planes(3, imageSize, (c, y, x) => data[(c * imageSize + y) * imageSize + x] ?? Number.NaN);
  const expected = plain(a, tensors, picture);
  // Row by row of the picture, all channels of a place together.
  const rows = Array.from({ length: side * side }, (_, i) =>
    expected.map((plane) => plane[Math.floor(i / side)]?.[i % side] ?? Number.NaN),
  );
  expect(read('vision').dims).toEqual([1, side * side, 5]);
  expect(offBy(read('vision').data, rows.flat())).toBeLessThan(1e-3);
  expect(read('features').data).toEqual(read('vision').data);
});
