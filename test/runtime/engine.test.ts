/** The engine on a tiny random bundle: its rules, not its numbers (those are in parity-llava.test.ts). */
import { mkdtempSync, rmSync } from 'node:fs';
import { cp, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Bundle } from '#model/bundle.ts';
import type { EncodedPart, EncodedPrompt } from '#model/encoded.ts';
import { makeRandomBundle } from '#model/random.ts';
import { type Engine, type GenerateOptions, openEngine } from '#runtime/engine.ts';
import { countingRuntime } from './counting-runtime.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-engine-'));
const counting = countingRuntime();
let bundle: Bundle;
let engine: Engine;

beforeAll(async () => {
  bundle = await makeRandomBundle({ dir: join(folder, 'bundle'), seed: 3, modalities: ['DX'], maxImages: 4, citeUncalibrated: true });
  engine = await openEngine(counting.runtime, bundle.dir, bundle.manifest.graphs, bundle.manifest.sizes);
});
afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true, force: true });
});

const TEXT = 6;

/** Text, then images each followed by text. */
function promptOf(images: number, change: (data: Float32Array) => Float32Array = (data) => data): EncodedPrompt {
  const size = 56;
  const text = (from: number): EncodedPart => ({ kind: 'tokens', ids: Array.from({ length: TEXT }, (_, i) => 5 + ((from + i) % 20)) });
  const parts = Array.from({ length: images }, (_, image): EncodedPart[] => [{ kind: 'image', image }, text(image)]).flat();
  return {
    parts: [text(9), ...parts],
    images: Array.from({ length: images }, (_, image) => ({
      data: change(Float32Array.from({ length: 3 * size * size }, (_, i) => Math.sin(i * (image + 1)))),
      shape: [1, 3, size, size],
      black: [-1.5, -1.5, -1.5],
    })),
    text: null,
    inputIds: [],
  };
}

function options(changes: Partial<GenerateOptions> = {}): GenerateOptions {
  return { maxNewTokens: 8, minNewTokens: 0, stopIds: [], tokenizerSize: engine.sizes.vocabSize, ...changes };
}

test('rows of the id that a prompt blanks are zeros, and no others', async () => {
  const prompt = promptOf(1);
  const plain = await engine.prepare(prompt, 1);
  const blanked = await engine.prepare({ ...prompt, zeroRowId: 15 }, 1);
  const { hiddenSize } = engine.sizes;
  // The first text is ids 14 to 19.
  const expected = plain.texts[0]?.data.map((value, at) => (Math.floor(at / hiddenSize) === 1 ? 0 : value));
  expect(blanked.texts[0]?.data).toEqual(expected);
  expect(expected).not.toEqual(plain.texts[0]?.data);
});

describe('reuse', () => {
  test('subsets in counting order compute each image piece once per shared beginning, each image once per null', async () => {
    const prepared = await engine.prepare(promptOf(3), 8);
    const { tokens } = await engine.generate(prepared, options());
    counting.take();
    for (let subset = 7; subset >= 0; subset--) {
      const keep = [4, 2, 1].map((bit) => (subset & bit) !== 0);
      await engine.score(prepared, tokens, keep, 'black');
    }
    const piece = engine.sizes.visualTokens + TEXT;
    // Kept 1, 2, 3 are cached from the generation. The rest is the tree: the last piece lacks the row that goes with the answer.
    const tree = 1 * piece + 3 * piece + 7 * (piece - 1);
    expect(counting.take()).toEqual({ rows: tree + 8 * tokens.length, images: 3 });
  });

  test('a subset scores the same whatever was scored before it', async () => {
    const prepared = await engine.prepare(promptOf(2), 8);
    const tokens = [7, 8, 9];
    const alone = await engine.score(await engine.prepare(promptOf(2), 8), tokens, [false, true], 'mean');
    await engine.score(prepared, tokens, [true, false], 'black');
    await engine.score(prepared, tokens, [false, false], 'mean');
    expect(await engine.score(prepared, tokens, [false, true], 'mean')).toEqual(alone);
  });

  test('a kept image is the same under both nulls, a nulled one is not', async () => {
    const prepared = await engine.prepare(promptOf(2), 8);
    const score = (keep: boolean[], nullImage: 'black' | 'mean') => engine.score(prepared, [7, 8], keep, nullImage);
    expect(await score([true, true], 'black')).toEqual(await score([true, true], 'mean'));
    expect(await score([false, true], 'black')).not.toEqual(await score([true, true], 'black'));
  });
});

describe('generation', () => {
  test('what it generates is what it scores highest, token by token, and padding rows of the head are never chosen', async () => {
    const prepared = await engine.prepare(promptOf(1), 8);
    const free = await engine.generate(prepared, options());
    const highest = Math.max(...free.tokens);
    const limited = await engine.generate(prepared, options({ tokenizerSize: highest }));
    expect(limited.tokens.every((id) => id < highest)).toBe(true);
    const scored = await engine.score(prepared, free.tokens, [true], 'black');
    for (const [i, value] of scored.entries()) expect(value).toBeCloseTo(free.logProbs[i] ?? Number.NaN, 4);
  });

  test('it ends with the stop token, and not before the least number of tokens', async () => {
    const prepared = await engine.prepare(promptOf(1), 8);
    const [first = -1] = (await engine.generate(prepared, options())).tokens;
    expect(await engine.generate(prepared, options({ stopIds: [first] }))).toMatchObject({ tokens: [first], stop: 'stop' });
    const longer = await engine.generate(prepared, options({ stopIds: [first], minNewTokens: 2 }));
    expect(longer.tokens.slice(0, 2)).not.toContain(first);
    const unbarred = options({ stopIds: [first], minNewTokens: 2, barredIds: [] });
    expect(await engine.generate(prepared, unbarred)).toMatchObject({ tokens: [first], stop: 'stop' });
  });

  test('it ends at the limit and says so, and tells each token as it comes', async () => {
    const told: number[] = [];
    const prepared = await engine.prepare(promptOf(0), 3);
    const generated = await engine.generate(prepared, options({ maxNewTokens: 3, onToken: (id) => told.push(id) }));
    expect(generated).toMatchObject({ stop: 'length', tokens: told });
    expect(told.length).toBe(3);
  });

  test('an answer that repeats itself is ended as repetition', async () => {
    // One id is allowed, so the only answer is that id again and again.
    const prepared = await engine.prepare(promptOf(0), 200);
    const generated = await engine.generate(prepared, options({ maxNewTokens: 200, tokenizerSize: 1 }));
    expect(generated.stop).toBe('repetition');
    expect(generated.tokens.length).toBeLessThan(100);
  });
});

describe('refusals', () => {
  test('a prompt longer than the context is prompt-too-long with its numbers, also together with the answer', async () => {
    const { contextTokens, visualTokens } = engine.sizes;
    const rows = TEXT + visualTokens + TEXT;
    await expect(engine.prepare(promptOf(1), contextTokens)).rejects.toMatchObject({
      code: 'prompt-too-long',
      message: expect.stringContaining(`${rows} tokens and ${contextTokens} more`),
    });
    const prepared = await engine.prepare(promptOf(1), 1);
    const answer = new Array<number>(contextTokens).fill(5);
    await expect(engine.score(prepared, answer, [true], 'black')).rejects.toMatchObject({ code: 'prompt-too-long' });
  });

  test('an id outside the embedding table is bundle-invalid, not a row from its other end', async () => {
    for (const id of [-1, engine.sizes.vocabSize, 1.5]) {
      const prompt: EncodedPrompt = { parts: [{ kind: 'tokens', ids: [id] }], images: [], text: null, inputIds: [] };
      await expect(engine.prepare(prompt, 1)).rejects.toMatchObject({
        code: 'bundle-invalid',
        message: expect.stringContaining(`id ${id}`),
      });
    }
  });

  test('a picture with a value that is no number is not-finite, and names the image', async () => {
    const prepared = await engine.prepare(
      promptOf(2, (data) => data.fill(Number.NaN, 10, 11)),
      8,
    );
    await expect(engine.generate(prepared, options())).rejects.toMatchObject({
      code: 'not-finite',
      message: expect.stringContaining('image 1'),
    });
  });

  test('pixels are looked at before they are run, features and logits after', async () => {
    const prepared = await engine.prepare(
      promptOf(1, (data) => data.fill(Number.POSITIVE_INFINITY, 7, 8)),
      8,
    );
    await expect(engine.generate(prepared, options())).rejects.toMatchObject({
      message: expect.stringMatching(/^pixels of image 1: value 7 /),
    });
  });

  test('weights that became NaN are not-finite, in an answer and in a score', async () => {
    const spoilt = join(folder, 'spoilt');
    await cp(bundle.dir, spoilt, { recursive: true });
    const path = join(spoilt, bundle.manifest.graphs.data);
    const { size } = await stat(path);
    await writeFile(path, new Uint8Array(new Float32Array(Math.ceil(size / 4)).fill(Number.NaN).buffer));
    const broken = await openEngine(counting.runtime, spoilt, bundle.manifest.graphs, bundle.manifest.sizes);
    const prepared = await broken.prepare(promptOf(0), 8);
    const refusal = { code: 'not-finite', message: expect.stringMatching(/^logits: /) };
    await expect(broken.generate(prepared, options())).rejects.toMatchObject(refusal);
    await expect(broken.score(prepared, [5], [], 'black')).rejects.toMatchObject(refusal);
    const seeing = await broken.prepare(promptOf(1), 8);
    await expect(broken.generate(seeing, options())).rejects.toMatchObject({ message: expect.stringMatching(/^features of image 1: /) });
    await broken.close();
  });

  test('an empty prompt and a list of another number of images are refused', async () => {
    await expect(engine.prepare({ parts: [], images: [], text: null, inputIds: [] }, 1)).rejects.toMatchObject({
      code: 'request-malformed',
    });
    const prepared = await engine.prepare(promptOf(2), 1);
    await expect(engine.score(prepared, [5], [true], 'black')).rejects.toThrow('1 images are to be kept or nulled, the prompt has 2');
  });
});
