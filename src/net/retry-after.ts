/**
 * Waiting as a busy server asks, within bounds: a server may name a second, next week, or nonsense.
 *
 * Source: RFC 9110 10.2.3 (delay in seconds or an HTTP date), 15.6.4 (503); RFC 6585 4 (429).
 */
import { setTimeout as later } from 'node:timers/promises';
import { WetreadError } from '#domain/errors.ts';

/** Milliseconds that `header` asks for; null when it is absent or neither a number of seconds nor a date. A date that is over is 0. */
export function retryAfterMs(header: string | null, now: number): number | null {
  const text = header?.trim() ?? '';
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  const date = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(date - now, 0);
}

export interface Patience {
  /** Longest wait that is granted, milliseconds; a server that asks for more is not waited for. */
  readonly maxWaitMs: number;
  /** Waits for one request. */
  readonly maxWaits: number;
}

/**
 * Waits when the answer says that the server is busy and when it will not be.
 * @param waits how often this request has waited already
 * @returns true = ask again now; false = the status stands
 * @throws net-timeout when the caller gave up meanwhile
 */
export async function waitedAsAsked(
  answer: { readonly status: number; readonly retryAfter: string | null },
  waits: number,
  patience: Patience,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if ((answer.status !== 503 && answer.status !== 429) || waits >= patience.maxWaits) return false;
  const ms = retryAfterMs(answer.retryAfter, Date.now());
  if (ms === null || ms > patience.maxWaitMs) return false;
  try {
    await later(ms, undefined, signal === undefined ? {} : { signal });
  } catch (cause) {
    throw new WetreadError('net-timeout', 'the caller gave up while a busy server was waited for', { cause });
  }
  return true;
}
