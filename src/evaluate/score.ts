/**
 * Compares what reports assert with the truth, as finding tuples.
 *
 * Only asserted findings can be right, so a report that denies everything scores 0. A contradiction (truth present, report denies; truth
 * absent, report asserts) counts as two errors, an omission as one (design: finding tuple). F1 = 2 TP / (2 TP + errors).
 */
import { type FindingName, type FindingTuple, findingNames } from '#domain/finding.ts';

export interface Case {
  readonly truth: readonly FindingTuple[];
  readonly predicted: readonly FindingTuple[];
}

/** A share with what it is a share of; `value` null = nothing to count. */
export interface Share {
  readonly right: number;
  readonly of: number;
  readonly value: number | null;
}

export interface Figures {
  readonly cases: number;
  readonly asserted: number;
  readonly true: number;
  readonly errors: number;
  readonly contradictions: number;
  readonly f1: number | null;
  /** Of rightly found ones that have a side. */
  readonly side: Share;
  /** Of rightly found ones that have a zone. */
  readonly site: Share;
  /** Of all lesions with a prior film, the missed ones included. */
  readonly change: Share;
  readonly byFinding: { readonly [name in FindingName]: number | null };
}

interface Tally {
  right: number;
  errors: number;
  asserted: number;
  contradictions: number;
  side: [number, number];
  site: [number, number];
}

const emptyTally = (): Tally => ({ right: 0, errors: 0, asserted: 0, contradictions: 0, side: [0, 0], site: [0, 0] });

/** Pairs asserted findings of one name with true ones: the same side first, then whatever is left. */
function pair(truth: readonly FindingTuple[], predicted: readonly FindingTuple[]): readonly (readonly [FindingTuple, FindingTuple])[] {
  const left = [...predicted];
  const pairs: (readonly [FindingTuple, FindingTuple])[] = [];
  const waiting: FindingTuple[] = [];
  for (const tuple of truth) {
    const at = left.findIndex((other) => other.side === tuple.side);
    const found = left[at];
    if (found === undefined) waiting.push(tuple);
    else {
      pairs.push([tuple, found]);
      left.splice(at, 1);
    }
  }
  for (const tuple of waiting) {
    const found = left.shift();
    if (found !== undefined) pairs.push([tuple, found]);
  }
  return pairs;
}

function tallyFinding(finding: FindingName, { truth, predicted }: Case, tally: Tally): void {
  const there = truth.filter((tuple) => tuple.finding === finding && tuple.polarity === 'present');
  const asserted = predicted.filter((tuple) => tuple.finding === finding && tuple.polarity === 'present');
  const denied = predicted.some((tuple) => tuple.finding === finding && tuple.polarity === 'absent' && tuple.side === null);
  const pairs = pair(there, asserted);
  tally.right += pairs.length;
  tally.asserted += asserted.length;
  const missed = there.length - pairs.length;
  const invented = asserted.length - pairs.length;
  tally.errors += missed * (denied ? 2 : 1) + invented * (there.length === 0 ? 2 : 1);
  tally.contradictions += (denied ? missed : 0) + (there.length === 0 ? invented : 0);
  if (denied && asserted.length > 0) {
    // The report contradicts itself; its denial is one more false statement.
    tally.errors += 1;
    tally.contradictions += 1;
  }
  for (const [truly, said] of pairs) {
    if (truly.side !== null) {
      tally.side[0] += truly.side === said.side ? 1 : 0;
      tally.side[1] += 1;
    }
    if (truly.site !== null) {
      tally.site[0] += truly.site === said.site ? 1 : 0;
      tally.site[1] += 1;
    }
  }
}

/** Changes said rightly, of all changes of the truth. */
function tallyChange({ truth, predicted }: Case): readonly [number, number] {
  const changed = truth.filter((tuple) => tuple.change !== null);
  const right = changed.filter((tuple) =>
    predicted.some((said) => said.finding === tuple.finding && said.side === tuple.side && said.change === tuple.change),
  );
  return [right.length, changed.length];
}

function f1({ right, errors }: Tally): number | null {
  return right + errors === 0 ? null : (2 * right) / (2 * right + errors);
}

function share([right, of]: readonly [number, number]): Share {
  return { right, of, value: of === 0 ? null : right / of };
}

export function scoreCases(cases: readonly Case[]): Figures {
  const total = emptyTally();
  const perFinding = new Map(findingNames.map((finding) => [finding, emptyTally()]));
  const change: [number, number] = [0, 0];
  for (const one of cases) {
    for (const [finding, tally] of perFinding) {
      tallyFinding(finding, one, total);
      tallyFinding(finding, one, tally);
    }
    const [right, of] = tallyChange(one);
    change[0] += right;
    change[1] += of;
  }
  const of = (finding: FindingName): number | null => f1(perFinding.get(finding) ?? emptyTally());
  return {
    cases: cases.length,
    asserted: total.asserted,
    true: total.right,
    errors: total.errors,
    contradictions: total.contradictions,
    f1: f1(total),
    side: share(total.side),
    site: share(total.site),
    change: share(change),
    byFinding: {
      nodule: of('nodule'),
      effusion: of('effusion'),
      pneumothorax: of('pneumothorax'),
      consolidation: of('consolidation'),
      cardiomegaly: of('cardiomegaly'),
    },
  };
}

/** What always saying the most frequent finding, with its most frequent side, zone and change, would score: the baseline without any film. */
export function majority(truths: readonly (readonly FindingTuple[])[]): readonly FindingTuple[] {
  const counted = new Map<string, { tuple: FindingTuple; count: number }>();
  const most = (key: (tuple: FindingTuple) => string, among: readonly FindingTuple[]): FindingTuple | undefined => {
    counted.clear();
    for (const tuple of among) {
      const entry = counted.get(key(tuple)) ?? { tuple, count: 0 };
      entry.count += 1;
      counted.set(key(tuple), entry);
    }
    return [...counted.values()].sort((a, b) => b.count - a.count)[0]?.tuple;
  };
  const present = truths.flat().filter((tuple) => tuple.polarity === 'present');
  const name = most((tuple) => tuple.finding, present)?.finding;
  const same = present.filter((tuple) => tuple.finding === name);
  const first = most((tuple) => `${tuple.side} ${tuple.site}`, same);
  const changed = most(
    (tuple) => tuple.change ?? '',
    same.filter((tuple) => tuple.change !== null),
  );
  return first === undefined ? [] : [{ ...first, change: changed?.change ?? null }];
}
