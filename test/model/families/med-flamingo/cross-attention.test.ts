/** The decoder with pictures from the side: which rows a picture reaches, and pieces against one pass. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { encodeMedFlamingo } from '#model/families/med-flamingo/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { joinRows } from '#runtime/decoder.ts';
import { type Engine, openEngine, type Prepared } from '#runtime/engine.ts';
import { logProbability } from '#runtime/log-softmax.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from '../../folder.ts';
import { noise } from '../answering.ts';
import { writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
const from = join(folder, 'checkpoint');
await writeCheckpoint(from, {
  // Random, so that a picture changes what is seen of it; wide open gates, so that this comes through; both names of a gated layer alike.
  tensors: (tensors) => {
    const random = new Map(noise(tensors, 5).map((one) => [one.name, one.values]));
    const known = (name: string) => random.get(name.replace(/model\.layers\.(\d+)\.gated_cross_attn_layer/, 'gated_cross_attn_layers.$1'));
    return tensors.map((one) => ({ ...one, values: one.name.endsWith('_gate') ? Float32Array.of(2) : (known(one.name) ?? one.values) }));
  },
});

const picture = (step: number): PromptPart => {
  const pixels = Uint8Array.from({ length: 625 }, (_, i) => (i * step + Math.floor(i / 25) * 11) % 256);
  return { kind: 'image', image: { width: 25, height: 25, channels: 1, pixels } };
};
const parts: readonly PromptPart[] = [
  { kind: 'text', text: 'the a' },
  picture(3),
  { kind: 'text', text: 'is it' },
  picture(7),
  { kind: 'text', text: 'no or' },
];
const answer = [284, 265, 278];

describe.each(['following', 'preceding'] as const)('%s', (mediaMask) => {
  let engine: Engine;
  let prepared: Prepared;
  beforeAll(async () => {
    const { bundle } = await importCheckpoint({ from, to: join(folder, mediaMask), metadata: { mediaMask } });
    const { graphs, sizes } = bundle.manifest;
    engine = await openEngine(openStockRuntime({ provider: 'cpu', threads: 1, strict: false }), bundle.dir, graphs, sizes);
    prepared = await engine.prepare(encodeMedFlamingo(bundle.manifest, await bundleTokenizer(bundle), parts), answer.length);
  });
  afterAll(async () => {
    await engine.close();
  });

  /** Logits of every row of prompt and answer from one pass, with image `hidden` at black. */
  const onePass = async (hidden: number | null): Promise<Float32Array[]> => {
    const { rows: prompt, around } = await engine.whole(prepared);
    const images = [];
    for (const [place, shown] of (around.media?.images ?? []).entries())
      images.push(place === hidden ? (await engine.look(prepared, place, 'black')).features : shown);
    const rows = joinRows([prompt, await engine.decoder.embed(answer)], engine.sizes.hiddenSize);
    const media = around.media === undefined ? undefined : { ...around.media, images };
    const { logits } = await engine.decoder.step(engine.decoder.emptyCache(), rows, [...Array(rows.count).keys()], { ...around, media });
    const { vocabSize } = engine.sizes;
    return Array.from({ length: rows.count }, (_, row) => logits.slice(row * vocabSize, (row + 1) * vocabSize));
  };

  test('a picture reaches the first row that sees it, and no row before', async () => {
    const { rows: seen = [] } = prepared.encoded.sight ?? {};
    const all = await onePass(null);
    for (const [image, time] of [1, 2].entries()) {
      const without = await onePass(image);
      const apart = all.map((logits, row) => Math.max(...logits.map((value, i) => Math.abs(value - (without[row]?.[i] ?? Number.NaN)))));
      const first = seen.indexOf(time);
      expect(Math.max(0, ...apart.slice(0, first))).toBe(0);
      expect(apart[first]).toBeGreaterThan(1e-4);
    }
  });

  test('pieces on the cache give what one pass gives, with both pictures and without one', async () => {
    for (const hidden of [null, 0, 1]) {
      const logits = await onePass(hidden);
      const expected = answer.map((id, place) =>
        logProbability(logits[prepared.rows - 1 + place] ?? new Float32Array(0), 0, engine.sizes.vocabSize, id),
      );
      const found = await engine.score(prepared, answer, [hidden !== 0, hidden !== 1], 'black');
      for (const [i, value] of found.entries()) expect(value).toBeCloseTo(expected[i] ?? Number.NaN, 4);
    }
  });
});
