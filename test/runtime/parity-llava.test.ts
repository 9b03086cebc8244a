/** Every case of golden/llava through our own graphs and engine; the numbers come from an independent PyTorch reference. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '#runtime/inspect.ts';
import { available, sharedPath } from '../setup/require.ts';
import { type Golden, type Loaded, loadVariant, readCase } from './golden-llava.ts';

/** Largest excess of |found - expected| over max(1e-4, 1e-3 |expected|); at most 0 is a pass. */
function excess(found: Float32Array, expected: Float32Array = new Float32Array(0)): number {
  expect(found.length).toBe(expected.length);
  expect(found.length).toBeGreaterThan(0);
  let worst = Number.NEGATIVE_INFINITY;
  for (const [i, value] of expected.entries()) {
    worst = Math.max(worst, Math.abs((found[i] ?? Number.NaN) - value) - Math.max(1e-4, 1e-3 * Math.abs(value)));
  }
  return worst;
}

const golden = sharedPath('golden', 'llava');
const here = available('shared');
const variants = here ? readdirSync(golden).filter((name) => !name.includes('.')) : [];

describe.skipIf(!here)('golden llava', () => {
  test('there are variants to compare', () => {
    expect(variants.length).toBeGreaterThan(0);
  });

  describe.each(variants)('%s', (variant) => {
    const folder = join(golden, variant);
    const names = readdirSync(join(folder, 'cases')).filter((name) => name.endsWith('.json'));
    let loaded: Loaded;
    beforeAll(async () => {
      loaded = await loadVariant(folder);
    });
    afterAll(async () => {
      await loaded.close();
    });
    const read = (name: string): Promise<Golden> => readCase(folder, name.replace('.json', ''), loaded.architecture);

    test.each(names)('%s: every stage equals the reference', async (name) => {
      const { expected, prompt, tensors } = await read(name);
      const prepared = await loaded.engine.prepare(prompt, expected.output_ids.length);
      const stages = await inspect(loaded.engine, prepared, expected.output_ids);
      expect(excess(stages.vision, tensors.get('vision'))).toBeLessThanOrEqual(0);
      expect(excess(stages.features, tensors.get('features'))).toBeLessThanOrEqual(0);
      expect(excess(stages.embeds, tensors.get('embeds'))).toBeLessThanOrEqual(0);
      expect(excess(stages.logits, tensors.get('logits'))).toBeLessThanOrEqual(0);
      expect(excess(stages.stepLogits, tensors.get('step_logits'))).toBeLessThanOrEqual(0);
    });

    test.each(names)('%s: greedy tokens are equal and every subset of images scores alike', async (name) => {
      const { expected, prompt } = await read(name);
      const prepared = await loaded.engine.prepare(prompt, expected.generation.max_new_tokens);
      const generated = await loaded.engine.generate(prepared, {
        maxNewTokens: expected.generation.max_new_tokens,
        minNewTokens: 0,
        stopIds: expected.generation.stop_ids,
        tokenizerSize: Number.POSITIVE_INFINITY,
      });
      expect(generated.tokens).toEqual(expected.output_ids);
      let compared = 0;
      for (const [nullImage, values] of [
        ['black', expected.score.null_black],
        ['mean', expected.score.null_mean],
      ] as const) {
        for (const [subset, value] of Object.entries(values)) {
          const keep = [...subset].map((bit) => bit === '1');
          const scores = await loaded.engine.score(prepared, expected.answer_ids, keep, nullImage);
          expect(Math.abs(scores.reduce((sum, score) => sum + score, 0) - value), `${nullImage} ${subset}`).toBeLessThanOrEqual(1e-3);
          compared++;
        }
      }
      expect(compared).toBe(2 ** (expected.score.images + 1));
    });
  });
});
