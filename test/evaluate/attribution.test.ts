import { describe, expect, it } from 'vitest';
import type { Answer } from '#domain/answer.ts';
import { evaluateAttribution } from '#evaluate/attribution.ts';
import { heldOutSeeds } from '#evaluate/evaluate.ts';
import { reportSentences, reportText, sentencesOf } from '#phantom/report.ts';
import { makeStudy } from '#phantom/study.ts';
import { noPrior } from '#phantom/wording.ts';

const prompt = {
  history: '',
  labels: { current: 'Current film, {region} {view}, {date}: ', prior: 'Prior film, {region} {view}, {date}: ' },
  task: 'Write.',
};
const seeds = heldOutSeeds(12);

/** The true report, one token a sentence. */
function answerOf(text: string): Answer {
  const sentences = sentencesOf(text);
  const spans = sentences.map((sentence) => [text.indexOf(sentence), text.indexOf(sentence) + sentence.length] as const);
  return { text, tokens: spans.map(() => 1), spans, logProbs: spans.map(() => 0), stop: 'stop', promptTokens: 1, images: 2 };
}

/** A model whose sentences all rest on the film that `label` names, but for the one that says that there is no prior. */
async function measure(label: 'Current' | 'Prior') {
  const queue = seeds.flatMap((seed) => (makeStudy(seed).prior ? [seed, seed] : [seed]));
  return evaluateAttribution({
    seeds,
    prompt,
    size: 16,
    ask: async (parts) => {
      const study = makeStudy(queue.shift() ?? '');
      const labels = parts.flatMap((part) => (part.kind === 'text' ? [part.text] : []));
      const at = study.prior ? labels.findIndex((text) => text.startsWith(label)) : 0;
      const answer = answerOf(reportText(reportSentences(study, 0)));
      return {
        answer,
        release: async () => undefined,
        scorer: async (keep) => answer.spans.map(([start, end]) => (keep[at] || answer.text.slice(start, end) === noPrior ? -1 : -9)),
      };
    },
  });
}

describe('evaluateAttribution', () => {
  it('finds the film that a sentence rests on in either order, and nothing under the sentence that rests on none', async () => {
    const figures = await measure('Current');
    expect(figures.currentFirst.of).toBeGreaterThan(3);
    expect(figures.priorFirst.of).toBe(figures.currentFirst.of);
    expect([figures.currentFirst.value, figures.priorFirst.value, figures.resolved.value]).toEqual([1, 1, 0]);
    expect(new Set(figures.support.boilerplate)).toEqual(new Set([0]));
    expect(new Set(figures.support.findings)).toEqual(new Set([8]));
  });

  it('gives 0 to a model that looks at the wrong film', async () => {
    const figures = await measure('Prior');
    expect([figures.currentFirst.value, figures.priorFirst.value, figures.resolved.value]).toEqual([0, 0, 1]);
  });
});
