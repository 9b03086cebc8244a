/**
 * The switch: bundles that may not write any more, and what each bundle wrote.
 *
 * It lies in the store, so that every process of a site goes by it: a hook call asks for each answer, a worker while it reads and once more
 * in the transaction that would settle a draft. A stop names a bundle's digest, or its name and thereby every version that has it.
 */
import { WetreadError } from '#domain/errors.ts';
import { audit } from './audit.ts';
import type { Query, Store } from './store.ts';

export interface BundleStop {
  /** Digest or name. */
  readonly bundle: string;
  readonly reason: string | null;
  readonly stoppedAt: Date;
}

export interface BundleId {
  readonly digest: string;
  readonly name: string;
}

/** SQL: the draft `d` was written by a bundle that is stopped. */
export const writtenByStopped = `exists (select 1 from bundle_stop s
  where s.bundle in (d.document->'model'->>'digest', d.document->'model'->>'name'))`;

/** Latest first. */
export function bundleStops(query: Query): Promise<BundleStop[]> {
  return query<BundleStop>('select bundle, reason, stopped_at as "stoppedAt" from bundle_stop order by stopped_at desc, bundle');
}

/** The stop that holds for a bundle; null = it may write. */
export function stopFor(stops: readonly BundleStop[], { digest, name }: BundleId): BundleStop | null {
  return stops.find(({ bundle }) => bundle === digest || bundle === name) ?? null;
}

/** What is said of a stop to a clinician: the reason is the operator's and names no patient. */
export function stopWords(name: string, { reason, stoppedAt }: BundleStop): string {
  const why = reason === null ? 'no reason was given' : reason;
  return `The model ${name} was taken out of use at ${stoppedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC: ${why}`;
}

/** `bundle-stopped` for a bundle that may not write; null = it may. */
export async function stoppedFault(query: Query, id: BundleId): Promise<WetreadError | null> {
  const stop = stopFor(await bundleStops(query), id);
  return stop === null ? null : new WetreadError('bundle-stopped', stopWords(id.name, stop), { hint: 'wetread bundles list' });
}

/** @throws bundle-stopped */
export async function checkNotStopped(query: Query, id: BundleId): Promise<void> {
  const fault = await stoppedFault(query, id);
  if (fault !== null) throw fault;
}

/** @returns false when it was stopped already; a new reason is taken then, too */
export async function stopBundle(store: Store, stop: { bundle: string; reason: string | null; actor: string }): Promise<boolean> {
  return store.transaction(async (query) => {
    const there = await query('select 1 from bundle_stop where bundle = $1', [stop.bundle]);
    await query(
      'insert into bundle_stop (bundle, reason) values ($1, $2) on conflict (bundle) do update set reason = coalesce($2, bundle_stop.reason)',
      [stop.bundle, stop.reason],
    );
    const detail = { bundle: stop.bundle, ...(stop.reason === null ? {} : { reason: stop.reason }) };
    await audit(query, { actor: stop.actor, action: 'bundle-stopped', draftKey: null, detail });
    return there.length === 0;
  });
}

/** @returns false when it was not stopped */
export async function startBundle(store: Store, start: { bundle: string; actor: string }): Promise<boolean> {
  return store.transaction(async (query) => {
    const rows = await query('delete from bundle_stop where bundle = $1 returning bundle', [start.bundle]);
    if (rows.length === 0) return false;
    await audit(query, { actor: start.actor, action: 'bundle-started', draftKey: null, detail: { bundle: start.bundle } });
    return true;
  });
}

/** A draft that a bundle wrote, for whoever must look at all of them. Nothing of it names a patient or repeats a report's words. */
export interface WrittenDraft {
  readonly key: string;
  readonly digest: string;
  readonly studyUid: string;
  readonly writtenAt: Date;
  /** What a clinician answered to its card last; null = nothing. */
  readonly answer: 'accepted' | 'overridden' | null;
  /** State of the delivery to the FHIR server; null = the site writes none (the EHR does, from the card). */
  readonly report: string | null;
  /** "DiagnosticReport/id"; null until it was delivered. */
  readonly reference: string | null;
  readonly sr: string | null;
  /** SOP Instance UID of the SR; null until it was delivered. */
  readonly srUid: string | null;
}

/** By digest or name, oldest first. */
export function draftsOfBundle(query: Query, bundle: string): Promise<WrittenDraft[]> {
  return query<WrittenDraft>(
    `select d.key, d.document->'model'->>'digest' as digest, d.study_uid as "studyUid", d.settled_at as "writtenAt",
            (select f.outcome from feedback f join card c on c.uuid = f.card where c.draft_key = d.key order by f.outcome_at desc limit 1) as answer,
            fhir.state as report, fhir.result->>'report' as reference, pacs.state as sr, pacs.result->>'instance' as "srUid"
       from draft d
       left join outbox fhir on fhir.draft_key = d.key and fhir.target = 'fhir'
       left join outbox pacs on pacs.draft_key = d.key and pacs.target = 'pacs'
      where d.state = 'ready' and $1 in (d.document->'model'->>'digest', d.document->'model'->>'name')
      order by d.settled_at, d.key`,
    [bundle],
  );
}

/** Every bundle that has written a draft. */
export function bundlesThatWrote(query: Query): Promise<BundleId[]> {
  return query<BundleId>(
    `select distinct document->'model'->>'digest' as digest, document->'model'->>'name' as name
       from draft where state = 'ready' and document->'model' is not null`,
  );
}
