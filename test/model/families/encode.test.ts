import { join } from 'node:path';
import { expect, test } from 'vitest';
import { bundleTokenizer } from '#model/bundle.ts';
import type { Part } from '#model/encoded.ts';
import { encodePrompt, takesVolumes } from '#model/families/encode.ts';
import { makeRandomBundle } from '#model/random.ts';
import { temporaryFolder } from '../folder.ts';

const bundle = await makeRandomBundle({
  dir: join(await temporaryFolder(), 'bundle'),
  seed: 1,
  modalities: ['CT'],
  maxImages: 2,
  citeUncalibrated: true,
});
const tokenizer = await bundleTokenizer(bundle);
const image: Part = { kind: 'image', image: { width: 2, height: 2, channels: 1, pixels: new Uint8Array(4) } };
const volume: Part = { kind: 'volume', volume: { depth: 2, height: 2, width: 2, values: Float32Array.from({ length: 8 }, (_, i) => i) } };

test('a volume for a family that reads pictures is refused by name, pictures are not', () => {
  expect(takesVolumes(bundle.manifest)).toBe(false);
  expect(() => encodePrompt(bundle.manifest, tokenizer, [image, volume], null)).toThrow(
    expect.objectContaining({ code: 'pixel-unsupported', message: expect.stringContaining('llava') }),
  );
  expect(encodePrompt(bundle.manifest, tokenizer, [image, image], null).images).toHaveLength(2);
});

test('families that read volumes say so; an unknown one is refused', () => {
  expect(takesVolumes({ family: 'radfm' })).toBe(true);
  expect(() => takesVolumes({ family: 'nobody' })).toThrow(expect.objectContaining({ code: 'bundle-invalid' }));
});
