/**
 * What is not finished: drafts that are queued or failed, deliveries that wait or are dead; and the way back for those that ended.
 *
 * Nothing of a patient is in it: a key, a code, a message of ours, counts and ages.
 */
import type { Target } from './outbox.ts';
import type { Query, Store } from './store.ts';

export interface Standing {
  readonly key: string;
  readonly of: 'draft' | Target;
  readonly state: 'queued' | 'failed' | 'held' | 'pending' | 'dead';
  readonly tries: number;
  /** Seconds since it was asked for (draft) or made (delivery). */
  readonly age: number;
  readonly code: string | null;
  readonly message: string | null;
  /** Whether `retry` can bring it back: a failed draft needs its sealed request, which retention removes. */
  readonly retryable: boolean;
}

/** Oldest first. */
export function standing(query: Query): Promise<Standing[]> {
  return query<Standing>(
    `select key, 'draft' as of, state, starts as tries, extract(epoch from now() - created_at)::float8 as age, code, message,
            state = 'failed' and exists (select 1 from snapshot where draft_key = key) as retryable
       from draft where state <> 'ready' and (state <> 'failed' or superseded_by is null)
     union all
     select o.draft_key, o.target, o.state, o.attempts, extract(epoch from now() - d.settled_at)::float8, o.code, o.message, o.state = 'dead'
       from outbox o join draft d on d.key = o.draft_key where o.state <> 'delivered'
     order by age desc`,
  );
}

/**
 * Brings a failed draft or the dead deliveries of a draft back; a worker takes them up within seconds.
 * @returns what was brought back; empty = there was nothing that could be
 */
export async function retry(store: Store, key: string): Promise<Standing['of'][]> {
  return store.transaction(async (query) => {
    const drafts = await query(
      `update draft set state = 'queued', code = null, message = null, settled_at = null, starts = 0, failures = 0
        where key = $1 and state = 'failed' and exists (select 1 from snapshot where draft_key = key) returning key`,
      [key],
    );
    const deliveries = await query<{ target: Target }>(
      `update outbox set state = 'pending', attempts = 0, next_at = now(), code = null, message = null
        where draft_key = $1 and state = 'dead' returning target`,
      [key],
    );
    return [...drafts.map(() => 'draft' as const), ...deliveries.map(({ target }) => target)];
  });
}
