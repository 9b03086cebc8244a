/**
 * What of a model's text is its answer, by the rules of its authors, which are data of the bundle: thoughts before it, marks and repetitions
 * after it are cut off. What is left is one stretch of the text, so spans of tokens move with it; a token outside has an empty span.
 */
import { z } from 'zod';
import { pythonSpace } from './python-space.ts';

export const answerRulesSchema = z.strictObject({
  /** White space at both ends goes, as Python's str.strip takes it. */
  strip: z.boolean().optional(),
  /** A thought between two marks comes before the answer; one that does not end leaves no answer. */
  thought: z.strictObject({ open: z.string().min(1), close: z.string().min(1) }).optional(),
  /** The answer ends before the first of these. */
  cutAt: z.array(z.string().min(1)).optional(),
  /** The answer ends before the first line that was there before, and where it repeats the question. */
  cutRepetition: z.boolean().optional(),
});
export type AnswerRules = z.infer<typeof answerRulesSchema>;

type Spans = readonly (readonly [number, number])[];

const leading = new RegExp(`^${pythonSpace}*`);
const trailing = new RegExp(`${pythonSpace}*$`);

/** Python's str.strip. */
export function stripped(text: string): string {
  return text.replace(leading, '').replace(trailing, '');
}

function afterThought(text: string, thought: AnswerRules['thought']): number {
  if (thought === undefined) return 0;
  const close = text.indexOf(thought.close);
  if (close >= 0) return close + thought.close.length;
  return text.includes(thought.open) ? text.length : 0;
}

/** Start of the first line that stood before; lines without a word do not count. */
function repeatedLine(text: string): number {
  const seen = new Set<string>();
  let at = 0;
  for (const line of text.split('\n')) {
    const said = stripped(line);
    if (said !== '' && seen.has(said)) return at;
    seen.add(said);
    at += line.length + 1;
  }
  return text.length;
}

function endOf(text: string, { cutAt = [], cutRepetition }: AnswerRules, question: string): number {
  const found = cutAt.map((mark) => text.indexOf(mark)).filter((at) => at >= 0);
  const asked = stripped(question);
  // At the very start it is the question being taken up, and the answer follows.
  const again = cutRepetition === true && asked !== '' ? text.indexOf(asked, 1) : -1;
  return Math.min(text.length, ...found, ...(again < 0 ? [] : [again]), ...(cutRepetition === true ? [repeatedLine(text)] : []));
}

/**
 * @param question the last text of the prompt
 * @param spans [start, end) of each token in `text`
 */
export function answerText(
  text: string,
  spans: Spans,
  rules: AnswerRules,
  question: string,
): { readonly text: string; readonly spans: Spans } {
  let start = afterThought(text, rules.thought);
  let end = start + endOf(text.slice(start), rules, question);
  if (rules.strip === true) {
    start += leading.exec(text.slice(start, end))?.[0].length ?? 0;
    end -= trailing.exec(text.slice(start, end))?.[0].length ?? 0;
  }
  const inside = (at: number) => Math.min(Math.max(at, start), end) - start;
  return { text: text.slice(start, end), spans: spans.map(([from, to]) => [inside(from), inside(to)] as const) };
}
