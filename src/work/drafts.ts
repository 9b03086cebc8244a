/**
 * Drafts by key: asking twice gives the same draft. A row is `queued` until a worker settles it as `ready` or `failed`.
 *
 * Settling writes the draft and its outbox rows in one transaction and removes the sealed snapshot with it.
 */
import type { Draft } from '#domain/draft.ts';
import type { ErrorCode } from '#domain/errors.ts';
import { checkNotStopped } from './bundle-stops.ts';
import type { Query, Store } from './store.ts';
import { leadTo, withSuperseded } from './superseding.ts';

/** `isSuperseded` = a newer draft of the study, of other images, is there or on its way (superseding.ts leads to it). */
export type DraftState =
  | { readonly state: 'queued' }
  | { readonly state: 'ready'; readonly draft: Draft; readonly isSuperseded: boolean }
  | { readonly state: 'failed'; readonly code: string; readonly message: string; readonly isSuperseded: boolean };

interface DraftRow {
  state: 'queued' | 'ready' | 'failed';
  code: string | null;
  message: string | null;
  document: Draft | null;
  superseded_by: string | null;
}

function stateOf(row: DraftRow): DraftState {
  const isSuperseded = row.superseded_by !== null;
  if (row.state === 'ready' && row.document !== null) return { state: 'ready', draft: row.document, isSuperseded };
  if (row.state === 'failed') {
    return { state: 'failed', code: row.code ?? 'internal', message: row.message ?? 'no reason was recorded', isSuperseded };
  }
  return { state: 'queued' };
}

export async function readDraft(query: Query, key: string): Promise<DraftState | null> {
  const [row] = await query<DraftRow>('select state, code, message, document, superseded_by from draft where key = $1', [key]);
  return row === undefined ? null : stateOf(row);
}

export interface NewDraft {
  readonly key: string;
  readonly patientId: string;
  readonly studyUid: string;
  /** Sealed by the caller (snapshot.ts). */
  readonly snapshot: Uint8Array;
}

/** Registers a draft to be made. @returns false when it was there already (queued, ready or failed). */
export async function registerDraft(store: Store, draft: NewDraft): Promise<boolean> {
  return store.transaction(async (query) => {
    const rows = await query<{ key: string }>(
      `insert into draft (key, patient_id, study_uid, state) values ($1, $2, $3, 'queued')
       on conflict (key) do update set state = 'queued', code = null, message = null, settled_at = null, starts = 0, failures = 0
         where draft.state = 'failed' and draft.settled_at < now() - interval '1 minute' and draft.superseded_by is null
       returning key`,
      [draft.key, draft.patientId, draft.studyUid],
    );
    if (rows.length === 0) return false;
    await query('insert into snapshot (draft_key, sealed) values ($1, $2) on conflict (draft_key) do update set sealed = excluded.sealed', [
      draft.key,
      Buffer.from(draft.snapshot),
    ]);
    return true;
  });
}

/** How often a draft was begun, and how often it then failed with a reason; the rest ended with its process. */
export interface Attempts {
  readonly starts: number;
  readonly failures: number;
}

/**
 * Counts an attempt before it is made, so that one which takes its process with it is counted too.
 * @returns the counts with this start; null when the draft is settled or was deleted
 */
export async function beginAttempt(query: Query, key: string): Promise<Attempts | null> {
  const [row] = await query<Attempts>(
    `update draft set starts = starts + 1 where key = $1 and state = 'queued' returning starts, failures`,
    [key],
  );
  return row ?? null;
}

/** Counts an attempt that ended with a reason and is worth another. */
export async function countFailure(query: Query, key: string): Promise<void> {
  await query(`update draft set failures = failures + 1 where key = $1 and state = 'queued'`, [key]);
}

/** The sealed snapshot, or null once the draft is ready or retention removed it. */
export async function readSnapshot(query: Query, key: string): Promise<Buffer | null> {
  const [row] = await query<{ sealed: Buffer }>('select sealed from snapshot where draft_key = $1', [key]);
  return row?.sealed ?? null;
}

/**
 * Stores the finished draft with its outbox rows. A second worker that finished the same key changes nothing.
 * `release` = 'pending' writes at once, 'held' waits for the feedback `accepted`. `isReplaced` says of an earlier draft of the study whether it
 * was made of other images: the new one supersedes it.
 * @returns false when the draft was settled already.
 * @throws bundle-stopped when its bundle was stopped while it was made: the draft is not stored
 */
export async function settleReady(
  store: Store,
  draft: Draft,
  release: 'pending' | 'held',
  targets: readonly ('fhir' | 'pacs')[],
  isReplaced: (earlier: Draft) => boolean = () => false,
): Promise<boolean> {
  return store.transaction(async (query) => {
    const whole = await withSuperseded(query, draft, isReplaced);
    const rows = await query(
      `update draft set state = 'ready', document = $2, settled_at = now() where key = $1 and state = 'queued' returning key`,
      [draft.key, JSON.stringify(whole)],
    );
    if (rows.length === 0) return false;
    await checkNotStopped(query, draft.model);
    await query('delete from snapshot where draft_key = $1', [draft.key]);
    for (const { key } of whole.supersedes) await leadTo(query, key, draft.key);
    for (const target of targets) {
      await query('insert into outbox (draft_key, target, state) values ($1, $2, $3) on conflict do nothing', [draft.key, target, release]);
    }
    return true;
  });
}

/** Marks a draft that will not be made; the reason stays visible, and the sealed snapshot stays for another try until retention. */
export async function settleFailed(query: Query, key: string, code: ErrorCode, message: string): Promise<void> {
  await query(`update draft set state = 'failed', code = $2, message = $3, settled_at = now() where key = $1 and state = 'queued'`, [
    key,
    code,
    message,
  ]);
}

/** True the first time that "being prepared" is said for this order and draft. */
export async function firstMention(query: Query, key: string, orderReference: string): Promise<boolean> {
  const rows = await query(
    'insert into order_seen (draft_key, order_reference) values ($1, $2) on conflict do nothing returning draft_key',
    [key, orderReference],
  );
  return rows.length === 1;
}

/** Most keys that queuedKeys gives. */
const batch = 200;

/**
 * Keys that are queued since some seconds, oldest first: what a worker hands to the queue again. A process that ended between the row and
 * its job left one without the other; a key that is in the queue stays there once.
 */
export async function queuedKeys(query: Query, seconds: number): Promise<string[]> {
  const rows = await query<{ key: string }>(
    `select key from draft where state = 'queued' and created_at <= now() - make_interval(secs => $1) order by created_at limit ${batch}`,
    [seconds],
  );
  return rows.map((row) => row.key);
}
