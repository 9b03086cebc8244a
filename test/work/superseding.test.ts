/** Earlier drafts of a study and the newer one that takes their place, in a real store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Draft } from '#domain/draft.ts';
import { recordFeedback, rememberCard } from '#work/cards.ts';
import { readDraft, registerDraft, settleFailed, settleReady } from '#work/drafts.ts';
import { deliveriesOf } from '#work/outbox.ts';
import { standing } from '#work/standing.ts';
import { openStore, type Store } from '#work/store.ts';
import { leadTo, newestKey } from '#work/superseding.ts';
import { exampleDraft } from '../report/example-draft.ts';

let folder: string;
let store: Store;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wetread-superseding-'));
  store = await openStore({ kind: 'embedded', folder });
});
afterAll(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

const at = (minute: number) => `2026-11-24T10:${String(minute).padStart(2, '0')}:00Z`;

/** A settled draft of a study; `images` stands for what it was made of. */
async function settle(key: string, study: string, minute: number, release: 'held' | 'pending' = 'held', patient = 'p1'): Promise<Draft> {
  await registerDraft(store, { key, patientId: patient, studyUid: study, snapshot: Buffer.from('s') });
  const draft = { ...exampleDraft, key, generatedAt: at(minute) };
  await settleReady(store, draft, release, ['fhir', 'pacs'], ({ key: earlier }) => earlier[0] !== key[0]);
  const state = await readDraft(store.query, key);
  if (state?.state !== 'ready') throw new Error('it was not settled');
  return state.draft;
}

test('a newer draft of other images names the earlier ones, newest first, and each leads to it; one of the same images stands beside it', async () => {
  await settle('a1', '1.2.1', 1);
  await settle('b1', '1.2.1', 2, 'pending');
  const beside = await settle('b1-other-history', '1.2.1', 3);
  expect(beside.supersedes).toEqual([]);
  const whole = await settle('c1', '1.2.1', 4);
  expect(whole.supersedes).toEqual([
    { key: 'b1-other-history', generatedAt: at(3), written: [] },
    { key: 'b1', generatedAt: at(2), written: ['fhir', 'pacs'] },
  ]);
  expect(await Promise.all(['a1', 'b1', 'c1', 'unknown'].map((key) => newestKey(store.query, key)))).toEqual(['c1', 'c1', 'c1', 'unknown']);
});

test("another patient's draft, and another study's, are left alone", async () => {
  await settle('a2', '1.2.2', 1, 'held', 'p2');
  await settle('a3', '1.2.3', 1);
  expect((await settle('b2', '1.2.2', 2)).supersedes).toEqual([]);
  expect(await newestKey(store.query, 'a2')).toBe('a2');
});

test('a late acceptance of a superseded draft releases nothing, and is kept', async () => {
  await settle('a4', '1.2.4', 1);
  const uuid = 'd1577c69-dfbe-44ad-ba6d-3e05e953b2ea';
  await rememberCard(store.query, { uuid, suggestion: null, draftKey: 'a4' });
  await settle('b4', '1.2.4', 2);
  expect(await recordFeedback(store, { card: uuid, outcome: 'accepted', at: at(3), reason: undefined })).toBe('a4');
  expect((await deliveriesOf(store.query, 'a4')).map(({ state }) => state)).toEqual(['held', 'held']);
  expect(await store.query('select outcome from feedback where card = $1', [uuid])).toEqual([{ outcome: 'accepted' }]);
});

test("a draft that failed because its study grew is not asked for again and stands in nobody's way", async () => {
  for (const key of ['a5', 'b5']) await registerDraft(store, { key, patientId: 'p1', studyUid: '1.2.5', snapshot: Buffer.from('s') });
  await settleFailed(store.query, 'a5', 'study-growing', 'it grew');
  await store.query(`update draft set settled_at = now() - interval '1 hour' where key = 'a5'`);
  await leadTo(store.query, 'a5', 'b5');
  const again = { key: 'a5', patientId: 'p1', studyUid: '1.2.5', snapshot: Buffer.from('s') };
  expect(await registerDraft(store, again)).toBe(false);
  expect((await standing(store.query)).map(({ key }) => key)).not.toContain('a5');
});

test('two drafts of one study that are settled at once know of each other', async () => {
  for (const key of ['a6', 'b6', 'c6']) await registerDraft(store, { key, patientId: 'p1', studyUid: '1.2.6', snapshot: Buffer.from('s') });
  const settleOne = (key: string) => settleReady(store, { ...exampleDraft, key }, 'held', ['fhir'], () => true);
  await Promise.all(['a6', 'b6', 'c6'].map(settleOne));
  const newest = await Promise.all(['a6', 'b6', 'c6'].map((key) => newestKey(store.query, key)));
  expect(new Set(newest).size).toBe(1);
});
