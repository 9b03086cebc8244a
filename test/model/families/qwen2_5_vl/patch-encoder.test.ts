/** What a block sees, on the graph itself: windows against the whole picture. The numbers are held by the golden checkpoints. */
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type PatchEncoder, patchEncoderGraph } from '#model/families/qwen2_5_vl/patch-encoder.ts';
import { encodePicture, type PicturePlan } from '#model/families/qwen2_5_vl/preprocess.ts';
import { writeGraphs } from '#model/onnx/files.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from '../../folder.ts';

const folder = await temporaryFolder();
const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
const base = { hiddenSize: 16, intermediateSize: 20, heads: 2, patch: 2, temporal: 2, merge: 2, outSize: 8 };
const mean = [0.5, 0.4, 0.3] as [number, number, number];
const values = { scale: 1 / 255, mean, std: [0.2, 0.25, 0.5] as [number, number, number] };
const processor = { minPixels: 16, maxPixels: 10_000, patch: 2, temporal: 2, merge: 2, values };

/** 5 x 3 units of 4 x 4 pixels; columns from `bright` up to `end` are white. */
function picture(bright: number, end = 20) {
  const [width, height] = [20, 12];
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => (i % width >= bright && i % width < end ? 255 : (i * 7) % 200));
  return { width, height, channels: 1, pixels } as const;
}

/** Rows of the last block [patches][hidden]. */
async function rows(blocks: PatchEncoder['blocks'], plan: PicturePlan, bright: number, end = 20): Promise<number[][]> {
  const own = mkdtempSync(join(folder, 'tower-'));
  const graph = patchEncoderGraph({ ...base, blocks });
  const sizes = new Map<string, number>();
  for (const { recipe } of graph.weights) {
    if (recipe.kind !== 'computed')
      for (const need of recipe.tensors)
        sizes.set(
          need.name,
          need.shape.reduce((a, b) => a * b, 1),
        );
  }
  const weight = (name: string) => Float32Array.from({ length: sizes.get(name) ?? 0 }, (_, i) => Math.sin(name.length + i * 1.7) / 2);
  await writeGraphs(own, 'weights.data', [{ file: 'vision.onnx', graph }], (name) => Promise.resolve(weight(name)));
  const session = await runtime.load(join(own, 'vision.onnx'));
  const encoded = encodePicture(picture(bright, end), plan);
  const inputs = Object.entries(encoded.inputs ?? {}).map(([name, input]) => [name, runtime.value(input.data, input.shape)]);
  const feeds = { pixel_values: runtime.value(encoded.data, encoded.shape), ...Object.fromEntries(inputs) };
  const out = await session.run(feeds, ['vision', 'features']);
  expect(out.features?.dims).toEqual([1, 15, base.outSize]);
  const flat = [...(out.vision?.read() ?? [])];
  await session.release();
  return Array.from({ length: 60 }, (_, patch) => flat.slice(patch * base.hiddenSize, (patch + 1) * base.hiddenSize));
}

const off = (a: number[][], b: number[][]): number =>
  Math.max(...a.flat().map((value, i) => Math.abs(value - (b.flat()[i] ?? Number.NaN))));

test('a window as large as the picture sees the picture', async () => {
  const plan = { processor, window: 8 };
  expect(off(await rows(['window', 'window'], plan, 20), await rows(['picture', 'picture'], plan, 20))).toBeLessThan(1e-5);
});

test('what is outside a window changes nothing in it, and something where a block sees the picture', async () => {
  const plan = { processor, window: 2 };
  // Columns of units 0 and 1, 2 and 3, and 4 alone: only the last is changed.
  const kept = (patches: number[][]) => patches.filter((_, patch) => Math.floor(patch / 4) % 5 < 4);
  const changed = (patches: number[][]) => patches.filter((_, patch) => Math.floor(patch / 4) % 5 === 4);
  const [before, after] = [await rows(['window', 'window'], plan, 20), await rows(['window', 'window'], plan, 16)];
  expect(kept(after)).toEqual(kept(before));
  expect(off(changed(after), changed(before))).toBeGreaterThan(0.01);
  // The smaller windows at the edges are filled up with the first patch, which must have no weight there.
  const first = await rows(['window', 'window'], plan, 0, 4);
  expect(off(changed(first), changed(before))).toBe(0);
  const [wide, wideAfter] = [await rows(['window', 'picture'], plan, 20), await rows(['window', 'picture'], plan, 16)];
  expect(off(kept(wideAfter), kept(wide))).toBeGreaterThan(1e-4);
});

test('smaller windows at the edges are filled up and masked', () => {
  const { inputs } = encodePicture(picture(20), { processor, window: 2 });
  expect(inputs?.window_patches?.shape).toEqual([6, 16]);
  const bias = [...(inputs?.window_bias?.data ?? [])].map(Number);
  expect(bias.filter((value) => value === 0)).toHaveLength(60);
  // Bottom right: one unit of four patches.
  expect(bias.slice(80).map((value) => value === 0)).toEqual(Array.from({ length: 16 }, (_, i) => i < 4));
});

test('black is per channel in every patch row', () => {
  const encoded = encodePicture({ ...picture(20), pixels: new Uint8Array(240) }, { processor, window: 2 });
  const run = encoded.channelRun ?? 0;
  expect(run).toBe(8);
  const expected = Array.from(encoded.data, (_, i) => encoded.black[Math.floor(i / run) % 3] ?? Number.NaN);
  expect(Math.max(...encoded.data.map((value, i) => Math.abs(value - (expected[i] ?? Number.NaN))))).toBeLessThan(1e-6);
});
