/**
 * Whether an answer has begun to repeat itself without end.
 *
 * A report may say "normal" four times; a loop fills the rest of the budget. So a period must fill at least 48 tokens and come at least four
 * times before it counts.
 */
const LEAST_TOKENS = 48;
const LEAST_TIMES = 4;
const LONGEST_PERIOD = 64;

/** Tokens per round when the end of `tokens` is one sequence repeated, else null. */
export function repeatedPeriod(tokens: readonly number[]): number | null {
  for (let period = 1; period <= LONGEST_PERIOD; period++) {
    const needed = Math.max(LEAST_TOKENS, period * LEAST_TIMES);
    if (tokens.length < needed) continue;
    let same = 0;
    for (let at = tokens.length - 1; at >= period && tokens[at] === tokens[at - period]; at--) same++;
    if (same + period >= needed) return period;
  }
  return null;
}
