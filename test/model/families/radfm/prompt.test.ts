import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart, RawImage } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import type { VolumePart } from '#model/encoded.ts';
import { encodeRadfm } from '#model/families/radfm/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { temporaryFolder } from '../../folder.ts';
import { latents, vocab, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
await writeCheckpoint(join(folder, 'checkpoint'));
const { bundle } = await importCheckpoint({ from: join(folder, 'checkpoint'), to: join(folder, 'bundle') });
const tokenizer = await bundleTokenizer(bundle);

const picture: RawImage = { width: 2, height: 2, channels: 1, pixels: Uint8Array.of(0, 50, 100, 150) };
const image: PromptPart = { kind: 'image', image: picture };
const text = (value: string): PromptPart => ({ kind: 'text', text: value });
const volume = (depth: number): VolumePart => ({
  kind: 'volume',
  volume: { depth, height: 2, width: 2, values: Float32Array.from({ length: depth * 4 }, (_, i) => i) },
});
const encode = (parts: readonly (PromptPart | VolumePart)[], manifest: Manifest = bundle.manifest) =>
  encodeRadfm(manifest, tokenizer, parts);
const ids = (piece: string) => tokenizer.encode(piece, false);
const marked = (place: number) => [vocab, ...Array.from({ length: latents }, (_, row) => vocab + 2 + place * latents + row), vocab + 1];

describe('ids', () => {
  test('BOS is in front; rows are counted through all images', () => {
    expect(encode([image, image, text('a')]).inputIds).toEqual([1, ...marked(0), ...marked(1), ...ids('a')]);
  });

  test('white space beside an image is dropped, and each text has a dummy prefix of its own', () => {
    const { inputIds } = encode([text(' a \n'), image, text('\n b '), image, text('?')]);
    expect(inputIds).toEqual([1, ...ids(' a'), ...marked(0), ...ids('b'), ...marked(1), ...ids('?')]);
    expect(ids(' a')).not.toEqual(ids('a'));
  });

  test('white space alone between two images is nothing', () => {
    expect(encode([image, text(' \n'), image]).inputIds).toEqual([1, ...marked(0), ...marked(1)]);
  });

  test('neighbouring texts are one text', () => {
    expect(encode([text('a'), text(' b'), image]).inputIds).toEqual(encode([text('a b'), image]).inputIds);
  });

  test('a prompt without an image keeps its white space', () => {
    expect(encode([text(' a ')]).inputIds).toEqual([1, ...ids(' a ')]);
  });

  test('the engine gets the marks as tokens and the rows as images', () => {
    expect(encode([text('a'), image, text('b')]).parts).toEqual([
      { kind: 'tokens', ids: [1, ...ids('a'), vocab] },
      { kind: 'image', image: 0 },
      { kind: 'tokens', ids: [vocab + 1, ...ids('b')] },
    ]);
  });

  test.each(['<image>', '</image>', '<image3>', '<s>', '<ima<image>ge7>'])('%s in a text is removed: a record adds no image', (token) => {
    expect(encode([image, text(`a${token}`)]).inputIds).toEqual(encode([image, text('a')]).inputIds);
  });
});

describe('sizes', () => {
  test('every image has the depth of the deepest, and side by side they are of one size', () => {
    const { images } = encode([image, volume(10), volume(3)]);
    expect(images.map(({ shape }) => shape)).toEqual(Array.from({ length: 3 }, () => [1, 3, 24, 24, 8]));
  });

  test('a picture alone is four slices deep', () => {
    expect(encode([image]).images[0]?.shape).toEqual([1, 3, 24, 24, 4]);
  });

  test('a depth without positions is refused', () => {
    expect(() => encode([volume(23)])).toThrow(
      expect.objectContaining({ code: 'pixel-unsupported', message: expect.stringMatching(/24.*20/) }),
    );
  });

  test('too many images and too long a prompt are refused with both numbers', () => {
    const many = Array.from({ length: 9 }, () => image);
    expect(() => encode(many)).toThrow(expect.objectContaining({ code: 'too-many-images', message: expect.stringMatching(/9.*8/) }));
    const tight = { ...bundle.manifest, limits: { ...bundle.manifest.limits, contextTokens: 11 } };
    expect(() => encode([image, text('a')], tight)).toThrow(
      expect.objectContaining({ code: 'prompt-too-long', message: expect.stringMatching(/11.*11/) }),
    );
  });
});
