/**
 * Delivery: each row is one draft to one neighbour. Delivering is idempotent (identifiers and UIDs come from the draft's key), so a row
 * may be tried again after any crash; after the last try it is a visible dead letter, nothing is lost.
 */

import type { Draft } from '#domain/draft.ts';
import { codeOf, WetreadError } from '#domain/errors.ts';
import { writtenByStopped } from './bundle-stops.ts';
import type { Query, Store } from './store.ts';

export type Target = 'fhir' | 'pacs';

/** Sends a draft and reads it back; gives what the neighbour made of it (ids, warnings). @throws a coded error to be tried again. */
export type Deliver = (draft: Draft) => Promise<Record<string, unknown>>;

export interface OutboxRow {
  readonly draftKey: string;
  readonly target: Target;
  readonly state: 'held' | 'pending' | 'delivered' | 'dead';
  readonly attempts: number;
  readonly code: string | null;
  readonly message: string | null;
  readonly result: Record<string, unknown> | null;
}

const columns = 'draft_key as "draftKey", target, state, attempts, code, message, result';

/** Seconds until the next try: 2, 4, 8, ... at most 10 minutes. */
export function backoffSeconds(attempts: number): number {
  return Math.min(2 ** attempts, 600);
}

export async function deliveriesOf(query: Query, draftKey: string): Promise<OutboxRow[]> {
  return query<OutboxRow>(`select ${columns} from outbox where draft_key = $1 order by target`, [draftKey]);
}

/** Takes the next due row for `leaseSeconds`; a worker that dies gives it back by time. What a stopped bundle wrote waits. */
async function takeDue(store: Store, leaseSeconds: number): Promise<(OutboxRow & { document: Draft }) | null> {
  return store.transaction(async (query) => {
    const [row] = await query<OutboxRow & { document: Draft }>(
      `select o.draft_key as "draftKey", o.target, o.state, o.attempts, o.code, o.message, o.result, d.document
       from outbox o join draft d on d.key = o.draft_key
       where o.state = 'pending' and o.next_at <= now() and not ${writtenByStopped} order by o.next_at limit 1 for update of o skip locked`,
    );
    if (row === undefined) return null;
    await query(
      'update outbox set attempts = attempts + 1, next_at = now() + make_interval(secs => $3) where draft_key = $1 and target = $2',
      [row.draftKey, row.target, leaseSeconds],
    );
    return { ...row, attempts: row.attempts + 1 };
  });
}

/** Keeps a lease while its delivery lasts; a process that dies stops renewing. A renewal that fails is made up for by the next. */
function renewLease(query: Query, row: OutboxRow, leaseSeconds: number): NodeJS.Timeout {
  const renew = () =>
    query(`update outbox set next_at = now() + make_interval(secs => $3) where draft_key = $1 and target = $2 and state = 'pending'`, [
      row.draftKey,
      row.target,
      leaseSeconds,
    ]).catch(() => null);
  return setInterval(renew, (leaseSeconds * 1000) / 3);
}

/**
 * Makes every pending row due now. For the start of a store that no other process can hold: a lease that is still running there is that of
 * a process which died while it delivered.
 */
export async function releaseLeases(query: Query): Promise<void> {
  await query(`update outbox set next_at = now() where state = 'pending'`);
}

export interface OutboxOptions {
  readonly deliver: Readonly<Record<Target, Deliver>>;
  readonly maxAttempts: number;
  readonly leaseSeconds: number;
  readonly onSettled?: (row: OutboxRow) => Promise<void>;
  /** A fault of ours, whose message may repeat what was to be delivered: the row has its code alone. */
  readonly onFault?: (error: unknown) => void;
}

/** Delivers everything that is due now, one after the other. @returns how many rows were tried. */
export async function deliverDue(store: Store, options: OutboxOptions): Promise<number> {
  for (let tried = 0; ; tried += 1) {
    const row = await takeDue(store, options.leaseSeconds);
    if (row === null) return tried;
    const where = [row.draftKey, row.target];
    const renewal = renewLease(store.query, row, options.leaseSeconds);
    try {
      const result = await options.deliver[row.target](row.document).finally(() => clearInterval(renewal));
      await store.query(
        `update outbox set state = 'delivered', result = $3, code = null, message = null, delivered_at = now() where draft_key = $1 and target = $2`,
        [...where, JSON.stringify(result)],
      );
    } catch (error) {
      if (!(error instanceof WetreadError)) options.onFault?.(error);
      const dead = row.attempts >= options.maxAttempts;
      await store.query(
        `update outbox set state = $3, code = $4, message = $5, next_at = now() + make_interval(secs => $6) where draft_key = $1 and target = $2`,
        [
          ...where,
          dead ? 'dead' : 'pending',
          codeOf(error),
          error instanceof WetreadError ? error.message : 'a fault of wetread itself; the log has it',
          backoffSeconds(row.attempts),
        ],
      );
    }
    const [settled] = (await deliveriesOf(store.query, row.draftKey)).filter((other) => other.target === row.target);
    if (settled !== undefined) await options.onSettled?.(settled);
  }
}
