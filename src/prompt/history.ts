/**
 * The history as one text within a token budget.
 *
 * Items come in the evidence's order and are dropped from its end, so reasons go last. Text of a record can hold anything, also what a
 * template would take for a placeholder or a turn: such marks are taken out of it before it meets the model.
 */
import { createHash } from 'node:crypto';
import type { Warning } from '#domain/errors.ts';
import type { HistoryItem } from '#domain/evidence.ts';
import { fill, type Wording } from './wording.ts';

export interface HistoryText {
  /** Ready for the prompt, its line end included. */
  readonly text: string;
  readonly kept: readonly HistoryItem[];
  readonly warnings: readonly Warning[];
}

export interface HistoryLimits {
  /** Tokens that the history may take; the wording's own limit holds too. */
  readonly tokenBudget: number;
  countTokens(text: string): number;
}

const longestItem = 400;

/** A "<" or ">" that compares with a number stays; every other one could be half of a mark. */
const angle = /[<>](?!\s*=?\s*\d[\d.,]*(?!\w))/g;

/** Marks such as `<image>`, `</s>`, `<|im_end|>`, `[INST]`, `USER:`, control and format characters are taken out. */
export function harmless(text: string): string {
  const line = text
    .replace(/[\p{Cc}\p{Cf}]+/gu, ' ')
    .replace(angle, ' ')
    .replace(/\[\/?INST\]/gi, ' ')
    .replace(/(USER|ASSISTANT|SYSTEM)\s*:/g, '$1 ')
    .replace(/\s+/g, ' ')
    .trim();
  return line.length > longestItem ? `${line.slice(0, longestItem - 1)}…` : line;
}

function write(items: readonly HistoryItem[], wording: Wording): string {
  if (items.length === 0) return wording.historyNone;
  const written = items.map(({ kind, text, date }) => {
    const template = wording.historyItem[kind] ?? '{text}';
    // The value is put in last, so that commas and braces in it are not read as the template's.
    return fill(template, { text: '{text}', date }).replace('{text}', () => harmless(text).replace(/[.;]+$/, ''));
  });
  return wording.history.replace('{items}', () => written.join(wording.historySeparator));
}

function named(dropped: readonly HistoryItem[]): Warning {
  const kinds = [...Map.groupBy(dropped, ({ kind }) => kind)].map(
    ([kind, items]) => `${items.length} ${kind}${items.length === 1 ? '' : 's'}`,
  );
  const texts = dropped.slice(0, 5).map(({ text }) => harmless(text).slice(0, 60));
  const more = dropped.length > 5 ? ', …' : '';
  return {
    code: 'history-dropped',
    message: `The history did not fit into the prompt; left out from its end: ${kinds.join(', ')} (${texts.join('; ')}${more}).`,
  };
}

const notRead: Warning = { code: 'history-not-read', message: 'The model was asked without the history: it was not trained to read one.' };

/** As many items from the front as fit; none fitting gives the wording's "not given". A wording without a place for it takes none. */
export function historyText(history: readonly HistoryItem[], wording: Wording, limits: HistoryLimits): HistoryText {
  if (!wording.order.includes('history')) return { text: '', kept: [], warnings: history.length === 0 ? [] : [notRead] };
  const budget = Math.min(limits.tokenBudget, wording.historyMaxTokens);
  // Tokens grow with the items, so the last count that fits is found by halving.
  let [fits, tooMany] = [0, history.length + 1];
  while (tooMany - fits > 1) {
    const middle = (fits + tooMany) >> 1;
    if (limits.countTokens(write(history.slice(0, middle), wording)) <= budget) fits = middle;
    else tooMany = middle;
  }
  const kept = history.slice(0, fits);
  return { text: write(kept, wording), kept, warnings: fits === history.length ? [] : [named(history.slice(fits))] };
}

/**
 * sha256 (hex) of what the history says, for the draft's key. References are no part of it: a draft order has a temporary id, and the same
 * evidence must give the same key.
 */
export function historyDigest(history: readonly HistoryItem[]): string {
  const said = history.map(({ kind, text, date }) => [kind, text, date]);
  return createHash('sha256').update(JSON.stringify(said), 'utf8').digest('hex');
}
