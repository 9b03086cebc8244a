/** Encoder and projector kinds that no reference checkpoint has, against plain arithmetic. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as ort from 'onnxruntime-node';
import { afterAll, expect, test } from 'vitest';
import { writeGraphs } from '#model/onnx/files.ts';
import type { Activation } from '#model/onnx/layers.ts';
import { encoderRows, type VisionArchitecture, visionGraph, visualTokens } from '#model/onnx/vision-transformer.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-vision-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** No blocks: the encoder's output is patches plus positions, which plain arithmetic gives in a few lines. */
const tower: VisionArchitecture = {
  hiddenSize: 8,
  intermediateSize: 8,
  heads: 2,
  blocks: 0,
  channels: 3,
  imageSize: 7,
  patchSize: 3,
  activation: 'gelu',
  normEpsilon: 1e-6,
  kind: 'siglip',
  dropFirst: false,
};

const values = (name: string, size: number): Float32Array =>
  Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.3 + name.length * 0.7 + (i % 5)));

async function run(a: VisionArchitecture, layers: number, activation: Activation, bias: boolean, images: number) {
  const own = mkdtempSync(join(folder, 'v-'));
  const graph = visionGraph(a, { layers, activation, bias, outSize: 6 });
  const sizes = new Map<string, number>();
  for (const { recipe } of graph.weights) {
    if (recipe.kind !== 'computed')
      for (const { name, shape } of recipe.tensors)
        sizes.set(
          name,
          shape.reduce((p, d) => p * d, 1),
        );
  }
  await writeGraphs(own, 'w.data', [{ file: 'v.onnx', graph }], (name) => Promise.resolve(values(name, sizes.get(name) ?? 0)));
  const session = await ort.InferenceSession.create(join(own, 'v.onnx'), { logSeverityLevel: 4 });
  const pixels = values('pixels', images * 3 * a.imageSize ** 2);
  const out = await session.run({ pixel_values: new ort.Tensor('float32', pixels, [images, 3, a.imageSize, a.imageSize]) }, [
    'vision',
    'features',
  ]);
  await session.release();
  // Both outputs are f32.
  const { vision, features } = out as { vision: ort.TypedTensor<'float32'>; features: ort.TypedTensor<'float32'> };
  return { pixels, vision, features, names: [...sizes.keys()] };
}

/** Patch plus position of SigLIP's kind at one row. */
function patch(a: VisionArchitecture, pixels: Float32Array, image: number, row: number): number[] {
  const { hiddenSize, channels, imageSize, patchSize } = a;
  const grid = Math.floor(imageSize / patchSize);
  const weight = values('vision.embeddings.patch_embedding.weight', hiddenSize * channels * patchSize ** 2);
  const bias = values('vision.embeddings.patch_embedding.bias', hiddenSize);
  const positions = values('vision.embeddings.position_embedding.weight', grid * grid * hiddenSize);
  return Array.from({ length: hiddenSize }, (_, h) => {
    let sum = (bias[h] ?? 0) + (positions[row * hiddenSize + h] ?? 0);
    for (let c = 0; c < channels; c++) {
      for (let y = 0; y < patchSize; y++) {
        for (let x = 0; x < patchSize; x++) {
          const at =
            ((image * channels + c) * imageSize + Math.floor(row / grid) * patchSize + y) * imageSize + (row % grid) * patchSize + x;
          sum += (pixels[at] ?? 0) * (weight[((h * channels + c) * patchSize + y) * patchSize + x] ?? 0);
        }
      }
    }
    return sum;
  });
}

const activate: Record<Activation, (x: number) => number> = {
  relu: (x) => Math.max(0, x),
  tanh: Math.tanh,
  quick_gelu: (x) => x / (1 + Math.exp(-1.702 * x)),
  gelu_pytorch_tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  // The normal distribution by Simpson's rule; beyond six standard deviations nothing is left to add.
  gelu: (x) => {
    const end = Math.max(-6, Math.min(6, x));
    const steps = 600;
    let area = 0;
    for (let i = 0; i <= steps; i++) {
      const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
      area += weight * Math.exp(-(((i * end) / steps) ** 2) / 2);
    }
    return x * (0.5 + (area * end) / steps / 3 / Math.sqrt(2 * Math.PI));
  },
};

test.each([
  [1, 'gelu', true],
  [2, 'gelu', true],
  [2, 'gelu_pytorch_tanh', false],
  [2, 'quick_gelu', true],
  [3, 'gelu', true],
  [2, 'relu', true],
  [3, 'tanh', true],
] as const)('%i projector layers with %s, bias %s, equal plain arithmetic, row by row of the image', async (layers, activation, bias) => {
  const { pixels, vision, features } = await run(tower, layers, activation, bias, 2);
  expect([vision.dims, features.dims]).toEqual([
    [2, 4, 8],
    [2, 4, 6],
  ]);
  for (const [image, row] of [
    [0, 1],
    [1, 2],
  ] as const) {
    let x = patch(tower, pixels, image, row);
    const seen = vision.data.slice((image * 4 + row) * 8, (image * 4 + row + 1) * 8);
    for (const [i, value] of x.entries()) expect(seen[i]).toBeCloseTo(value, 4);
    for (let layer = 0; layer < layers; layer++) {
      const into = layer === 0 ? x : x.map(activate[activation]);
      const weight = values(`projector.${layer}.weight`, 6 * into.length);
      const offset = bias ? values(`projector.${layer}.bias`, 6) : new Float32Array(6);
      x = Array.from({ length: 6 }, (_, o) =>
        into.reduce((sum, value, i) => sum + value * (weight[o * into.length + i] ?? 0), offset[o] ?? 0),
      );
    }
    const found = features.data.slice((image * 4 + row) * 6, (image * 4 + row + 1) * 6);
    for (const [i, value] of x.entries())
      expect(Math.abs((found[i] ?? Number.NaN) - value)).toBeLessThan(1e-4 * Math.max(1, Math.abs(value)));
  }
});

test('an image that is no multiple of the patch loses its right and lower rest; a class row comes first and may be dropped', async () => {
  expect([encoderRows(tower), visualTokens({ ...tower, dropFirst: true })]).toEqual([4, 3]);
  const clip: VisionArchitecture = { ...tower, kind: 'clip' };
  const all = await run(clip, 1, 'gelu', true, 1);
  const dropped = await run({ ...clip, dropFirst: true }, 1, 'gelu', true, 1);
  expect([all.vision.dims, dropped.vision.dims]).toEqual([
    [1, 5, 8],
    [1, 4, 8],
  ]);
  expect([...dropped.vision.data]).toEqual([...all.vision.data.slice(8)]);
});

test('blocks above the selected one are not in the graph', async () => {
  const { names } = await run({ ...tower, blocks: 1 }, 1, 'gelu', true, 1);
  expect(names.filter((name) => name.includes('.layers.')).every((name) => name.startsWith('vision.encoder.layers.0.'))).toBe(true);
  expect(names.some((name) => name.includes('post_layernorm'))).toBe(false);
});
