/**
 * Moses word splitting for English as BioGPT's tokenizer calls it (hyphens split, XML escaped), and its way back from words to text.
 *
 * Its rules are a chain: each works on what the one before left, so their order is part of them. Letters, digits and lower case are Unicode's
 * of this runtime; the tables of the original are of an older version. Words of Chinese, Japanese and Korean get spaces like all others.
 * Source: sacremoses tokenize.py (MosesTokenizer.tokenize, MosesDetokenizer.tokenize), a port of Moses' tokenizer.perl and detokenizer.perl.
 */

import { pythonSpace } from '../python-space.ts';
import { type Characters, replaceIn, wordsOf } from './characters.ts';
import abbreviations from './moses-abbreviations.json' with { type: 'json' };

/** Inside of a class of characters. */
const space = pythonSpace.slice(1, -1);
const spaces = new RegExp(`${pythonSpace}+`, 'g');
const letter = '\\p{Alphabetic}';
const wordCharacter = `${letter}\\p{Nd}`;
const number = '\\p{N}';

type Rule = readonly [RegExp, string];

const rule = (pattern: string, put: string): Rule => [new RegExp(pattern, 'gu'), put];

/** Everything but letters, digits and a few marks stands alone; a hyphen between words becomes a word. */
const splitting: readonly Rule[] = [
  rule(`([^${wordCharacter}${space}.'\`,\\-])`, ' $1 '),
  rule(`([${wordCharacter}])-(?=[${wordCharacter}])`, '$1 @-@ '),
];

/** Several dots are one word; they are hidden while single ones are looked at. */
const dots = /\.{2,}/g;
const hiddenDots = /(?:DOT)+MULTI/g;

/** A comma stands alone but between numbers; an apostrophe goes with what it shortens. */
const marks: readonly Rule[] = [
  rule(`([^${number}]),`, '$1 , '),
  rule(`,([^${number}])`, ' , $1'),
  rule(`([${number}]),$`, '$1 , '),
  rule(`([^${letter}])'([^${letter}])`, "$1 ' $2"),
  rule(`([^${letter}${number}])'([${letter}])`, "$1 ' $2"),
  rule(`([${letter}])'([^${letter}])`, "$1 ' $2"),
  rule(`([${letter}])'([${letter}])`, "$1 '$2"),
  rule(`([${number}])'(s)`, "$1 '$2"),
];

/** In this order: an ampersand that an escape brings is not escaped again. */
const escapes: readonly (readonly [string, string])[] = [
  ['&', '&amp;'],
  ['|', '&#124;'],
  ['<', '&lt;'],
  ['>', '&gt;'],
  ["'", '&apos;'],
  ['"', '&quot;'],
  ['[', '&#91;'],
  [']', '&#93;'],
];

const always: ReadonlySet<string> = new Set(abbreviations.always);
const beforeNumber: ReadonlySet<string> = new Set(abbreviations.beforeNumber);
const hasLetter = new RegExp(`[${letter}]`, 'u');
const startsLower = /^\p{Lowercase}/u;

/** Whether the full stop after `before` belongs to it. */
function isAbbreviation(before: string, next: string | undefined): boolean {
  if (before.includes('.') && hasLetter.test(before)) return true;
  if (always.has(before) || (next !== undefined && startsLower.test(next))) return true;
  return beforeNumber.has(before) && next !== undefined && /^[0-9]/.test(next);
}

function splitStops(words: readonly string[]): string[] {
  return words.map((word, index) => {
    const before = word.slice(0, -1);
    if (!word.endsWith('.') || before === '' || isAbbreviation(before, words[index + 1])) return word;
    return `${before} .`;
  });
}

const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

/** Without control characters, which are dropped where they are no white space. */
const printable = (text: string): string => [...text].filter((character) => character >= ' ').join('');

/** The words of a text. */
export function mosesWords(input: string): string[] {
  let text = words(printable(input.replace(spaces, ' '))).join(' ');
  for (const [pattern, put] of splitting) text = text.replace(pattern, put);
  const { length } = text;
  text = text.replace(dots, (run: string, at: number) => ` ${'DOT'.repeat(run.length)}MULTI${at + run.length < length ? ' ' : ''}`);
  for (const [pattern, put] of marks) text = text.replace(pattern, put);
  text = words(splitStops(words(text)).join(' ')).join(' ');
  text = text.replace(/\.' ?$/, " . ' ").replace(hiddenDots, (run) => '.'.repeat((run.length - 'MULTI'.length) / 'DOT'.length));
  for (const [plain, escaped] of escapes) text = text.replaceAll(plain, escaped);
  return words(text);
}

/** In this order; the names in letters are of older versions of Moses. */
const unescapes: readonly Rule[] = [
  ['&bar;', '|'],
  ['&#124;', '|'],
  ['&lt;', '<'],
  ['&gt;', '>'],
  ['&bra;', '['],
  ['&ket;', ']'],
  ['&quot;', '"'],
  ['&apos;', "'"],
  ['&#91;', '['],
  ['&#93;', ']'],
  ['&amp;', '&'],
].map(([escaped = '', plain = '']) => rule(escaped, plain));

const opens = /^[\p{Sc}([{¿¡]+$/u;
const closes = /^[,.?!:;\\%}\])]+$/;
const shortened = new RegExp(`^'[${letter}]`, 'u');
const quotes = /^['"„“`]+$/;

/** Where a word stands: beside the one before it, and beside the one after it. */
interface Joined {
  readonly left: boolean;
  readonly right: boolean;
}

/** How the words stand in the text; of two equal quotes the first opens and the second closes. */
function joints(all: readonly string[]): Joined[] {
  const open = new Map<string, boolean>();
  return all.map((word, index) => {
    if (opens.test(word)) return { left: false, right: true };
    if (closes.test(word) || (index > 0 && shortened.test(word))) return { left: true, right: false };
    if (!quotes.test(word)) return { left: false, right: false };
    const quote = /^[„“]+$/.test(word) ? '"' : word;
    if (open.get(quote) !== true) {
      if (word === "'" && index > 0 && all[index - 1]?.endsWith('s') === true) return { left: true, right: false };
      open.set(quote, true);
      return { left: false, right: true };
    }
    open.set(quote, false);
    return { left: true, right: false };
  });
}

/** Words, between single spaces, as a text. */
export function mosesText(input: Characters): Characters {
  // A space on both sides: a hyphen's word may be the first or the last.
  let whole: Characters = { text: [' ', ...input.text, ' '], owner: [input.owner[0] ?? 0, ...input.owner, input.owner.at(-1) ?? 0] };
  for (const [pattern, put] of [rule(' @-@ ', '-'), ...unescapes]) whole = replaceIn(whole, pattern, put);
  const all = wordsOf(whole);
  const joined = joints(all.map(({ text }) => text.join('')));
  const out: Characters = { text: [], owner: [] };
  for (const [index, word] of all.entries()) {
    const isApart = index > 0 && joined[index]?.left === false && joined[index - 1]?.right === false;
    if (isApart) {
      out.text.push(' ');
      out.owner.push(word.owner[0] ?? 0);
    }
    out.text.push(...word.text);
    out.owner.push(...word.owner);
  }
  return out;
}
