/** Which card stood for which draft, and what the clinician answered (CDS Hooks 2.0, Feedback: may come several times, late, or never). */
import type { Query, Store } from './store.ts';

export async function rememberCard(
  query: Query,
  card: { readonly uuid: string; readonly suggestion: string | null; readonly draftKey: string },
): Promise<void> {
  await query('insert into card (uuid, suggestion, draft_key) values ($1, $2, $3) on conflict (uuid) do nothing', [
    card.uuid,
    card.suggestion,
    card.draftKey,
  ]);
}

export interface CardFeedback {
  readonly card: string;
  readonly outcome: 'accepted' | 'overridden';
  /** RFC 3339. */
  readonly at: string;
  readonly reason: unknown;
}

/** Records the feedback; `accepted` releases the draft's held deliveries, unless a newer draft has taken its place. @returns the draft's key, or null for an unknown card. */
export async function recordFeedback(store: Store, feedback: CardFeedback): Promise<string | null> {
  return store.transaction(async (query) => {
    const [card] = await query<{ draft_key: string }>('select draft_key from card where uuid = $1', [feedback.card]);
    if (card === undefined) return null;
    await query('insert into feedback (card, outcome, outcome_at, reason) values ($1, $2, $3, $4) on conflict do nothing', [
      feedback.card,
      feedback.outcome,
      feedback.at,
      feedback.reason === undefined ? null : JSON.stringify(feedback.reason),
    ]);
    if (feedback.outcome === 'accepted') {
      await query(
        `update outbox set state = 'pending', next_at = now() where draft_key = $1 and state = 'held'
            and not exists (select 1 from draft where key = $1 and superseded_by is not null)`,
        [card.draft_key],
      );
    }
    return card.draft_key;
  });
}
