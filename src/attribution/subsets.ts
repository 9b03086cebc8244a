/**
 * Scores an answer under subsets of its images within a time budget, and says which method the time was enough for.
 *
 * The whole answer is scored once per subset. Subsets come in tree order (those sharing their first images adjacent), so that the engine
 * keeps the common part of its cache. All images shown is the same under both nulls and is scored once.
 */
import type { NullImage, Scorer } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import { allOf, allSubsets, keepOf, noneOf, onlyOne, withoutOne } from './shapley.ts';

/** Up to this many images every subset is scored. */
const exactImages = 4;

export interface Level {
  readonly kind: 'shapley' | 'leave-one-out-keep-one-in' | 'leave-one-out';
  readonly nulls: readonly NullImage[];
}

export interface Scores {
  readonly level: Level;
  /** Log-probability of each token of the answer under a null and a subset of the level. */
  tokens(nullImage: NullImage, subset: string): readonly number[];
}

export interface Scored {
  /** Null = the time was not enough for any method. */
  readonly scores: Scores | null;
  /** The best level was given up. */
  readonly reduced: boolean;
}

interface Step {
  readonly nullImage: NullImage;
  readonly subset: string;
}

function levelsOf(images: number): readonly Level[] {
  const both: readonly NullImage[] = ['black', 'mean'];
  return [
    { kind: images <= exactImages ? 'shapley' : 'leave-one-out-keep-one-in', nulls: both },
    { kind: 'leave-one-out', nulls: ['black'] },
  ];
}

function subsetsOf(level: Level, images: number): readonly string[] {
  if (level.kind === 'shapley') return allSubsets(images);
  const each = Array.from({ length: images }, (_, image) => image);
  const only = level.kind === 'leave-one-out' ? [] : each.map((image) => onlyOne(images, image));
  const unique = new Set([allOf(images), ...each.map((image) => withoutOne(images, image)), ...only, noneOf(images)]);
  // '1' before '0' at the first place where two differ is tree order.
  return [...unique].sort((a, b) => (a < b ? 1 : -1));
}

function keyOf({ nullImage, subset }: Step): string {
  return subset.includes('0') ? `${nullImage} ${subset}` : subset;
}

/** All images shown is one step, whatever the null. */
function stepsOf(level: Level, images: number): readonly Step[] {
  return level.nulls.flatMap((nullImage, at) =>
    subsetsOf(level, images)
      .filter((subset) => at === 0 || subset.includes('0'))
      .map((subset) => ({ nullImage, subset })),
  );
}

/** How often the scorer is asked where time is no limit. */
export function scoresOf(images: number): number {
  return levelsOf(images)
    .slice(0, 1)
    .reduce((sum, level) => sum + stepsOf(level, images).length, 0);
}

async function scoreOne(scorer: Scorer, { nullImage, subset }: Step, tokens: number): Promise<readonly number[]> {
  const logProbs = await scorer(keepOf(subset), nullImage);
  if (logProbs.length !== tokens || !logProbs.every(Number.isFinite)) {
    const finite = logProbs.filter(Number.isFinite).length;
    throw new WetreadError(
      'not-finite',
      `scoring the answer: found ${logProbs.length} values, ${finite} finite, expected ${tokens} finite ones`,
    );
  }
  return logProbs;
}

/**
 * Runs the scorer over `images` images and an answer of `tokens` tokens. The first subset is measured; after each one the rest is estimated
 * anew, and the method is reduced as soon as it does not fit into `timeBudgetMs` (clock: `now`, in milliseconds).
 * @throws not-finite when the scorer gives something else than one finite number per token
 */
export async function scoreSubsets(
  scorer: Scorer,
  images: number,
  tokens: number,
  { timeBudgetMs, now }: { readonly timeBudgetMs: number; now(): number },
): Promise<Scored> {
  const start = now();
  const table = new Map<string, readonly number[]>();
  const levels = levelsOf(images);
  for (const [index, level] of levels.entries()) {
    let pending = stepsOf(level, images).filter((step) => !table.has(keyOf(step)));
    const fits = () => table.size === 0 || now() - start + ((now() - start) / table.size) * pending.length <= timeBudgetMs;
    while (pending.length > 0 && fits()) {
      const [step] = pending;
      if (step === undefined) break;
      table.set(keyOf(step), await scoreOne(scorer, step, tokens));
      pending = pending.slice(1);
    }
    if (pending.length > 0) continue;
    const lookUp = (nullImage: NullImage, subset: string) => table.get(keyOf({ nullImage, subset })) ?? [];
    return { scores: { level, tokens: lookUp }, reduced: index > 0 };
  }
  return { scores: null, reduced: true };
}
