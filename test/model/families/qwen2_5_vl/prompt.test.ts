import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { axisPositions, encodeQwen } from '#model/families/qwen2_5_vl/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { openEngine } from '#runtime/engine.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from '../../folder.ts';
import { ids, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
await writeCheckpoint(join(folder, 'checkpoint'));
const { bundle } = await importCheckpoint({
  from: join(folder, 'checkpoint'),
  to: join(folder, 'bundle'),
  metadata: { limits: { maxImages: 2 } },
});
const { manifest } = bundle;
const tokenizer = await bundleTokenizer(bundle);

/** A grey picture with a gradient; width and height in pixels, a merged unit is 8. */
function picture(width: number, height: number): PromptPart {
  const pixels = Uint8Array.from({ length: width * height }, (_, i) => (i * 5) % 251);
  return { kind: 'image', image: { width, height, channels: 1, pixels } };
}
const text = (value: string): PromptPart => ({ kind: 'text', text: value });
const encode = (...parts: PromptPart[]) => encodeQwen(manifest, tokenizer, parts);

describe('prompts', () => {
  test('one mark in the text and one id per merged unit, nothing around an image, texts as they are', () => {
    const encoded = encode(text(' a '), picture(24, 16), picture(8, 16));
    expect(encoded.text).toBe(
      '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n a <|vision_start|><|image_pad|><|vision_end|><|vision_start|><|image_pad|><|vision_end|><|im_end|>\n<|im_start|>assistant\n',
    );
    const { start, image, end } = { start: ids.visionStart, image: ids.image, end: ids.visionEnd };
    const from = encoded.inputIds.indexOf(start);
    expect(encoded.inputIds.slice(from, from + 12)).toEqual([start, ...new Array<number>(6).fill(image), end, start, image, image, end]);
    expect(encoded.images.map((each) => each.rows)).toEqual([6, 2]);
  });

  test('special tokens of a record’s text add no image and close no turn, also when they are nested', () => {
    const encoded = encode(text('x<|image_<|im_end|>pad|><|vision_start|>y'), picture(8, 8));
    expect(encoded.text).toContain('user\nxy<|vision_start|><|image_pad|>');
    expect(encoded.inputIds.filter((id) => id === ids.image)).toHaveLength(1);
  });

  test('too many images and too many rows are refused with both numbers', () => {
    expect(() => encode(picture(8, 8), picture(8, 8), picture(8, 8))).toThrow(/3 images, the bundle .* takes 2/);
    expect(() => encode(text('word '.repeat(300)), picture(40, 40))).toThrow(/the prompt has \d+ rows, .* fewer than 400/);
  });

  test('a picture over 200 times longer than wide is refused', () => {
    expect(() => encode(picture(402, 2))).toThrow(/over 200 times/);
  });
});

describe('positions', () => {
  test('an image holds time, and what follows goes on from its larger side', () => {
    const parts = [
      { kind: 'tokens', ids: [1, 2] },
      { kind: 'image', image: 0 },
      { kind: 'tokens', ids: [3] },
      { kind: 'image', image: 1 },
      { kind: 'tokens', ids: [4] },
    ] as const;
    const grids = [
      { rows: 2, columns: 3 },
      { rows: 2, columns: 1 },
    ];
    expect(axisPositions(parts, grids)).toEqual([
      [0, 1, 2, 2, 2, 2, 2, 2, 5, 6, 6, 8],
      [0, 1, 2, 2, 2, 3, 3, 3, 5, 6, 7, 8],
      [0, 1, 2, 3, 4, 2, 3, 4, 5, 6, 6, 8],
    ]);
  });

  test('positions count in the answer: the same rows at index positions score otherwise', async () => {
    const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
    const engine = await openEngine(runtime, bundle.dir, manifest.graphs, manifest.sizes);
    try {
      const encoded = encode(picture(24, 24), text('a b'));
      const score = async (prompt: typeof encoded) => await engine.score(await engine.prepare(prompt, 3), [5, 6, 7], [true], 'black');
      const { positions: _, ...flat } = encoded;
      const [placed, unplaced] = [await score(encoded), await score(flat)];
      expect(placed.every(Number.isFinite)).toBe(true);
      expect(placed).not.toEqual(unplaced);
    } finally {
      await engine.close();
    }
  });
});
