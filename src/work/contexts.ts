/** appContext of a card's link: opaque, random, for one draft and one patient, and it expires. Only its digest is stored. */
import { createHash, randomBytes } from 'node:crypto';
import type { Query } from './store.ts';

const digestOf = (token: string) => createHash('sha256').update(token, 'utf8').digest('hex');

export async function issueContext(query: Query, draftKey: string, patientId: string, lifetimeHours: number): Promise<string> {
  const token = randomBytes(24).toString('base64url');
  await query(
    `insert into app_context (token_digest, draft_key, patient_id, expires_at) values ($1, $2, $3, now() + make_interval(hours => $4))`,
    [digestOf(token), draftKey, patientId, lifetimeHours],
  );
  return token;
}

/** What a context stands for; null = unknown, changed or expired. */
export async function resolveContext(
  query: Query,
  token: string,
): Promise<{ readonly draftKey: string; readonly patientId: string } | null> {
  const [row] = await query<{ draft_key: string; patient_id: string }>(
    'select draft_key, patient_id from app_context where token_digest = $1 and expires_at > now()',
    [digestOf(token)],
  );
  return row === undefined ? null : { draftKey: row.draft_key, patientId: row.patient_id };
}

/** True once per issuer and jti until it expires (CDS Hooks 2.0, Trusting CDS Clients). */
export async function useJti(query: Query, issuer: string, jti: string, expiresAt: Date): Promise<boolean> {
  await query('delete from used_jti where expires_at < now()');
  const rows = await query('insert into used_jti (issuer, jti, expires_at) values ($1, $2, $3) on conflict do nothing returning jti', [
    issuer,
    jti,
    expiresAt,
  ]);
  return rows.length === 1;
}
