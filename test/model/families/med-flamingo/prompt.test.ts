import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { encodeMedFlamingo, sightOf } from '#model/families/med-flamingo/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { temporaryFolder } from '../../folder.ts';
import { ids, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
const from = join(folder, 'checkpoint');
await writeCheckpoint(from);
const { bundle } = await importCheckpoint({
  from,
  to: join(folder, 'bundle'),
  metadata: { mediaMask: 'following', limits: { maxImages: 3 } },
});
const tokenizer = await bundleTokenizer(bundle);
const { manifest } = bundle;
const preceding: Manifest = { ...manifest, prompt: { ...manifest.prompt, mediaMask: 'preceding' } };

const image: PromptPart = { kind: 'image', image: { width: 9, height: 9, channels: 1, pixels: new Uint8Array(81) } };
const text = (words: string): PromptPart => ({ kind: 'text', text: words });
const encode = (of: Manifest, ...parts: PromptPart[]) => encodeMedFlamingo(of, tokenizer, parts);

describe('which picture a row sees', () => {
  const I = 9;
  test('following: itself, the next one, none after the last and for the answer', () => {
    expect(sightOf([1, I, 2, 3, I, 4], I, 'following')).toEqual({ rows: [1, 1, 2, 2, 2, 0], after: 0 });
  });
  test('preceding: none before the first, itself, the last one, for the answer too', () => {
    expect(sightOf([1, I, 2, 3, I, 4], I, 'preceding')).toEqual({ rows: [0, 1, 1, 1, 2, 2], after: 2 });
  });
  test('without pictures nothing is seen', () => {
    for (const rule of ['following', 'preceding'] as const) expect(sightOf([1, 2], I, rule)).toEqual({ rows: [0, 0], after: 0 });
  });
});

describe('a prompt', () => {
  test('begins with the unknown id for a nameless BOS, and drops white space beside an added token', () => {
    const { text: whole, inputIds } = encode(manifest, text('a b '), image, text(' c'));
    expect(whole).toBe('a b <image> c');
    expect(inputIds).toEqual([0, ...tokenizer.encode('a b', false), ids.image, ...tokenizer.encode('c', false)]);
  });

  test('holds each picture before the first row that sees it, and pictures take no rows', () => {
    const parts = [text('a'), image, text('b'), image, text('c')];
    const kinds = (of: Manifest) => encode(of, ...parts).parts.map((part) => (part.kind === 'image' ? part.image : part.ids.length));
    const [a = 0, b = 0, c = 0] = ['a', 'b', 'c'].map((words) => tokenizer.encode(words, false).length);
    expect(kinds(manifest)).toEqual([0, 0, 1 + a + 1, 1, b + 1 + c]);
    expect(kinds(preceding)).toEqual([1 + a, 0, 1 + b, 1, 1 + c]);
  });

  test('lets a text end a chunk, and takes other marks out of it', () => {
    expect(encode(manifest, text('a<|endofchunk|>b')).inputIds).toContain(ids.endOfChunk);
    expect(encode(manifest, text('a<PAD>b</s><unk>c')).text).toBe('abc');
  });

  test.each([1, 2])('refuses a text with %i placeholders without a picture, and names both numbers', (count) => {
    expect(() => encode(manifest, image, text('<image>'.repeat(count)))).toThrow(`the prompt has ${count + 1} <image> and 1 images`);
  });

  test('refuses more pictures than the bundle takes; those of the bundle itself do not count', () => {
    expect(() => encode(manifest, image, image, image, image)).toThrow('4 images, the bundle checkpoint takes 3');
    const fixed: PromptPart = { ...image, isFixed: true };
    const { images } = encode(manifest, fixed, fixed, image, image, image);
    expect(images.map((each) => each.isFixed === true)).toEqual([true, true, false, false, false]);
  });

  test('refuses what does not fit the context, with both numbers', () => {
    expect(() => encode(manifest, text('a '.repeat(250)))).toThrow(/rows, the bundle checkpoint takes fewer than 200/);
  });

  test('of any parts has its ids in order, one sight for each, and every picture before it is seen', () => {
    const part = fc.oneof(fc.constant(image), fc.string({ unit: fc.constantFrom('a', ' ', 'b', '?'), maxLength: 6 }).map(text));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), fc.constantFrom(manifest, preceding), (parts, of) => {
        fc.pre(parts.filter(({ kind }) => kind === 'image').length <= 3);
        const { parts: encoded, inputIds, sight } = encode(of, ...parts);
        expect(encoded.flatMap((each) => (each.kind === 'tokens' ? each.ids : []))).toEqual(inputIds);
        expect(sight?.rows).toHaveLength(inputIds.length);
        let [images, row] = [0, 0];
        for (const each of encoded) {
          if (each.kind === 'image') images++;
          else for (const _ of each.ids) expect(sight?.rows[row++]).toBeLessThanOrEqual(images);
        }
        expect(images).toBe(parts.filter(({ kind }) => kind === 'image').length);
      }),
      { numRuns: 60 },
    );
  });
});
