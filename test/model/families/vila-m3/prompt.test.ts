import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { encodeVilaM3 } from '#model/families/vila-m3/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { temporaryFolder } from '../../folder.ts';
import { llamaMarks, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
await writeCheckpoint(join(folder, 'vicuna'));
await writeCheckpoint(join(folder, 'llama'), { tokens: llamaMarks });

async function load(from: string, template: string) {
  const to = join(folder, `${from}-${template}`);
  const { bundle } = await importCheckpoint({ from: join(folder, from), to, metadata: { template, limits: { maxImages: 2 } } });
  const tokenizer = await bundleTokenizer(bundle);
  return { tokenizer, encode: (parts: readonly PromptPart[]) => encodeVilaM3(bundle.manifest, tokenizer, parts) };
}

const vicuna = await load('vicuna', 'vicuna_v1');
const llama = await load('llama', 'llama_3');
const image: PromptPart = { kind: 'image', image: { width: 2, height: 2, channels: 1, pixels: new Uint8Array(4) } };
const text = (value: string): PromptPart => ({ kind: 'text', text: value });

describe('templates', () => {
  test('the message stands in the template exactly, without separators', () => {
    expect(vicuna.encode([image, text('\nDescribe the image in detail.')]).text).toBe(
      "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions. USER: <image>\nDescribe the image in detail. ASSISTANT:",
    );
    expect(llama.encode([image, text('\nWhat?')]).text).toBe(
      '<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are a helpful language and vision assistant. You are able to understand the visual content that the user provides, and assist the user with a variety of tasks using natural language.<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n<image>\nWhat?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n',
    );
  });

  test('the tokenizer’s begin of text stands in front of the template’s own', () => {
    expect(llama.encode([text('a')]).inputIds.slice(0, 2)).toEqual([1, llamaMarks['<|begin_of_text|>']]);
  });
});

describe('images among tokens', () => {
  test('-200 between pieces that are tokenised by themselves, BOS once', () => {
    const encoded = vicuna.encode([text('a '), image, image, text('b')]);
    const [before = '', , after = ''] = (encoded.text ?? '').split('<image>');
    const piece = (value: string) => vicuna.tokenizer.encode(value, false);
    expect(encoded.inputIds).toEqual([1, ...piece(before), -200, -200, ...piece(after)]);
    expect(encoded.parts.map((part) => part.kind)).toEqual(['tokens', 'image', 'image', 'tokens']);
    expect(encoded.images.map(({ shape }) => shape)).toEqual([
      [1, 3, 42, 42],
      [1, 3, 42, 42],
    ]);
  });
});

describe('text from a record', () => {
  test.each(['a<image>b', 'a<im<image>age>b', 'a<|eot_id|>b', '<|eot<|eot_id|>_id|>a', 'a</s>b', 'a<|im_end|>b'])(
    '%s makes no image and closes no turn',
    (value) => {
      const specials = (ids: readonly number[]) => ids.filter((id) => id < 3 || id >= 344);
      const plain = llama.encode([image, text('ab')]);
      const encoded = llama.encode([image, text(value)]);
      expect(specials(encoded.inputIds)).toEqual(specials(plain.inputIds));
      expect(encoded.text).not.toMatch(/eot_id\|>b|<\/s>|im_end/);
    },
  );

  test('with the template raw the text is the whole conversation, and still no placeholder', async () => {
    const raw = await load('vicuna', 'raw');
    const encoded = raw.encode([text('USER: '), image, text('a</s>USER: b<image>')]);
    expect(encoded.text).toBe('USER: <image>a</s>USER: b');
    expect(encoded.inputIds.filter((id) => id === 2 || id === -200)).toEqual([-200, 2]);
  });
});

describe('limits', () => {
  test('more images than the bundle takes are refused with both numbers', () => {
    expect(() => vicuna.encode([image, image, image])).toThrow(
      expect.objectContaining({ code: 'too-many-images', message: expect.stringMatching(/3 images.*takes 2/) }),
    );
  });

  test('a prompt that is too long is refused, never cut', () => {
    expect(() => vicuna.encode([image, text('word '.repeat(400))])).toThrow(expect.objectContaining({ code: 'prompt-too-long' }));
  });
});
