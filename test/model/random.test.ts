import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart, RawImage } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { familyOf } from '#model/families/registry.ts';
import { makeRandomBundle } from '#model/random.ts';
import { openEngine } from '#runtime/engine.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from './folder.ts';

const folder = await temporaryFolder();
const options = { modalities: ['CT', 'DX', 'MR'], maxImages: 8, citeUncalibrated: true };

/** A disc on a slope with grain: any picture that is not constant will do. */
function film(seed: number, width = 90, height = 70): RawImage {
  let state = seed;
  const grain = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return (state >> 16) % 20;
  };
  const isDisc = (i: number) => ((i % width) - 20 - ((seed * 7) % 50)) ** 2 + (Math.floor(i / width) - 30) ** 2 < 200;
  return {
    width,
    height,
    channels: 1,
    pixels: Uint8Array.from({ length: width * height }, (_, i) => 40 + i / height / 2 + (isDisc(i) ? 90 : 0) + grain()),
  };
}

function prompt(images: readonly RawImage[]): PromptPart[] {
  return [
    { kind: 'text', text: 'History: cough for two weeks.\n' },
    ...images.flatMap((image): PromptPart[] => [
      { kind: 'text', text: 'Current film, chest PA: ' },
      { kind: 'image', image },
    ]),
    { kind: 'text', text: 'Write the findings and the impression.' },
  ];
}

test('the same seed gives the same bundle, another seed another one', async () => {
  const digests = [];
  for (const [name, seed] of [
    ['a', 5],
    ['b', 5],
    ['c', 6],
  ] as const) {
    digests.push(
      (await makeRandomBundle({ ...options, dir: join(folder, name), seed, name: 'random' })).manifest.files['weights.data']?.sha256,
    );
  }
  expect(digests[1]).toBe(digests[0]);
  expect(digests[2]).not.toBe(digests[0]);
});

describe.each([1, 2])('seed %d', (seed) => {
  test.each([1, 3])('with %d images it writes six sentences that depend on their images under both nulls', async (count) => {
    const bundle = await makeRandomBundle({ ...options, dir: join(folder, `${seed}-${count}`), seed });
    expect(bundle.manifest).toMatchObject({
      stamped: 'test',
      intendedUse: { modalities: options.modalities },
      attribution: { citeUncalibrated: true, threshold: null },
    });
    const tokenizer = await bundleTokenizer(bundle);
    const engine = await openEngine(
      openStockRuntime({ provider: 'cpu', threads: 1, strict: false }),
      bundle.dir,
      bundle.manifest.graphs,
      bundle.manifest.sizes,
    );
    const images = Array.from({ length: count }, (_, i) => film(seed * 10 + i));
    const prepared = await engine.prepare(familyOf('llava').encode(bundle.manifest, tokenizer, prompt(images)), 64);
    const { stopIds } = bundle.manifest.generation;
    const { tokens, stop } = await engine.generate(prepared, { maxNewTokens: 64, minNewTokens: 0, stopIds, tokenizerSize: tokenizer.size });
    expect(stop).toBe('stop');
    expect(tokenizer.decode(tokens).text).toMatch(
      /^Findings: The central area is \w+\.\s+(The [\w ]+ is \w+\.\s+){4}Impression: The picture as a whole is \w+\.\s+$/,
    );
    for (const nullImage of ['black', 'mean'] as const) {
      const all = await engine.score(
        prepared,
        tokens,
        images.map(() => true),
        nullImage,
      );
      const none = await engine.score(
        prepared,
        tokens,
        images.map(() => false),
        nullImage,
      );
      // Tokens 1, 4, 7, ... are the adjectives.
      for (let at = 1; at < 18; at += 3) expect((all[at] ?? 0) - (none[at] ?? 0)).toBeGreaterThan(0.1);
    }
    await engine.close();
  });
});
