/**
 * Measures attribution where the truth is known: for each sentence on a lesion, is the film that shows it ranked first, whatever the order?
 *
 * Also gathers the support of sentences that rest on a film and of those that rest on none, from which a bundle's threshold is chosen.
 */
import { attribute } from '#attribution/attribute.ts';
import type { Answer, PromptPart, Scorer } from '#domain/answer.ts';
import type { ImageRef } from '#domain/study.ts';
import { uidOf } from '#domain/uid.ts';
import { parseFindings } from '#phantom/report.ts';
import { shownFilm } from '#phantom/shown.ts';
import { makeStudy, truthOf } from '#phantom/study.ts';
import { noPrior } from '#phantom/wording.ts';
import { type EvaluationPrompt, grey, partsOfStudy, type Which } from './evaluate.ts';
import type { Share } from './score.ts';

export interface AttributionOptions {
  /** Answers a prompt and keeps it for scoring until `release`. */
  readonly ask: (
    parts: readonly PromptPart[],
  ) => Promise<{ readonly answer: Answer; readonly scorer: Scorer; readonly release: () => Promise<void> }>;
  readonly seeds: readonly string[];
  readonly prompt: EvaluationPrompt;
  readonly size?: number;
  readonly progress?: (done: number, of: number) => void;
}

export interface AttributionFigures {
  /** Sentences of the findings on a lesion that is there; right = the current film has the largest share. */
  readonly currentFirst: Share;
  readonly priorFirst: Share;
  /** Sentences that a lesion is gone; right = the prior film, which shows it, has the largest share. */
  readonly resolved: Share;
  /** Nats per token, ascending: true findings, and sentences that no film bears on ("No prior film was given."). */
  readonly support: { readonly findings: readonly number[]; readonly boilerplate: readonly number[] };
}

const orders: readonly (readonly Which[])[] = [
  ['current', 'prior'],
  ['prior', 'current'],
];

function refOf(name: string): ImageRef {
  const uid = uidOf(name);
  return { study: uid, series: uid, instance: uid, sopClass: uid, frame: null };
}

type Counted = [number, number];

interface Tally {
  readonly first: readonly [Counted, Counted];
  readonly resolved: Counted;
  readonly findings: number[];
  readonly boilerplate: number[];
}

async function measure(options: AttributionOptions, seed: string, order: readonly Which[], place: 0 | 1, tally: Tally): Promise<void> {
  const { prompt, size = 512 } = options;
  const study = makeStudy(seed);
  const truth = truthOf(study);
  const parts = partsOfStudy(prompt, order, 0, (which) => grey(size, shownFilm(study, which, size).pixels));
  const { answer, scorer, release } = await options.ask(parts);
  const { statements, contributions } = await attribute({
    scorer,
    answer,
    images: order.map((which) => refOf(`${seed} ${which}`)),
    threshold: null,
    citeWithoutThreshold: true,
    timeBudgetMs: 600_000,
    now: () => performance.now(),
    resolve: () => true,
  });
  await release();
  for (const [index, statement] of statements.entries()) {
    const shares = contributions[index]?.shares ?? null;
    const largest = shares === null ? null : order[shares.indexOf(Math.max(...shares))];
    if (statement.text === noPrior && statement.support !== null) tally.boilerplate.push(statement.support);
    for (const said of parseFindings(statement.text)) {
      const real = truth.some((tuple) => tuple.finding === said.finding && tuple.side === said.side && tuple.polarity === said.polarity);
      if (!real || order.length < 2) continue;
      if (said.polarity === 'present' && statement.section === 'findings') {
        count(tally.first[place], largest === 'current');
        if (statement.support !== null) tally.findings.push(statement.support);
      }
      if (said.change === 'resolved') count(tally.resolved, largest === 'prior');
    }
  }
}

function count(counted: Counted, right: boolean): void {
  counted[0] += right ? 1 : 0;
  counted[1] += 1;
}

const share = ([right, of]: Counted): Share => ({ right, of, value: of === 0 ? null : right / of });

/** Asks each seed with a prior in both orders, each without one once. */
export async function evaluateAttribution(options: AttributionOptions): Promise<AttributionFigures> {
  const tally: Tally = {
    first: [
      [0, 0],
      [0, 0],
    ],
    resolved: [0, 0],
    findings: [],
    boilerplate: [],
  };
  for (const [number, seed] of options.seeds.entries()) {
    if (makeStudy(seed).prior) {
      for (const [place, order] of orders.entries()) await measure(options, seed, order, place === 0 ? 0 : 1, tally);
    } else {
      await measure(options, seed, ['current'], 0, tally);
    }
    options.progress?.(number + 1, options.seeds.length);
  }
  const ascending = (values: readonly number[]): readonly number[] => values.toSorted((a, b) => a - b);
  return {
    currentFirst: share(tally.first[0]),
    priorFirst: share(tally.first[1]),
    resolved: share(tally.resolved),
    support: { findings: ascending(tally.findings), boilerplate: ascending(tally.boilerplate) },
  };
}
