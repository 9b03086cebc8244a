/**
 * The sentences of an answer, with their section, their characters and their tokens.
 *
 * A sentence ends at sentence punctuation or a line break; headings are no sentences. A point inside a number ("1.5 cm"), behind an
 * abbreviation ("approx. 3 cm") or a list number ("1. Nodule") ends nothing.
 */
import type { Section } from '#domain/statement.ts';

export interface Sentence {
  readonly section: Section;
  readonly text: string;
  /** [start, end) in the answer's text, UTF-16 units, without white space and marks around it. */
  readonly start: number;
  readonly end: number;
}

const sections: readonly (readonly [Section, RegExp])[] = [
  ['comparison', /^(comparisons?|compared? (with|to) (the )?priors?|change)$/i],
  ['impression', /^(impressions?|conclusions?|opinion|summary|recommendations?|diagnosis)$/i],
  [
    'findings',
    /^(findings?|technique|procedure|exam(ination)?|history|indication|clinical information|report|description|observations?)$/i,
  ],
];

/** A heading at the start of a line or behind a sentence: its words, bold or hashed, then a colon or the line's end. */
const heading = /^(?:[#*_\s]*)([A-Za-z][A-Za-z ]{2,40}?)(?:[*_]*\s*:[*_]*|[*_]*\s*$)/;
const bullet = /^\s*(?:[-*•–#]+|\d{1,2}[.)])\s+/;

/** Never the last word of a sentence that goes on in the same line. */
const abbreviations = new Set(
  'dr mr mrs ms prof st vs approx ca cf e.g i.e fig figs max min incl resp sup inf ant post lat med vol ref nos dept est dd'.split(' '),
);

function isEnd(line: string, at: number): number | null {
  const run = /^(?:[.!?]+["'”’)\]*_]*(?=\s|$)|[。！？]+)/.exec(line.slice(at));
  if (run === null) return null;
  const after = at + run[0].length;
  const rest = line.slice(after).trimStart();
  if (line[at] !== '.' || rest === '') return after;
  const word = /[\p{L}.]+$/u.exec(line.slice(0, at))?.[0] ?? '';
  if (abbreviations.has(word.toLowerCase())) return null;
  if (word.toLowerCase() === 'no' && /^\d/.test(rest)) return null;
  // "in the R. lung", "T.B. is": single capitals are an abbreviation when a small letter follows.
  return /^\p{Lu}(?:\.\p{Lu})*$/u.test(word) && /^\p{Ll}/u.test(rest) ? null : after;
}

function endOf(line: string, from: number): number {
  for (let at = from; at < line.length; at++) {
    const end = isEnd(line, at);
    if (end !== null) return end;
  }
  return line.length;
}

/** The section that a heading opens and its length, or null when the text begins with none. */
function headingAt(text: string): { section: Section; length: number } | null {
  const match = heading.exec(text);
  const words = match?.[1]?.trim() ?? '';
  const found = sections.find(([, form]) => form.test(words));
  return match === null || found === undefined ? null : { section: found[0], length: match[0].length };
}

function trimmed(text: string, start: number, end: number): { start: number; end: number } {
  const piece = text.slice(start, end);
  const lead = /^[\s*_#]*/.exec(piece)?.[0].length ?? 0;
  const tail = /[\s*_]*$/.exec(piece.slice(lead))?.[0].length ?? 0;
  return { start: start + lead, end: end - tail };
}

/** Sentences in order; text before any heading counts as findings. */
export function sentencesOf(text: string): readonly Sentence[] {
  const sentences: Sentence[] = [];
  let section: Section = 'findings';
  let lineStart = 0;
  for (const line of text.split('\n')) {
    let at = bullet.exec(line)?.[0].length ?? 0;
    while (at < line.length) {
      const opened = headingAt(line.slice(at));
      if (opened !== null) {
        section = opened.section;
        at += opened.length;
        continue;
      }
      const end = endOf(line, at);
      const span = trimmed(text, lineStart + at, lineStart + end);
      const words = text.slice(span.start, span.end);
      // A line such as "Lungs:" names a part and says nothing.
      if (/[\p{L}\p{N}]/u.test(words) && !(words.endsWith(':') && end === line.length)) sentences.push({ section, text: words, ...span });
      at = end;
    }
    lineStart += line.length + 1;
  }
  return sentences;
}

/**
 * [from, to) in the tokens for each sentence, disjoint and in order; a token across a boundary belongs to the sentence in which it begins.
 * `spans`: [start, end) of each token in the same text.
 */
export function tokenRanges(
  sentences: readonly Sentence[],
  spans: readonly (readonly [number, number])[],
): readonly (readonly [number, number])[] {
  let next = 0;
  return sentences.map(({ start, end }) => {
    let from = next;
    while (from < spans.length && (spans[from]?.[1] ?? 0) <= start) from++;
    let to = from;
    while (to < spans.length && (spans[to]?.[0] ?? 0) < end) to++;
    next = to;
    return [from, to] as const;
  });
}
