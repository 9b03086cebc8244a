/**
 * A draft of a study that was drafted before, when the study had other images, supersedes the earlier ones: it names them, and they lead to it.
 *
 * What a late acceptance of an earlier draft would release stays held: a part of a study is not reported once the whole was read.
 */
import type { Draft, SupersededDraft } from '#domain/draft.ts';
import type { Query } from './store.ts';

interface Earlier {
  key: string;
  document: Draft;
}

const targets = ['fhir', 'pacs'] as const;

/**
 * The draft with those that it supersedes, newest first: ready ones of its patient and study that `isReplaced` says were made of other images.
 * To be called in the transaction that settles it, which others of the study then wait for.
 */
export async function withSuperseded(query: Query, draft: Draft, isReplaced: (earlier: Draft) => boolean): Promise<Draft> {
  await query('select pg_advisory_xact_lock(hashtext(study_uid)) from draft where key = $1', [draft.key]);
  const earlier = await query<Earlier>(
    `select earlier.key, earlier.document from draft join draft earlier using (patient_id, study_uid)
      where draft.key = $1 and earlier.key <> $1 and earlier.state = 'ready' and earlier.superseded_by is null
      order by earlier.settled_at desc, earlier.key`,
    [draft.key],
  );
  const supersedes: SupersededDraft[] = [];
  for (const { key, document } of earlier) {
    if (!isReplaced(document)) continue;
    const held = await query<{ target: string }>(`select target from outbox where draft_key = $1 and state = 'held'`, [key]);
    supersedes.push({
      key,
      generatedAt: document.generatedAt,
      written: targets.filter((target) => !held.some((row) => row.target === target)),
    });
  }
  return { ...draft, supersedes };
}

/** From now on `key` leads to `newer`. */
export async function leadTo(query: Query, key: string, newer: string): Promise<void> {
  await query('update draft set superseded_by = $2 where key = $1', [key, newer]);
}

/** The draft that a key leads to in the end; itself when nothing newer is known of it. */
export async function newestKey(query: Query, key: string): Promise<string> {
  const [row] = await query<{ key: string }>(
    `with recursive way (key, next, step) as (
       select key, superseded_by, 0 from draft where key = $1
       union all
       select draft.key, draft.superseded_by, way.step + 1 from draft join way on draft.key = way.next where way.step < 1000
     )
     select key from way order by step desc limit 1`,
    [key],
  );
  return row?.key ?? key;
}
