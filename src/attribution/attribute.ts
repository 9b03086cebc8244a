/**
 * An answer -> statements, each with the images that it depends on.
 *
 * For a statement's tokens a: v(S) = log p(a | images in S, the others nulled in place, the earlier text kept). An image is cited when it
 * adds to v under every null, by more than the bundle's threshold per token. That is dependence, not correctness.
 * Sources: design (Attribution); golden/README.md for the numbers.
 */
import type { Answer, Scorer } from '#domain/answer.ts';
import type { Warning } from '#domain/errors.ts';
import { holdsRequest, requestLine } from '#domain/expert-request.ts';
import type { Attribution, Citation, Dependence, Statement } from '#domain/statement.ts';
import type { ImageRef } from '#domain/study.ts';
import { isNegative } from './mentions.ts';
import { allOf, keepOneIn, leaveOneOut, noneOf, shapley, type Value } from './shapley.ts';
import { type Sentence, sentencesOf, tokenRanges } from './statements.ts';
import { type Level, type Scored, type Scores, scoreSubsets } from './subsets.ts';

export interface AttributeRequest {
  readonly scorer: Scorer;
  readonly answer: Answer;
  /** In prompt order. */
  readonly images: readonly ImageRef[];
  /** Nats per token that an image has to add to be cited; null = not calibrated. */
  readonly threshold: number | null;
  /** Cite without a threshold (test bundles); the statements stay marked as not calibrated. */
  readonly citeWithoutThreshold: boolean;
  readonly timeBudgetMs: number;
  /** Milliseconds of a steady clock. */
  now(): number;
  /** True when the reference is one of a retrieved instance. */
  resolve(ref: ImageRef): boolean;
}

/** The numbers behind one statement, for evaluation and the page. */
interface Contribution {
  /** Per image: what it adds to the statement's log-probability, nats, mean over the nulls. */
  readonly values: readonly number[];
  /** Per image: share of the positive sum, 0..1; null = the images together add nothing. */
  readonly shares: readonly number[] | null;
}

export interface Attributed {
  readonly statements: readonly Statement[];
  readonly attribution: Attribution;
  readonly warnings: readonly Warning[];
  /** One per statement; null = not scored. */
  readonly contributions: readonly (Contribution | null)[];
}

interface Measured extends Contribution {
  /** v(all) - v(none) per token under the null that shows less, nats. */
  readonly support: number;
  /** Per image: the smallest value per token over the nulls; 0 where the images together add nothing. */
  readonly least: readonly number[];
}

function valuesUnder(level: Level, images: number, value: Value): readonly number[] {
  if (level.kind === 'shapley') return shapley(images, value);
  const out = leaveOneOut(images, value);
  if (level.kind === 'leave-one-out') return out;
  // An image whose content another one repeats loses nothing when left out; kept alone it shows: the mean sees both.
  const alone = keepOneIn(images, value);
  return out.map((one, image) => (one + (alone[image] ?? 0)) / 2);
}

function measure({ level, tokens }: Scores, images: number, [from, to]: readonly [number, number]): Measured | null {
  const count = to - from;
  if (count === 0) return null;
  const perNull = level.nulls.map((nullImage) => {
    const value: Value = (subset) =>
      tokens(nullImage, subset)
        .slice(from, to)
        .reduce((sum, one) => sum + one, 0);
    return { total: value(allOf(images)) - value(noneOf(images)), values: valuesUnder(level, images, value) };
  });
  const mean = (pick: (one: (typeof perNull)[number]) => number) => perNull.reduce((sum, one) => sum + pick(one), 0) / perNull.length;
  const least = (pick: (one: (typeof perNull)[number]) => number) => Math.min(...perNull.map(pick));
  const each = Array.from({ length: images }, (_, image) => image);
  const values = each.map((image) => mean((one) => one.values[image] ?? 0));
  const positive = values.reduce((sum, one) => sum + Math.max(one, 0), 0);
  return {
    values,
    shares: mean(({ total }) => total) <= 0 || positive === 0 ? null : values.map((one) => Math.max(one, 0) / positive),
    support: least(({ total }) => total) / count,
    least: each.map((image) => least(({ total, values: own }) => (total <= 0 ? 0 : (own[image] ?? 0))) / count),
  };
}

function citationsOf(measured: Measured, { images, threshold, citeWithoutThreshold }: AttributeRequest): readonly Citation[] {
  if (threshold === null && !citeWithoutThreshold) return [];
  const enough = Math.max(threshold ?? 0, 0);
  return images.flatMap((ref, image) =>
    (measured.least[image] ?? 0) > enough ? [{ image: image + 1, ref, share: measured.shares?.[image] ?? null }] : [],
  );
}

function dependenceOf(sentence: Sentence, measured: Measured | null, cited: number, request: AttributeRequest): Dependence {
  if (measured === null || (request.threshold === null && !request.citeWithoutThreshold)) return 'not-attributed';
  if (cited > 0) return 'depends';
  return isNegative(sentence.text) ? 'cannot-be-tested' : 'depends-on-none';
}

function statementOf(sentence: Sentence, index: number, measured: Measured | null, request: AttributeRequest): Statement {
  const cited = measured === null ? [] : citationsOf(measured, request);
  const lost = cited.filter(({ ref }) => !request.resolve(ref));
  const message = `It rests on image ${lost.map(({ image }) => image).join(', ')}, which is not among the retrieved images.`;
  return {
    number: index + 1,
    section: sentence.section,
    text: sentence.text,
    dependence: dependenceOf(sentence, measured, cited.length, request),
    citations: cited.filter((citation) => !lost.includes(citation)),
    support: measured?.support ?? null,
    calibrated: request.threshold !== null,
    holds: lost.length === 0 ? [] : [{ rule: 'reference-unresolved', message }],
  };
}

const kinds = {
  shapley: 'exact Shapley values over all subsets of',
  'leave-one-out-keep-one-in': 'the mean of leave-one-out and keep-one-in over',
  'leave-one-out': 'leave-one-out over',
} as const;

function attributionOf({ scores }: Scored, { images, threshold, citeWithoutThreshold }: AttributeRequest): Attribution {
  if (scores === null)
    return { method: 'none', nulls: [], line: 'Images were not removed one by one for this draft; no sentence is attributed.' };
  const { kind, nulls } = scores.level;
  const pictures = images.length === 1 ? '1 image' : `${images.length} images`;
  const removed = `removed images replaced by ${nulls.map((one) => (one === 'black' ? 'black' : 'the mean colour')).join(' and by ')}`;
  const one = nulls.length === 1 ? ' (one null image only, for lack of time)' : '';
  const uncalibrated = citeWithoutThreshold ? ' Support is not calibrated.' : ' Support is not calibrated, so no image is cited.';
  return {
    method: kind === 'shapley' ? 'shapley' : 'leave-one-out',
    nulls: [...nulls],
    line: `Dependence on images was measured by ${kinds[kind]} ${pictures}, ${removed}${one}.${threshold === null ? uncalibrated : ''}`,
  };
}

function warningsOf({ scores, reduced }: Scored, timeBudgetMs: number): readonly Warning[] {
  if (scores === null)
    return [{ code: 'attribution-none', message: `No attribution was possible within ${timeBudgetMs} ms; nothing is cited.` }];
  const message = `Only leave-one-out under one null image fitted into ${timeBudgetMs} ms.`;
  return reduced ? [{ code: 'attribution-reduced', message }] : [];
}

/**
 * Statements of the answer in order, none released or held yet but for references that do not resolve (the guard adds its holds).
 * @throws not-finite when the scorer does
 */
export async function attribute(request: AttributeRequest): Promise<Attributed> {
  const { scorer, answer, images, timeBudgetMs, now } = request;
  // What asks another model for something is no finding, nor is the sentence around it.
  const sentences = sentencesOf(answer.text).filter((sentence) => !holdsRequest(sentence, answer.requests ?? []));
  const asked = (answer.requests ?? []).map((one) => ({ code: 'expert-requested', message: requestLine(one) }));
  if (images.length === 0 || sentences.length === 0) {
    const statements = sentences.map((sentence, index) => statementOf(sentence, index, null, request));
    const line = images.length === 0 ? 'No image was shown; no sentence is attributed.' : 'The answer has no sentence.';
    return { statements, attribution: { method: 'none', nulls: [], line }, warnings: asked, contributions: statements.map(() => null) };
  }
  const scored = await scoreSubsets(scorer, images.length, answer.tokens.length, { timeBudgetMs, now });
  const { scores } = scored;
  const ranges = tokenRanges(sentences, answer.spans);
  const measured = ranges.map((range) => (scores === null ? null : measure(scores, images.length, range)));
  return {
    statements: sentences.map((sentence, index) => statementOf(sentence, index, measured[index] ?? null, request)),
    attribution: attributionOf(scored, request),
    warnings: [...asked, ...warningsOf(scored, timeBudgetMs)],
    contributions: measured.map((one) => (one === null ? null : { values: one.values, shares: one.shares })),
  };
}
