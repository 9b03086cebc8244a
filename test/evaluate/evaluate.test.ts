import { describe, expect, it } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { evaluate, evaluationTable, heldOutSeeds } from '#evaluate/evaluate.ts';
import { reportSentences, reportText } from '#phantom/report.ts';
import { makeStudy } from '#phantom/study.ts';

const prompt = {
  history: 'History: {items}.\n',
  labels: { current: 'Current film, {region} {view}, {date}: ', prior: 'Prior film, {region} {view}, {date} ({days} days earlier): ' },
  task: 'Write.',
};
const seeds = heldOutSeeds(16);

const texts = (parts: readonly PromptPart[]): string => parts.map((part) => (part.kind === 'text' ? part.text : '<image>')).join('');

describe('evaluate', () => {
  it('gives 1 to whoever writes the truth, 0 to whoever says that nothing can be seen, and less to one who sees another patient', async () => {
    let asked = 0;
    const evaluation = await evaluate({
      seeds,
      prompt,
      size: 16,
      ask: async (parts) => {
        const number = asked % seeds.length;
        const black = parts.every((part) => part.kind === 'text' || part.image.pixels.every((value) => value === 0));
        const other = asked >= 2 * seeds.length;
        asked += 1;
        const study = makeStudy(seeds[other ? (number + 1) % seeds.length : number] ?? '');
        return { text: reportText(reportSentences(study, 0, { current: !black, prior: !black })) };
      },
    });
    const f1 = evaluation.rows.map(({ figures }) => figures.f1 ?? Number.NaN);
    expect(f1.slice(0, 2)).toEqual([1, 0]);
    expect(f1[2]).toBeLessThan(0.7);
    expect(evaluation.rows[0]?.figures).toMatchObject({ side: { value: 1 }, change: { value: 1 }, errors: 0 });
    expect(evaluation.answers).toHaveLength(3 * seeds.length);
    expect(evaluationTable(evaluation).split('\n')).toHaveLength(5);
  });

  it('words the prompt as given, one label before each film, and shows the prior first in half of the pairs', async () => {
    const prompts: string[] = [];
    await evaluate({
      seeds,
      prompt,
      size: 16,
      conditions: ['films'],
      ask: async (parts) => {
        prompts.push(texts(parts));
        return { text: '' };
      },
    });
    expect(prompts).toContain('History: cough.\nCurrent film, chest PA, 2026-11-24: <image>Write.');
    const pairs = prompts.filter((text) => text.includes('Prior film'));
    expect(pairs.some((text) => /Prior.*<image>Current.*<image>Write/.test(text))).toBe(true);
    expect(pairs.some((text) => /Current.*<image>Prior film, chest PA, 2026-03-02 \(267 days earlier\): <image>Write/.test(text))).toBe(
      true,
    );
  });
});
