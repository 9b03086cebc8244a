/** The tables, forward only; each step runs once in a transaction. pg-boss keeps its own schema. Written for PostgreSQL 15 and later. */
export const migrations: readonly { readonly id: number; readonly sql: string }[] = [
  {
    id: 1,
    sql: `
    create table draft (
      key text primary key,
      patient_id text not null,
      study_uid text not null,
      state text not null check (state in ('queued', 'ready', 'failed')),
      code text,
      message text,
      document jsonb,
      created_at timestamptz not null default now(),
      settled_at timestamptz
    );
    create index draft_study on draft (study_uid);
    create table snapshot (
      draft_key text primary key references draft (key) on delete cascade,
      sealed bytea not null
    );
    create table order_seen (
      draft_key text not null references draft (key) on delete cascade,
      order_reference text not null,
      primary key (draft_key, order_reference)
    );
    create table card (
      uuid uuid primary key,
      suggestion uuid,
      draft_key text not null references draft (key) on delete cascade,
      shown_at timestamptz not null default now()
    );
    create table feedback (
      card uuid not null,
      outcome text not null check (outcome in ('accepted', 'overridden')),
      outcome_at timestamptz not null,
      reason jsonb,
      received_at timestamptz not null default now(),
      primary key (card, outcome, outcome_at)
    );
    create table outbox (
      draft_key text not null references draft (key) on delete cascade,
      target text not null check (target in ('fhir', 'pacs')),
      state text not null check (state in ('held', 'pending', 'delivered', 'dead')),
      attempts integer not null default 0,
      next_at timestamptz not null default now(),
      code text,
      message text,
      result jsonb,
      delivered_at timestamptz,
      primary key (draft_key, target)
    );
    create index outbox_due on outbox (next_at) where state = 'pending';
    create table app_context (
      token_digest text primary key,
      draft_key text not null,
      patient_id text not null,
      expires_at timestamptz not null
    );
    create table used_jti (
      issuer text not null,
      jti text not null,
      expires_at timestamptz not null,
      primary key (issuer, jti)
    );
    create table audit (
      id bigint generated always as identity primary key,
      at timestamptz not null default now(),
      actor text not null,
      action text not null,
      draft_key text,
      detail jsonb
    );`,
  },
  {
    id: 2,
    sql: `alter table draft add column starts integer not null default 0, add column failures integer not null default 0`,
  },
  {
    id: 3,
    // A digest or a name; no foreign key: a bundle is a folder, and a stop outlives it.
    sql: `create table bundle_stop (bundle text primary key, reason text, stopped_at timestamptz not null default now())`,
  },
  {
    id: 4,
    sql: `
    alter table draft add column superseded_by text references draft (key) on delete set null;
    update draft set document = document || '{"supersedes": []}' where document is not null;`,
  },
];
