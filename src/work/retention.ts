/** Deletes what its time has come for: pictures and the requests of failed drafts by hours, drafts (with all that hangs on them) by days. */
import type { PictureCache } from './pictures.ts';
import type { Store } from './store.ts';

export interface RetentionRule {
  readonly picturesHours: number;
  /** null = drafts are kept. */
  readonly draftsDays: number | null;
}

/** Drafts with a delivery that is still open are kept. */
export async function retain(
  store: Store,
  pictures: PictureCache,
  rule: RetentionRule,
  now: Date,
): Promise<{ pictures: number; drafts: number }> {
  const removed = await pictures.deleteOlderThan(new Date(now.getTime() - rule.picturesHours * 3_600_000));
  await store.query('delete from app_context where expires_at < $1', [now]);
  await store.query(
    `delete from snapshot using draft where draft.key = snapshot.draft_key and draft.state = 'failed' and draft.settled_at < $1`,
    [new Date(now.getTime() - rule.picturesHours * 3_600_000)],
  );
  if (rule.draftsDays === null) return { pictures: removed, drafts: 0 };
  const rows = await store.query(
    `delete from draft where settled_at < $1 and not exists (select 1 from outbox o where o.draft_key = draft.key and o.state = 'pending') returning key`,
    [new Date(now.getTime() - rule.draftsDays * 86_400_000)],
  );
  return { pictures: removed, drafts: rows.length };
}
