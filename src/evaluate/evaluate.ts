/**
 * Measures a model on synthetic films that it never saw, beside what it says without the films: black images, another patient's films, and
 * the most frequent finding without any model.
 *
 * Knows nothing of the runtime: `ask` answers a prompt. Half of the pairs show the prior film first, so that only labels tell them apart.
 */
import type { Answer, PromptPart, RawImage } from '#domain/answer.ts';
import { textsAround } from '#domain/task-text.ts';
import { parseFindings } from '#phantom/report.ts';
import { shownFilm } from '#phantom/shown.ts';
import { makeStudy, type PhantomStudy, truthOf } from '#phantom/study.ts';
import { type Case, type Figures, majority, scoreCases } from './score.ts';

export const conditions = ['films', 'black images', "another patient's films"] as const;
export type Condition = (typeof conditions)[number];

/** Wording that the model was trained on (models/phantom-cxr/prompts.json); slots {items}, {region}, {view}, {date}, {days}. */
export interface EvaluationPrompt {
  readonly history: string;
  readonly labels: { readonly current: string; readonly prior: string };
  readonly task: string;
}

export type Which = 'current' | 'prior';

export interface EvaluationOptions {
  readonly ask: (parts: readonly PromptPart[]) => Promise<Pick<Answer, 'text'>>;
  readonly seeds: readonly string[];
  readonly prompt: EvaluationPrompt;
  /** Side of the films in pixels. */
  readonly size?: number;
  readonly conditions?: readonly Condition[];
  readonly progress?: (done: number, of: number) => void;
}

export interface EvaluatedAnswer {
  readonly condition: Condition;
  readonly seed: string;
  readonly text: string;
}

export interface Evaluation {
  readonly rows: readonly { readonly condition: Condition | 'most frequent finding'; readonly figures: Figures }[];
  readonly answers: readonly EvaluatedAnswer[];
}

/** Seeds that no training run uses: `held-0` ... */
export function heldOutSeeds(count: number): readonly string[] {
  return Array.from({ length: count }, (_, number) => `held-${number}`);
}

function fill(template: string, slots: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => slots[name] ?? whole);
}

const reasons = ['cough', 'fever', 'shortness of breath', 'chest pain', 'follow-up'] as const;

/** The prompt of one study with its films in the given order; `number` decides the reason for the exam. */
export function partsOfStudy(
  prompt: EvaluationPrompt,
  order: readonly Which[],
  number: number,
  film: (which: Which) => RawImage,
): PromptPart[] {
  const slots = { region: 'chest', view: 'PA', days: '267' };
  const [before = '', ...behind] = textsAround(prompt.task, order.length);
  let text = fill(prompt.history, { items: reasons[number % reasons.length] ?? '' }) + before;
  const parts: PromptPart[] = [];
  for (const [index, which] of order.entries()) {
    text += fill(prompt.labels[which], { ...slots, date: which === 'current' ? '2026-11-24' : '2026-03-02' });
    parts.push({ kind: 'text', text }, { kind: 'image', image: film(which) });
    text = behind[index] ?? '';
  }
  return text === '' ? parts : [...parts, { kind: 'text', text }];
}

/** The current film first, or last where `number` is odd. */
function orderOf(study: PhantomStudy, number: number): readonly Which[] {
  if (!study.prior) return ['current'];
  return number % 2 === 1 ? ['prior', 'current'] : ['current', 'prior'];
}

export function grey(size: number, pixels: Uint8Array): RawImage {
  return { width: size, height: size, channels: 1, pixels };
}

/** For each study the next one with as many films: whose films are shown instead. */
function others(studies: readonly PhantomStudy[]): readonly PhantomStudy[] {
  return studies.map((study, at) => {
    const later = [...studies.slice(at + 1), ...studies.slice(0, at)];
    return later.find((other) => other.prior === study.prior) ?? study;
  });
}

export async function evaluate(options: EvaluationOptions): Promise<Evaluation> {
  const { ask, seeds, prompt, size = 512 } = options;
  const studies = seeds.map((seed) => makeStudy(seed));
  const swapped = others(studies);
  const wanted = options.conditions ?? conditions;
  const black = grey(size, new Uint8Array(size * size));
  const answers: EvaluatedAnswer[] = [];
  const rows: Evaluation['rows'][number][] = [];
  for (const condition of wanted) {
    const cases: Case[] = [];
    for (const [number, study] of studies.entries()) {
      const shown = condition === 'films' ? study : (swapped[number] ?? study);
      const parts = partsOfStudy(prompt, orderOf(study, number), number, (which) =>
        condition === 'black images' ? black : grey(size, shownFilm(shown, which, size).pixels),
      );
      const { text } = await ask(parts);
      answers.push({ condition, seed: study.seed, text });
      cases.push({ truth: truthOf(study), predicted: parseFindings(text) });
      options.progress?.(answers.length, wanted.length * studies.length);
    }
    rows.push({ condition, figures: scoreCases(cases) });
  }
  const truths = studies.map((study) => truthOf(study));
  const most = majority(truths);
  rows.push({ condition: 'most frequent finding', figures: scoreCases(truths.map((truth) => ({ truth, predicted: most }))) });
  return { rows, answers };
}

/** The figures as a table for people; `-` = nothing to count. */
export function evaluationTable({ rows }: Evaluation): string {
  const cell = (value: number | null): string => (value === null ? '-' : value.toFixed(2));
  const head = [
    'shown',
    'films',
    'F1',
    'side',
    'site',
    'change',
    'contradictions',
    'nodule',
    'effusion',
    'pneumothorax',
    'consolidation',
    'heart',
  ];
  const lines = rows.map(({ condition, figures }) => [
    condition,
    String(figures.cases),
    ...[figures.f1, figures.side.value, figures.site.value, figures.change.value].map(cell),
    String(figures.contradictions),
    ...Object.values(figures.byFinding).map(cell),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)));
  return [head, ...lines]
    .map((line) =>
      line
        .map((text, column) => text.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
