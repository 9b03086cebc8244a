/** The length of an answer is guessed by the mean log-probability of its tokens, each length read by itself. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { type Bundle, bundleTokenizer } from '#model/bundle.ts';
import { encodeMasked } from '#model/families/medvint-te/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Tokenizer } from '#model/tokenizer/tokenizer.ts';
import { type Engine, openEngine } from '#runtime/engine.ts';
import { guessLength } from '#runtime/one-pass.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { writeCheckpoint } from '../model/families/medvint-te/checkpoint.ts';
import { temporaryFolder } from '../model/folder.ts';

const folder = await temporaryFolder();
const pixels = Uint8Array.from({ length: 600 }, (_, i) => (i * 7 + Math.floor(i / 30) * 11) % 256);
const parts: PromptPart[] = [
  { kind: 'image', image: { width: 30, height: 20, channels: 1, pixels } },
  { kind: 'text', text: 'where is it? ' },
];

describe('answers in one pass', () => {
  let bundle: Bundle;
  let tokenizer: Tokenizer;
  let engine: Engine;
  beforeAll(async () => {
    await writeCheckpoint(join(folder, 'checkpoint'), 'clip');
    bundle = (await importCheckpoint({ from: join(folder, 'checkpoint'), to: join(folder, 'bundle') })).bundle;
    tokenizer = await bundleTokenizer(bundle);
    const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
    engine = await openEngine(runtime, bundle.dir, bundle.manifest.graphs, bundle.manifest.sizes);
  });
  afterAll(async () => await engine.close());

  const encode = (length: number) => encodeMasked(bundle.manifest, tokenizer, parts, length);
  const optionsOf = (maxNewTokens: number, onToken: (id: number) => void = () => undefined) => ({
    maxNewTokens,
    minNewTokens: 0,
    stopIds: [],
    tokenizerSize: tokenizer.size,
    onToken,
  });

  test('the likeliest of all lengths is kept, and only its tokens are told', async () => {
    const lengths = [1, 2, 3, 4, 5, 6];
    const means: number[] = [];
    for (const length of lengths) {
      const { logProbs } = await engine.generate(await engine.prepare(encode(length), 0), optionsOf(length));
      expect(logProbs.length).toBe(length);
      means.push(logProbs.reduce((sum, value) => sum + value, 0) / length);
    }
    const best = lengths[means.indexOf(Math.max(...means))];
    const told: number[] = [];
    const { generated, note } = await guessLength(
      engine,
      lengths,
      encode,
      optionsOf(6, (id) => told.push(id)),
    );
    expect(generated.tokens.length).toBe(best);
    expect(told).toEqual(generated.tokens);
    expect(generated.stop).toBe('length');
    expect(note).toContain(`${best} of the 1, 2, 3, 4, 5, 6 tokens`);
  });

  test('a limit of one token leaves one length, which is a guess all the same', async () => {
    const { generated, note } = await guessLength(engine, [1, 2, 3], encode, optionsOf(1));
    expect(generated).toMatchObject({ stop: 'length' });
    expect(generated.tokens.length).toBe(1);
    expect(note).toContain('1 of the 1 tokens');
  });

  test('the only length of a form of answer is no guess', async () => {
    const { generated, note } = await guessLength(engine, [2], encode, optionsOf(8));
    expect([generated.stop, generated.tokens.length, note]).toEqual(['stop', 2, null]);
  });

  test('scores are asked for as many tokens as the prompt has rows for', async () => {
    const prepared = await engine.prepare(encode(2), 0);
    await expect(engine.score(prepared, [3, 4, 5], [true], 'black')).rejects.toMatchObject({ code: 'internal' });
    const { tokens, logProbs } = await engine.generate(prepared, optionsOf(2));
    const scored = await engine.score(prepared, tokens, [true], 'black');
    for (const [i, value] of scored.entries()) expect(value).toBeCloseTo(logProbs[i] ?? Number.NaN, 6);
  });
});
