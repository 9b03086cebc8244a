/** The switch in the store: what a stopped bundle may not do any more, and what it did. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Draft } from '#domain/draft.ts';
import { bundleStops, bundlesThatWrote, draftsOfBundle, startBundle, stopBundle, stopFor } from '#work/bundle-stops.ts';
import { recordFeedback, rememberCard } from '#work/cards.ts';
import { readDraft, readSnapshot, registerDraft, settleReady } from '#work/drafts.ts';
import { deliverDue, deliveriesOf } from '#work/outbox.ts';
import { openStore, type Store } from '#work/store.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-stops-'));
const card = '11111111-1111-4111-8111-111111111111';
let store: Store;

beforeAll(async () => {
  store = await openStore({ kind: 'embedded', folder });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

async function write(key: string, digest: string, name: string, release: 'pending' | 'held' = 'pending'): Promise<boolean> {
  await registerDraft(store, { key, patientId: 'planted-patient', studyUid: `1.2.${key.length}`, snapshot: Buffer.from('sealed') });
  // Of a draft the store looks at the model only.
  const draft = { key, model: { digest, name }, statements: [], patient: { id: 'planted-patient' } } as unknown as Draft;
  return settleReady(store, draft, release, ['fhir', 'pacs']);
}

const deliver = () =>
  deliverDue(store, {
    deliver: { fhir: async () => ({ report: 'DiagnosticReport/7' }), pacs: async () => ({ instance: '2.25.7' }) },
    maxAttempts: 3,
    leaseSeconds: 30,
  });

const stopped = (bundle: string, reason: string | null = null) => stopBundle(store, { bundle, reason, actor: 'local:test' });
const started = (bundle: string) => startBundle(store, { bundle, actor: 'local:test' });

test('a draft of a stopped bundle is not stored, and its request stays for another try', async () => {
  expect(await stopped('d1', 'wrong sides')).toBe(true);
  await expect(write('late', 'd1', 'one')).rejects.toMatchObject({
    code: 'bundle-stopped',
    message: expect.stringContaining('wrong sides'),
  });
  expect(await readDraft(store.query, 'late')).toEqual({ state: 'queued' });
  expect(await readSnapshot(store.query, 'late')).not.toBeNull();
  expect(await started('d1')).toBe(true);
  expect(await write('late', 'd1', 'one')).toBe(true);
  await deliver();
});

test('a stop by name holds for every version of the name, one by digest for that version alone', async () => {
  await stopped('one');
  expect(stopFor(await bundleStops(store.query), { digest: 'd2', name: 'one' })).not.toBeNull();
  await started('one');
  await stopped('d1');
  const stops = await bundleStops(store.query);
  expect([stopFor(stops, { digest: 'd1', name: 'one' }), stopFor(stops, { digest: 'd2', name: 'one' })]).toEqual([expect.anything(), null]);
  expect(await stopped('d1', 'later reason')).toBe(false);
  expect((await bundleStops(store.query))[0]?.reason).toBe('later reason');
  await started('d1');
  expect(await started('d1')).toBe(false);
});

test('what a stopped bundle wrote is not delivered, not even when it is accepted, and is once the bundle may write again', async () => {
  await write('held', 'd3', 'three', 'held');
  await rememberCard(store.query, { uuid: card, suggestion: null, draftKey: 'held' });
  await stopped('three');
  await recordFeedback(store, { card, outcome: 'accepted', at: '2026-11-24T10:00:00Z', reason: undefined });
  expect(await deliver()).toBe(0);
  expect((await deliveriesOf(store.query, 'held')).map(({ state }) => state)).toEqual(['pending', 'pending']);
  await started('three');
  expect(await deliver()).toBe(2);
});

test('every draft that a bundle wrote is listed with what became of it, by digest and by name, and nothing of a patient', async () => {
  await write('other', 'd4', 'three', 'held');
  const rows = await draftsOfBundle(store.query, 'three');
  expect(rows).toEqual([
    {
      key: 'held',
      digest: 'd3',
      studyUid: '1.2.4',
      writtenAt: expect.any(Date),
      answer: 'accepted',
      report: 'delivered',
      reference: 'DiagnosticReport/7',
      sr: 'delivered',
      srUid: '2.25.7',
    },
    {
      key: 'other',
      digest: 'd4',
      studyUid: '1.2.5',
      writtenAt: expect.any(Date),
      answer: null,
      report: 'held',
      reference: null,
      sr: 'held',
      srUid: null,
    },
  ]);
  expect((await draftsOfBundle(store.query, 'd4')).map(({ key }) => key)).toEqual(['other']);
  expect(JSON.stringify(rows)).not.toContain('planted');
  expect((await bundlesThatWrote(store.query)).map(({ digest }) => digest).sort()).toEqual(['d1', 'd3', 'd4']);
});

test('each stop and start is an audit row with who and why', async () => {
  const rows = await store.query(`select actor, action, detail from audit where action like 'bundle-%' order by id limit 2`);
  expect(rows).toEqual([
    { actor: 'local:test', action: 'bundle-stopped', detail: { bundle: 'd1', reason: 'wrong sides' } },
    { actor: 'local:test', action: 'bundle-started', detail: { bundle: 'd1' } },
  ]);
});
