/** Who saw and changed what. Actors are FHIR references, `wetread`, or `local:` and the account of who ran a command; nothing of a report's text goes in here. */
import type { Query } from './store.ts';

export interface AuditEntry {
  readonly actor: string;
  readonly action:
    | 'draft-requested'
    | 'draft-ready'
    | 'draft-failed'
    | 'draft-seen'
    | 'feedback'
    | 'delivered'
    | 'delivery-dead'
    | 'access-refused'
    | 'bundle-stopped'
    | 'bundle-started';
  readonly draftKey: string | null;
  readonly detail?: Readonly<Record<string, string | number>>;
}

export async function audit(query: Query, entry: AuditEntry): Promise<void> {
  await query('insert into audit (actor, action, draft_key, detail) values ($1, $2, $3, $4)', [
    entry.actor,
    entry.action,
    entry.draftKey,
    entry.detail === undefined ? null : JSON.stringify(entry.detail),
  ]);
}
