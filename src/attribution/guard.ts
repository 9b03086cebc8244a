/**
 * Rules without a model that hold a sentence: what it says contradicts the order, the record, the images given, or the rest of the draft.
 *
 * A held sentence stays visible with the rule's message and is released nowhere. Each rule is one small function; a rule that lacks its fact
 * (no side, no sex) says nothing.
 */
import type { Side } from '#domain/order.ts';
import type { Identity } from '#domain/patient.ts';
import { isPaired } from '#domain/regions.ts';
import type { Statement } from '#domain/statement.ts';
import table from './guard-words.json' with { type: 'json' };
import { type Mention, mentionsOf } from './mentions.ts';

export interface GuardContext {
  /** Of the subject study, else of the order. */
  readonly side: Side | null;
  /** Of the subject study, else of the order. */
  readonly regions: readonly string[];
  readonly sex: Identity['sex'];
  /** A prior film was among the images, or a prior report among the history that the model read. */
  readonly priorGiven: boolean;
  /** Per image in prompt order: its spacing on the patient is known. */
  readonly spacingKnown: readonly boolean[];
  /** Words of the patient's procedures and problems ("Cholecystectomy"). */
  readonly record: readonly string[];
}

type Hold = Statement['holds'][number];

function hasWord(text: string, words: readonly string[]): string | null {
  const lower = ` ${text.toLowerCase().replace(/[^a-z]+/g, ' ')} `;
  return words.find((word) => lower.includes(` ${word} `)) ?? null;
}

/** The other side than the one that was examined. Only where sides are different exams: a chest film shows both. */
function wrongSide({ text }: Statement, { side, regions }: GuardContext): Hold | null {
  if (side === null || side === 'bilateral' || !regions.every(isPaired)) return null;
  const says = { left: /\bleft\b/i.test(text), right: /\bright\b/i.test(text) };
  const other = side === 'left' ? 'right' : 'left';
  if (!says[other] || says[side]) return null;
  return { rule: 'side', message: `It speaks of the ${other} side; the study is of the ${side}.` };
}

const comparing = new RegExp(
  [
    'compar(?:ed|ison)',
    'prior',
    'previous(?:ly)?',
    'earlier (?:film|study|exam)',
    'interval',
    'unchanged',
    'stable',
    'no (?:significant )?change',
    'new(?:ly)?',
    'again',
    're-?demonstrat\\w+',
    'persist\\w*',
    'worsen\\w*',
    'resolv\\w+',
    'no longer',
    'since',
    'the same (?:size|as)',
    '(?:there|than|as) before',
    // "Increased markings" describes one film; "has increased" compares two.
    '(?:has|have|had) (?:\\w+ly )?(?:increased|decreased|improved|progressed|grown|cleared|changed)',
    '(?:increase|decrease|improvement)[sd]? (?:in (?:size|extent|the interval)|since|from|compared)',
    // "Larger than the left" compares sides.
    '(?:larger|smaller|worse|better)(?! (?:on the (?:left|right) )?than (?:on )?(?:the )?(?:left|right|other|contralateral))',
  ]
    .map((words) => `\\b${words}\\b`)
    .join('|'),
  'i',
);
const saysNoPrior =
  /\bno\b[^.]*\b(?:priors?|previous|comparisons?|earlier)\b|\b(?:priors?|previous|comparisons?|earlier)\b[^.]*\b(?:not|none|unavailable|cannot|impossible)\b|^none\b/i;

/** A comparison although nothing to compare with was given. */
function comparisonWithoutPrior({ text }: Statement, { priorGiven }: GuardContext): Hold | null {
  if (priorGiven || saysNoPrior.test(text)) return null;
  const word = comparing.exec(text)?.[0];
  if (word === undefined) return null;
  return { rule: 'comparison', message: `It compares ("${word.toLowerCase()}"), and no prior was given.` };
}

/** An organ or a word of the other sex. */
function wrongSex({ text }: Statement, { sex }: GuardContext): Hold | null {
  if (sex !== 'male' && sex !== 'female') return null;
  const word = hasWord(text, sex === 'male' ? table.femaleOnly : table.maleOnly);
  return word === null ? null : { rule: 'sex', message: `It speaks of "${word}"; the record says ${sex}.` };
}

/** An organ that the record says was taken out, described as if it were there. */
function removedOrgan({ text }: Statement, { record }: GuardContext): Hold | null {
  const lower = text.toLowerCase();
  if (table.absence.some((word) => lower.includes(word))) return null;
  for (const { procedure, organ } of table.removed) {
    const removed = record.find((item) => hasWord(item, procedure) !== null);
    const named = removed === undefined ? null : hasWord(text, organ);
    if (named !== null) return { rule: 'organ', message: `It describes the ${named}; the record says "${removed}".` };
  }
  return null;
}

const measurement = /\b\d+(?:[.,]\d+)?\s*(?:-|x|×)?\s*(?:\d+(?:[.,]\d+)?\s*)?(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?)\b/i;

/** A length although no image that the sentence rests on (or, citing none, no image at all) has a known spacing. */
function measurementWithoutSpacing({ text, citations }: Statement, { spacingKnown }: GuardContext): Hold | null {
  const found = measurement.exec(text)?.[0];
  if (found === undefined) return null;
  const known = citations.length === 0 ? spacingKnown.some(Boolean) : citations.every(({ image }) => spacingKnown[image - 1] === true);
  return known ? null : { rule: 'measurement', message: `It measures ("${found}"), and the spacing of its images is not known.` };
}

function meets(a: Mention, b: Mention): boolean {
  // A denial without side or site denies all of them; one with a side or site denies only that one.
  const absent = a.polarity === 'absent' ? a : b;
  const present = absent === a ? b : a;
  const side = absent.side === null || absent.side === 'bilateral' || absent.side === present.side;
  return side && (absent.site === null || absent.site === present.site);
}

interface Said {
  readonly statement: Statement;
  readonly mention: Mention;
}

function sidesOf(said: readonly Said[], section: Statement['section'], finding: string): ReadonlySet<Side | null> {
  return new Set(
    said
      .filter(({ statement, mention }) => statement.section === section && mention.finding === finding && mention.polarity === 'present')
      .map(({ mention }) => mention.side),
  );
}

/** The impression names a side on which the findings do not have the finding, and the other way round. */
function otherSide({ statement, mention }: Said, said: readonly Said[]): Hold | null {
  if (mention.polarity === 'absent' || mention.side === null || statement.section === 'comparison') return null;
  const elsewhere = sidesOf(said, statement.section === 'findings' ? 'impression' : 'findings', mention.finding);
  if (
    elsewhere.size === 0 ||
    elsewhere.has(null) ||
    elsewhere.has('bilateral') ||
    elsewhere.has(mention.side) ||
    mention.side === 'bilateral'
  )
    return null;
  const message = `${mention.finding} is on the ${mention.side} here and on the ${[...elsewhere].join(', ')} in another sentence.`;
  return { rule: 'contradiction', message };
}

/** Per statement: the same finding present here and absent there, or on opposite sides in findings and impression. */
function contradictions(statements: readonly Statement[]): readonly (Hold | null)[] {
  const said = statements.flatMap((statement) => mentionsOf(statement.text).map((mention) => ({ statement, mention })));
  return statements.map((statement) => {
    for (const own of said.filter((one) => one.statement === statement)) {
      const against = said.find(
        ({ statement: other, mention }) =>
          other !== statement &&
          mention.finding === own.mention.finding &&
          mention.polarity !== own.mention.polarity &&
          meets(mention, own.mention),
      );
      if (against !== undefined) {
        const message = `It says that ${own.mention.finding} is ${own.mention.polarity}; sentence ${against.statement.number} says the opposite.`;
        return { rule: 'contradiction', message };
      }
      const hold = otherSide(own, said);
      if (hold !== null) return hold;
    }
    return null;
  });
}

const rules = [wrongSide, comparisonWithoutPrior, wrongSex, removedOrgan, measurementWithoutSpacing] as const;

/** The statements with the holds of all rules added to those they have. */
export function guard(statements: readonly Statement[], context: GuardContext): readonly Statement[] {
  const contradicting = contradictions(statements);
  return statements.map((statement, index) => {
    const found = [...rules.map((rule) => rule(statement, context)), contradicting[index] ?? null].filter((hold) => hold !== null);
    return found.length === 0 ? statement : { ...statement, holds: [...statement.holds, ...found] };
  });
}
