/** Every case of the golden med-flamingo checkpoints: tokens, every stage, which picture each row sees, greedy text, subsets of images. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { encodeMedFlamingo } from '#model/families/med-flamingo/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { readPicture } from '#model/picture-file.ts';
import { readImportOptions } from '#parity/import-options.ts';
import { runParity } from '#parity/parity.ts';
import { startDevice } from '#runtime/device.ts';
import { available, sharedPath } from '../setup/require.ts';

const caseSchema = z.looseObject({
  segments: z.array(z.union([z.strictObject({ text: z.string() }), z.strictObject({ image: z.string() })])),
  media_time: z.array(z.number()),
  output_text: z.string(),
  generation: z.looseObject({ max_new_tokens: z.int() }),
});

async function casesOf(variant: string): Promise<{ golden: z.infer<typeof caseSchema>; parts: PromptPart[] }[]> {
  const folder = sharedPath('golden/med-flamingo', variant);
  const names = (await readdir(join(folder, 'cases'))).filter((name) => name.endsWith('.json'));
  return await Promise.all(
    names.map(async (name) => {
      const golden = caseSchema.parse(JSON.parse(await readFile(join(folder, 'cases', name), 'utf8')));
      const parts = golden.segments.map(
        async (segment): Promise<PromptPart> =>
          'text' in segment
            ? { kind: 'text', text: segment.text }
            : { kind: 'image', image: await readPicture(join(folder, segment.image)) },
      );
      return { golden, parts: await Promise.all(parts) };
    }),
  );
}

describe.skipIf(!available('shared'))('golden med-flamingo', () => {
  test('every case is equal, and in every column', async () => {
    const result = await runParity(sharedPath('golden/med-flamingo'));
    expect(result.rows.filter((row) => row.verdict !== 'ok').map((row) => [row.name, row.note])).toEqual([]);
    expect(result.ok).toBe(true);
    const unchecked = result.rows.flatMap((row) => Object.entries(row.cells).filter(([, cell]) => cell.text === '-'));
    expect(unchecked).toEqual([]);
  });

  test.each(['v1-following', 'v2-preceding'])('%s: each row sees the picture that it should, and a device answers', async (variant) => {
    const work = await mkdtemp(join(tmpdir(), 'wetread-med-flamingo-'));
    try {
      const options = await readImportOptions(sharedPath('golden/med-flamingo', variant));
      const { bundle } = await importCheckpoint({
        from: sharedPath('golden/med-flamingo', variant, 'checkpoint'),
        to: join(work, 'bundle'),
        metadata: options,
      });
      const tokenizer = await bundleTokenizer(bundle);
      const cases = await casesOf(variant);
      for (const { golden, parts } of cases)
        expect(encodeMedFlamingo(bundle.manifest, tokenizer, parts).sight?.rows).toEqual(golden.media_time);
      const device = await startDevice({ device: 'cpu', bundleDir: bundle.dir, threads: 1, timeoutMs: 60_000 });
      try {
        for (const { golden, parts } of cases) {
          let streamed = '';
          const { answer, promptId } = await device.ask({ parts, maxNewTokens: golden.generation.max_new_tokens }, (text) => {
            streamed += text;
          });
          expect(answer.text).toBe(golden.output_text.trim());
          expect(answer).toMatchObject({ stop: 'length', note: expect.stringMatching(/writes no end of its own/) });
          expect(streamed).toContain(answer.text);
          const images = parts.filter(({ kind }) => kind === 'image').map(() => true);
          const all = await device.score(promptId, images, 'black');
          for (const [i, value] of all.entries()) expect(value).toBeCloseTo(answer.logProbs[i] ?? Number.NaN, 3);
          const none = await device.score(
            promptId,
            images.map(() => false),
            'mean',
          );
          expect(none.some((value, i) => Math.abs(value - (all[i] ?? value)) > 1e-3)).toBe(true);
        }
      } finally {
        await device.close();
      }
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });
});
