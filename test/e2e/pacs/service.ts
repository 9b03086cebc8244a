/** The service of a site as a process of its own, and what an EHR does with it: sign, look again, accept. */
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { codeSystem } from '#report/canonical.ts';
import type { SiteInput } from '#site/schema.ts';
import { type StartedProcess, startProcess } from './process.ts';

const radiologist = '66862007';
const user = 'Practitioner/sandbox-radiologist';
const snapshotKey = '5e'.repeat(32);

export interface SiteParts extends Pick<SiteInput, 'fhir' | 'dicomweb' | 'patients' | 'writeOn' | 'store'> {
  /** Folder of the bundle, absolute. */
  readonly bundle: string;
  readonly deadlineMs: number;
}

/** Writes `site.json` into `folder`, where the service also keeps its data. @returns its path */
export function writeSite(folder: string, { bundle, deadlineMs, ...parts }: SiteParts): string {
  mkdirSync(folder, { recursive: true });
  const site: SiteInput = {
    environment: 'test',
    service: { publicUrl: 'http://127.0.0.1', port: 0 },
    dataFolder: 'data',
    hooks: { deadlineMs, requireJwt: false, allowAnonymousLoopback: true },
    cards: { statementsFor: [radiologist] },
    snapshotKey: { env: 'WETREAD_E2E_SNAPSHOT_KEY' },
    bundles: [{ path: bundle, device: 'cpu' }],
    ...parts,
  };
  const path = join(folder, 'site.json');
  writeFileSync(path, JSON.stringify(site, null, 2));
  return path;
}

/** `program`: the launcher, or src/main.ts where a signal must hit the service itself. `said` is its origin. */
export function startService(
  program: 'bin/wetread' | 'src/main.ts',
  site: string,
  env: Readonly<Record<string, string>> = {},
  more: readonly string[] = [],
): Promise<StartedProcess> {
  return startProcess({
    args: [program, 'serve', '--site', site, ...more],
    env: { WETREAD_E2E_SNAPSHOT_KEY: snapshotKey, ...env },
    ready: /serving test site \S+ on (http:\/\/\S+)/,
  });
}

const cardForm = z.object({
  uuid: z.string(),
  detail: z.string().default(''),
  source: z.object({ topic: z.object({ code: z.string() }) }),
  suggestions: z.array(z.object({ uuid: z.string() })).default([]),
});
export type ShownCard = z.infer<typeof cardForm>;
const answerForm = z.object({ cards: z.array(cardForm) });
const outcomeForm = z.object({
  issue: z.array(z.object({ details: z.object({ coding: z.array(z.object({ system: z.string(), code: z.string() })) }) })),
});

export interface Order {
  readonly patient: string;
  readonly order: { readonly resourceType: string };
}

async function post(url: string, body: unknown): Promise<Response> {
  return fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
}

/** One call of order-sign. A refusal of the service is its code. */
export async function signOnce(origin: string, { patient, order }: Order): Promise<readonly ShownCard[] | { readonly code: string }> {
  const response = await post(`${origin}/cds-services/wetread-order-sign`, {
    hook: 'order-sign',
    hookInstance: randomUUID(),
    context: {
      userId: user,
      patientId: patient,
      draftOrders: { resourceType: 'Bundle', type: 'collection', entry: [{ resource: order }] },
    },
  });
  const body: unknown = await response.json();
  if (response.ok) return answerForm.parse(body).cards;
  const outcome = outcomeForm.safeParse(body);
  const coding = outcome.data?.issue.flatMap(({ details }) => details.coding).find(({ system }) => system === codeSystem.errors);
  return { code: coding?.code ?? `http-${response.status}` };
}

export type Settled =
  | { readonly kind: 'ready'; readonly card: ShownCard; readonly seconds: number }
  | { readonly kind: 'refused'; readonly code: string }
  /** The time passed while the draft was being prepared. */
  | { readonly kind: 'never' };

function verdictOf(cards: readonly ShownCard[], prepared: boolean): Settled | 'again' {
  const of = (topic: string) => cards.find(({ source }) => source.topic.code === topic);
  const ready = of('draft-ready');
  if (ready !== undefined) return { kind: 'ready', card: ready, seconds: 0 };
  const failed = of('draft-failed') ?? of('studies-not-read');
  if (failed !== undefined)
    return { kind: 'refused', code: /\(code ([^)\s]+)\)/.exec(failed.detail.replaceAll('\\', ''))?.[1] ?? 'draft-failed' };
  if (of('draft-preparing') !== undefined || of('not-read-in-time') !== undefined || prepared) return 'again';
  const [first] = cards;
  return { kind: 'refused', code: first === undefined ? 'nothing-relevant' : first.source.topic.code };
}

/** Signs the order and looks again until there is a draft or a reason why not. */
export async function signUntilSettled(
  origin: string,
  order: Order,
  { timeoutMs, pollMs }: { timeoutMs: number; pollMs: number },
): Promise<Settled> {
  const started = Date.now();
  let prepared = false;
  for (;;) {
    const cards = await signOnce(origin, order);
    if ('code' in cards) return { kind: 'refused', code: cards.code };
    const verdict = verdictOf(cards, prepared);
    if (verdict !== 'again') return verdict.kind === 'ready' ? { ...verdict, seconds: (Date.now() - started) / 1000 } : verdict;
    // "Being prepared" is said once for each order: from now on an empty answer means the same.
    prepared ||= cards.some(({ source }) => source.topic.code === 'draft-preparing');
    if (Date.now() - started > timeoutMs) return { kind: 'never' };
    await wait(pollMs);
  }
}

export async function accept(origin: string, card: ShownCard): Promise<void> {
  const response = await post(`${origin}/cds-services/wetread-order-sign/feedback`, {
    feedback: [
      {
        card: card.uuid,
        outcome: 'accepted',
        acceptedSuggestions: card.suggestions.slice(0, 1).map(({ uuid }) => ({ id: uuid })),
        outcomeTimestamp: new Date().toISOString(),
      },
    ],
  });
  if (!response.ok) throw new Error(`the feedback was answered with ${response.status}: ${await response.text()}`);
}
