/**
 * What fp16 or int8 weights cost: each case on a bundle of fp32 and on one of the other type, the largest differences by family.
 *
 * The two bundles are compared with each other, not with the golden numbers. Random checkpoints of a few layers are a harsh case for tokens:
 * their logits lie close together.
 */
import { codeOf } from '#domain/errors.ts';
import { families } from '#model/families/registry.ts';
import type { WeightType } from '#model/onnx/stored-weights.ts';
import { type CaseFile, findCases } from './case.ts';
import { casesByTemplate, type Numbers, numbersOf, withEngine } from './model-cases.ts';

export interface FamilyDifference {
  readonly family: string;
  /** Cases that were compared. */
  readonly cases: number;
  /** Largest absolute difference of a logit. */
  readonly logits: number;
  /** Largest difference of a logit as a share of the largest logit of its row. */
  readonly ofRow: number;
  /** Answers whose tokens are all equal, of how many. */
  readonly equalAnswers: number;
  readonly answers: number;
  /** Largest absolute difference of an answer's log-probability over all subsets of its images; null = no case has one. */
  readonly logProbs: number | null;
  /** Cases that could not be run, with the reason. */
  readonly failures: readonly string[];
}

export interface PrecisionResult {
  readonly weights: WeightType;
  readonly families: readonly FamilyDifference[];
  /** Largest difference of a logit that is allowed, absolute or as a share of its row's largest; null = it is told, not judged. */
  readonly tolerance: number | null;
  readonly ok: boolean;
}

/** fp16 is held to this; int8 has no bound that would hold for every model. */
const halfTolerance = 1e-2;

function largest(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let most = found.length === expected.length ? 0 : Number.NaN;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((found[i] ?? Number.NaN) - (expected[i] ?? Number.NaN));
    if (!(difference <= most)) most = difference;
  }
  return most;
}

interface Pair {
  readonly exact: Numbers;
  readonly other: Numbers;
}

/** The cases of one checkpoint on both bundles. */
async function pairsOf(folder: string, files: readonly CaseFile[], weights: WeightType): Promise<Pair[]> {
  const pairs: Pair[] = [];
  for (const cases of casesByTemplate(files)) {
    const [exact, other] = [await numbers('fp32'), await numbers(weights)];
    for (const [i, found] of exact.entries()) {
      const changed = other[i];
      if (changed !== undefined) pairs.push({ exact: found, other: changed });
    }

    async function numbers(type: WeightType): Promise<Numbers[]> {
      return await withEngine(folder, cases, type, async (loaded) => {
        const all: Numbers[] = [];
        for (const one of cases) all.push(await numbersOf(loaded, one));
        return all;
      });
    }
  }
  return pairs;
}

/** NaN where one is. */
const most = (values: readonly number[]): number => Math.max(0, ...values);

function shareOfRow({ exact, other }: Pair): number {
  const shares: number[] = [];
  for (let at = 0; at < exact.logits.length; at += exact.vocabSize) {
    const row = exact.logits.subarray(at, at + exact.vocabSize);
    const scale = row.reduce((high, value) => Math.max(high, Math.abs(value)), 0);
    shares.push(largest(other.logits.subarray(at, at + exact.vocabSize), row) / scale);
  }
  return most(shares);
}

function differenceOf(family: string, pairs: readonly Pair[], failures: readonly string[]): FamilyDifference {
  const answered = pairs.filter(({ exact }) => exact.tokens !== null);
  const scored = pairs.filter(({ exact }) => exact.logProbs.length > 0);
  return {
    family,
    cases: pairs.length,
    logits: most(pairs.map(({ exact, other }) => largest(other.logits, exact.logits))),
    ofRow: most(pairs.map(shareOfRow)),
    equalAnswers: answered.filter(({ exact, other }) => exact.tokens?.join() === other.tokens?.join()).length,
    answers: answered.length,
    logProbs: scored.length === 0 ? null : most(scored.map(({ exact, other }) => largest(other.logProbs, exact.logProbs))),
    failures,
  };
}

/** Compares every model case below `golden`. @throws usage when it is no folder */
export async function runPrecision(
  golden: string,
  weights: WeightType,
  onFolder: (name: string) => void = () => undefined,
): Promise<PrecisionResult> {
  const known = new Set(families.map(({ name }) => name));
  const byFolder = new Map<string, CaseFile[]>();
  for (const file of await findCases(golden)) {
    if (file.family !== null && known.has(file.family)) byFolder.set(file.folder, [...(byFolder.get(file.folder) ?? []), file]);
  }
  const found = new Map<string, { pairs: Pair[]; failures: string[] }>();
  for (const [folder, files] of byFolder) {
    const [first] = files;
    if (first?.family == null) continue;
    const own = found.get(first.family) ?? { pairs: [], failures: [] };
    found.set(first.family, own);
    onFolder(first.name);
    try {
      own.pairs.push(...(await pairsOf(folder, files, weights)));
    } catch (error) {
      own.failures.push(`${first.name}: ${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const all = [...found].map(([family, { pairs, failures }]) => differenceOf(family, pairs, failures));
  const tolerance = weights === 'fp16' ? halfTolerance : null;
  const isFine = ({ cases, logits, ofRow, failures }: FamilyDifference) =>
    cases > 0 && failures.length === 0 && Number.isFinite(logits) && (tolerance === null || logits <= tolerance || ofRow <= tolerance);
  return { weights, families: all, tolerance, ok: all.length > 0 && all.every(isFine) };
}

/** One line per family. */
export function precisionTable({ weights, families: all, tolerance, ok }: PrecisionResult): string {
  const number = (value: number | null) => (value === null ? '-' : value.toExponential(1));
  const lines = [
    ['family', 'cases', 'logits', 'of their row', 'answers equal', 'subset log-probs'],
    ...all.map((row) => [
      row.family,
      String(row.cases),
      number(row.logits),
      number(row.ofRow),
      `${row.equalAnswers} of ${row.answers}`,
      number(row.logProbs),
    ]),
  ];
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const judged =
    tolerance === null
      ? 'Told, not judged: what int8 costs depends on the model.'
      : `Logits may differ by ${tolerance}, or by that share of the largest of their row: ${ok ? 'they do not differ by more' : 'MISS'}.`;
  return [
    `Largest absolute difference of ${weights} bundles from fp32 bundles of the same checkpoints`,
    '',
    ...table,
    '',
    ...all.flatMap(({ failures }) => failures),
    all.length === 0 ? 'No case was found: that is a failure.' : judged,
  ].join('\n');
}
