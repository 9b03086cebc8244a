/**
 * Person names of two sources held against each other: the same, another person's, or not decidable.
 *
 * Case, diacritics, order, initials, double names, truncation and one typing error are not a contradiction. Names are compared as words,
 * because real headers lack the caret between family and given name (PS3.5 6.2.1.2).
 */
import type { Identity } from './patient.ts';

export type PersonName = NonNullable<Identity['name']>;

/** `family-only` = family names differ while given names agree: another person, or the same one before a marriage. */
export type NameVerdict = 'agrees' | 'contradicts' | 'unknown' | 'family-only';

/** What anonymisers and emergency desks write instead of a name. */
const placeholder =
  /^(anon(ymi[sz]ed|ymous)?|removed|unknown|unbekannt|none|noname|deidentified|patient|test|x+|n\/?a|not given|no name)$/i;

const letters: Readonly<Record<string, string>> = { ß: 'ss', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', æ: 'ae', œ: 'oe', ı: 'i' };

function fold(text: string): string {
  return (
    text
      .toLowerCase()
      .replace(/[ßøłđðþæœı]/g, (letter) => letters[letter] ?? letter)
      .normalize('NFKD')
      .replace(/\p{M}/gu, '')
      // Müller, Mueller and Muller are one name: the written-out umlaut goes the way of the dots.
      .replace(/([aou])e/g, '$1')
  );
}

function words(text: string): readonly string[] {
  return fold(text)
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}

type Match = 'same' | 'close' | 'none';

function withinOneEdit(a: string, b: string): boolean {
  if (Math.abs(a.length - b.length) > 1) return false;
  let start = 0;
  while (start < a.length && a[start] === b[start]) start++;
  const [restA, restB] = [a.slice(start), b.slice(start)];
  const swapped = restA[0] === restB[1] && restA[1] === restB[0] && restA.slice(2) === restB.slice(2);
  return restA.slice(1) === restB.slice(1) || restA.slice(1) === restB || restA === restB.slice(1) || swapped;
}

function matchWords(a: string, b: string): Match {
  if (a === b) return 'same';
  const shorter = Math.min(a.length, b.length);
  const begins = a.startsWith(b) || b.startsWith(a);
  if (begins && (shorter === 1 || shorter >= 3)) return 'close';
  return shorter >= 5 && withinOneEdit(a, b) ? 'close' : 'none';
}

function best(a: readonly string[], b: readonly string[]): Match | 'unknown' {
  if (a.length === 0 || b.length === 0) return 'unknown';
  const all = a.flatMap((left) => b.map((right) => matchWords(left, right)));
  return all.includes('same') ? 'same' : all.includes('close') ? 'close' : 'none';
}

/** The written parts of a name, or null when it is a placeholder, empty, or only repeats an identifier. */
function partsOf(name: PersonName | null, identifiers: readonly string[]): { family: readonly string[]; given: readonly string[] } | null {
  if (name === null) return null;
  const whole = [name.family ?? '', ...name.given].join(' ').trim();
  if (placeholder.test(whole) || (name.family !== null && placeholder.test(name.family))) return null;
  const same = (id: string) => words(id).join('') === words(whole).join('');
  const parts = { family: words(name.family ?? ''), given: name.given.flatMap(words) };
  return parts.family.length + parts.given.length === 0 || identifiers.some(same) ? null : parts;
}

function scriptOf(parts: { family: readonly string[]; given: readonly string[] }): 'latin' | 'other' {
  return /\p{Script=Latin}/u.test([...parts.family, ...parts.given].join('')) ? 'latin' : 'other';
}

/** One of the two has no split into family and given name: words against words. */
function compareUnsplit(a: readonly string[], b: readonly string[]): NameVerdict {
  const [fewer, more] = a.length <= b.length ? [a, b] : [b, a];
  const matches = fewer.map((word) => best([word], more));
  const same = matches.filter((match) => match === 'same').length;
  if (matches.every((match) => match === 'none')) return 'contradicts';
  return same > 0 && matches.every((match) => match !== 'none') ? 'agrees' : 'unknown';
}

function compareSplit(family: Match | 'unknown', given: Match | 'unknown'): NameVerdict {
  if (family === 'none') return given === 'same' ? 'family-only' : 'contradicts';
  if (given === 'none') return 'contradicts';
  return family === 'same' ? 'agrees' : 'unknown';
}

/**
 * Verdict on two names; `identifiers` are the PatientIDs of both sides (an anonymised name often repeats one and then says nothing).
 * Symmetric in its first two arguments.
 */
export function compareNames(a: PersonName | null, b: PersonName | null, identifiers: readonly string[]): NameVerdict {
  const [left, right] = [partsOf(a, identifiers), partsOf(b, identifiers)];
  if (left === null || right === null || scriptOf(left) !== scriptOf(right)) return 'unknown';
  const unsplit = [left, right].some((parts) => parts.family.length === 0 || parts.given.length === 0);
  if (unsplit) return compareUnsplit([...left.family, ...left.given], [...right.family, ...right.given]);
  const [family, given] = [best(left.family, right.family), best(left.given, right.given)];
  const crossed = [best(left.family, right.given), best(left.given, right.family)];
  if (crossed.every((match) => match === 'same')) return 'agrees';
  return compareSplit(family, given);
}
