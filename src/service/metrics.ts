/**
 * What a service measures of itself, for Prometheus. Labels are codes, states and roles: nothing of a patient, a study or a person.
 *
 * Depths and ages are read from the store when they are asked for, so every process of a site says the same: alert on the largest.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { serviceVersion } from '#src/version.ts';
import type { Store } from '#work/store.ts';
import type { Role } from './parts.ts';

export interface Metrics {
  readonly hooks: Histogram<'status'>;
  readonly cards: Counter<'topic'>;
  readonly drafts: Histogram<'state'>;
  /** The text of Prometheus' exposition format. */
  text(): Promise<string>;
  readonly contentType: string;
}

interface Depth {
  readonly of: string;
  readonly state: string;
  readonly count: number;
  readonly age: number;
}

/** Queued and failed drafts, deliveries that are not delivered. */
function depths(store: Store): Promise<Depth[]> {
  return store.query<Depth>(
    `select 'draft' as of, state, count(*)::int as count, extract(epoch from now() - min(created_at))::float8 as age
       from draft where state <> 'ready' group by state
     union all
     select target, o.state, count(*)::int, extract(epoch from now() - min(d.settled_at))::float8
       from outbox o join draft d on d.key = o.draft_key where o.state <> 'delivered' group by target, o.state`,
  );
}

export function openMetrics(role: Role, store: Store): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  new Gauge({ name: 'wetread_info', help: 'Version and role of this process.', labelNames: ['version', 'role'], registers }).set(
    { version: serviceVersion, role },
    1,
  );
  const labelNames = ['of', 'state'] as const;
  const count = new Gauge({ name: 'wetread_waiting', help: 'Drafts and deliveries that are not finished.', labelNames, registers });
  const age = new Gauge({ name: 'wetread_waiting_seconds', help: 'Age of the oldest of them.', labelNames, registers });
  return {
    hooks: new Histogram({
      name: 'wetread_hook_seconds',
      help: 'Time of hook calls by HTTP status.',
      labelNames: ['status'],
      buckets: [0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2, 5],
      registers,
    }),
    cards: new Counter({ name: 'wetread_cards_total', help: 'Cards by topic.', labelNames: ['topic'], registers }),
    drafts: new Histogram({
      name: 'wetread_draft_seconds',
      help: 'Time of the last attempt of each draft.',
      labelNames: ['state'],
      buckets: [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800],
      registers,
    }),
    async text() {
      count.reset();
      age.reset();
      for (const { of, state, ...depth } of await depths(store)) {
        count.set({ of, state }, depth.count);
        age.set({ of, state }, depth.age);
      }
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}
