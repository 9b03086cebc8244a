/**
 * Writes the report of a synthetic examination and reads findings back out of any such text.
 *
 * One sentence per line; a section's first line begins with its word ("Findings: "). The reader knows these wordings and near ones; it is
 * the measure of evaluation, not a general reader of radiology reports.
 */
import { type Change, type FindingName, type FindingTuple, findingNames, type Zone, zones } from '#domain/finding.ts';
import type { Section } from '#domain/statement.ts';
import { currentLesions, type PhantomStudy } from './study.ts';
import {
  absentSentences,
  comparisonSentence,
  findingSentence,
  impressionSentence,
  type Manner,
  noPrior,
  sameSentence,
  unseen,
} from './wording.ts';

export interface ReportSentence {
  readonly section: Section;
  readonly text: string;
}

/** Which films can be seen; a null image is one that cannot. */
export interface Visible {
  readonly current: boolean;
  readonly prior: boolean;
}

const section = (name: Section, texts: readonly string[]): readonly ReportSentence[] => texts.map((text) => ({ section: name, text }));

export function reportSentences(
  study: PhantomStudy,
  manner: Manner,
  visible: Visible = { current: true, prior: true },
): readonly ReportSentence[] {
  const lesions = currentLesions(study);
  const present = lesions.map((lesion) => lesion.finding);
  const findings = visible.current
    ? [...lesions.map((lesion) => findingSentence(lesion, manner)), ...absentSentences(present, manner)]
    : [unseen.findings];
  return [
    ...section('findings', findings),
    ...section('comparison', comparison(study, manner, visible)),
    ...section('impression', [visible.current ? impressionSentence(lesions, manner) : unseen.impression]),
  ];
}

function comparison(study: PhantomStudy, manner: Manner, visible: Visible): readonly string[] {
  if (!study.prior) return [noPrior];
  if (!visible.current) return [unseen.comparison];
  if (!visible.prior) return [unseen.prior];
  if (study.lesions.length === 0) return [sameSentence(manner)];
  return study.lesions.map((lesion) => comparisonSentence(lesion, manner));
}

const titles: { readonly [name in Section]: string } = { findings: 'Findings', comparison: 'Comparison', impression: 'Impression' };

/** Sentences as the text of a report. */
export function reportText(sentences: readonly ReportSentence[]): string {
  return sentences
    .map((sentence, index) =>
      sentences[index - 1]?.section === sentence.section ? sentence.text : `${titles[sentence.section]}: ${sentence.text}`,
    )
    .join('\n');
}

const words: readonly (readonly [RegExp, FindingName])[] = [
  [/nodules?/, 'nodule'],
  [/effusions?/, 'effusion'],
  [/pneumothora(?:x|ces)/, 'pneumothorax'],
  [/consolidations?|pneumonia/, 'consolidation'],
  [/cardiomegaly|heart/, 'cardiomegaly'],
];

function changeOf(text: string): Change | null {
  if (/\bresolved\b|no longer/.test(text)) return 'resolved';
  if (/\bnew\b|not there before/.test(text)) return 'new';
  if (/\blarger\b|\bincreased\b/.test(text)) return 'larger';
  if (/\bsmaller\b|\bdecreased\b/.test(text)) return 'smaller';
  return /\bunchanged\b|same size/.test(text) ? 'unchanged' : null;
}

function sideOf(text: string): 'left' | 'right' | null {
  const left = /\bleft\b/.test(text);
  const right = /\bright\b/.test(text);
  return left === right ? null : left ? 'left' : 'right';
}

function siteOf(text: string): Zone | null {
  return zones.find((zone) => new RegExp(`\\b${zone}\\b`).test(text)) ?? null;
}

function absent(finding: FindingName, text: string, change: Change | null): boolean {
  if (change === 'resolved') return true;
  if (finding === 'cardiomegaly' && /\bheart\b/.test(text)) return !/\benlarged\b/.test(text) || /\bnot\b|\bno\b/.test(text);
  return /\b(?:no|without)\b/.test(text) && !/no longer|no change/.test(text);
}

/** Tuples of one sentence. A positive sentence that lists several findings is split at its commas, a negative one is not. */
function ofSentence(sentence: string): readonly FindingTuple[] {
  const text = sentence.toLowerCase();
  const negative = /\b(?:no|without)\b/.test(text);
  const parts = negative ? [text] : text.split(/,|\band\b/);
  return parts.flatMap((part) =>
    words.flatMap(([word, finding]): readonly FindingTuple[] => {
      if (!new RegExp(`\\b(?:${word.source})\\b`).test(part)) return [];
      const change = changeOf(part);
      const polarity = absent(finding, part, change) ? 'absent' : 'present';
      const heart = finding === 'cardiomegaly';
      return [{ finding, polarity, side: heart ? null : sideOf(part), site: heart ? null : siteOf(part), change }];
    }),
  );
}

export function sentencesOf(text: string): readonly string[] {
  return text
    .split(/\n|(?<=[.!?])\s+/)
    .map((line) => line.replace(/^\s*(?:findings|comparison|impression)\s*:\s*/i, '').trim())
    .filter((line) => line !== '');
}

/** Joins what several sentences say of one thing: a known site or change fills an unknown one. */
function merge(into: FindingTuple[], next: FindingTuple): void {
  const at = into.findIndex((tuple) => tuple.finding === next.finding && tuple.side === next.side && tuple.polarity === next.polarity);
  const known = into[at];
  if (known === undefined) into.push(next);
  else into[at] = { ...known, site: known.site ?? next.site, change: known.change ?? next.change };
}

/**
 * Findings that a text asserts or denies, each (finding, polarity, side) once. A text that says both of one thing yields both tuples.
 * @returns in the order of findingNames, right before left
 */
export function parseFindings(text: string): readonly FindingTuple[] {
  const tuples: FindingTuple[] = [];
  for (const sentence of sentencesOf(text)) for (const tuple of ofSentence(sentence)) merge(tuples, tuple);
  const rank = (tuple: FindingTuple): number =>
    findingNames.indexOf(tuple.finding) * 8 +
    (tuple.side === null ? 4 : tuple.side === 'right' ? 0 : 2) +
    (tuple.polarity === 'present' ? 0 : 1);
  return tuples.sort((a, b) => rank(a) - rank(b));
}
