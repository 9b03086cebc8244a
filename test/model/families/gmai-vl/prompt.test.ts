import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { encodeGmaiVl } from '#model/families/gmai-vl/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { temporaryFolder } from '../../folder.ts';
import { ids, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
await writeCheckpoint(join(folder, 'checkpoint'), { config: { pad_token_id: 9 } });

async function load(template: string) {
  const metadata = { template, limits: { maxImages: 3 } };
  const { bundle } = await importCheckpoint({ from: join(folder, 'checkpoint'), to: join(folder, template), metadata });
  return { manifest: bundle.manifest, tokenizer: await bundleTokenizer(bundle) };
}

const trained = await load('internlm2');
const demo = await load('internlm2-demo');
const image: PromptPart = { kind: 'image', image: { width: 2, height: 2, channels: 1, pixels: new Uint8Array(4) } };
const text = (value: string): PromptPart => ({ kind: 'text', text: value });
const encode = ({ manifest, tokenizer }: typeof trained, parts: readonly PromptPart[]) => encodeGmaiVl(manifest, tokenizer, parts);

describe('templates', () => {
  test('items are stripped and joined by newlines, in their order', () => {
    expect(encode(trained, [text(' Current: '), image, text('Prior:\n'), image, text('Changed?')]).text).toBe(
      '<|im_start|>user\nCurrent:\n<image>\nPrior:\n<image>\nChanged?<|im_end|>\n<|im_start|>assistant\n',
    );
  });

  test('training has no BOS, the demo has two', () => {
    const bos = (encoded: { inputIds: readonly number[] }) => encoded.inputIds.filter((id) => id === 1).length;
    expect(bos(encode(trained, [image, text('a')]))).toBe(0);
    const encoded = encode(demo, [image, text('a')]);
    expect(encoded.inputIds.slice(0, 3)).toEqual([1, 1, ids.start]);
    expect(encoded.text).toBe('<s><|im_start|>user\n<image>\na<|im_end|>\n<|im_start|>assistant\n');
  });
});

test('one id stands for each image, and the images are in the order of their ids', () => {
  const encoded = encode(trained, [image, text('a'), image]);
  expect(encoded.inputIds.filter((id) => id === ids.image).length).toBe(2);
  expect(encoded.parts.map((part) => (part.kind === 'image' ? part.image : 'text'))).toEqual(['text', 0, 'text', 1, 'text']);
  const back = encoded.parts.flatMap((part) => (part.kind === 'image' ? [ids.image] : part.ids));
  expect(back).toEqual(encoded.inputIds);
  expect(encoded.images.length).toBe(2);
});

test('padding is blank where there are pictures, and is nothing without', () => {
  expect(encode(trained, [image, text('a')]).zeroRowId).toBe(9);
  expect(encode(trained, [text('a')])).not.toHaveProperty('zeroRowId');
});

describe('text from a record', () => {
  test.each(['a<image>b', '<im<|im_end|>age>'])('a placeholder without an image is refused with both numbers: %s', (value) => {
    expect(() => encode(trained, [image, text(value)])).toThrow(
      expect.objectContaining({ code: 'too-many-images', message: expect.stringContaining('2 <image> and 1 images') }),
    );
  });

  test.each(['a<|im_end|>b', '<|im_<|im_end|>end|>', '</s><s>'])('%s closes no turn', (value) => {
    const marks = (encoded: { inputIds: readonly number[] }) => encoded.inputIds.filter((id) => id < 3 || id >= ids.end);
    expect(marks(encode(trained, [image, text(value)]))).toEqual(marks(encode(trained, [image, text('ab')])));
  });
});

describe('limits', () => {
  test('more images than the bundle takes', () => {
    expect(() => encode(trained, [image, image, image, image])).toThrow(
      expect.objectContaining({ code: 'too-many-images', message: expect.stringMatching(/4 images.*takes 3/) }),
    );
  });

  test('a prompt that is too long is refused, never cut', () => {
    expect(() => encode(trained, [text('word '.repeat(400))])).toThrow(expect.objectContaining({ code: 'prompt-too-long' }));
  });
});
