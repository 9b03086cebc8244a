import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { issueContext, resolveContext } from '#work/contexts.ts';
import { openStore, type Store } from '#work/store.ts';
import { Browser } from './browser.ts';
import { type Door, type Ehr, json, refusalCode, startDoor, startEhr } from './start.ts';

let folder: string;
let store: Store;
let ehr: Ehr;
let door: Door;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wetread-context-'));
  store = await openStore({ kind: 'embedded', folder });
  ehr = await startEhr();
  door = await startDoor({ ehrs: [ehr], contexts: { get: (token) => resolveContext(store.query, token) } });
});
afterAll(async () => {
  await door.close();
  await ehr.close();
  await store.close();
  await rm(folder, { recursive: true });
});

const go = (appContext: string | null, query = '') => new Browser().open(`${door.url(ehr.iss, ehr.launch('anna', appContext))}${query}`);

it('S22: a context of the card leads to its draft, is 192 random bits and says nothing of patient or draft', async () => {
  const tokens = await Promise.all([1, 2].map(() => issueContext(store.query, 'd1', 'anna', 1)));
  expect(new Set(tokens).size).toBe(2);
  for (const token of tokens) expect(token).toMatch(/^[\w-]{32}$/);
  expect((await go(tokens[0] ?? '')).body).toBe('the draft');
  expect(door.opened.map(({ draftKey, patientId }) => [draftKey, patientId])).toEqual([['d1', 'anna']]);
});

it('S22: a changed, unknown, expired or absent context is refused', async () => {
  const good = await issueContext(store.query, 'd1', 'anna', 1);
  const changed = `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`;
  for (const token of [changed, 'made-up', await issueContext(store.query, 'd1', 'anna', -1), null]) {
    const page = await go(token);
    expect([page.status, refusalCode(page)]).toEqual([400, 'launch-refused']);
  }
});

it('S22: only the token answer names the context: one in the launch URL or the callback is ignored', async () => {
  const good = await issueContext(store.query, 'd1', 'anna', 1);
  expect(refusalCode(await go(null, `&appContext=${good}`))).toBe('launch-refused');
  const browser = new Browser();
  const { url } = await browser.open(door.url(ehr.iss, ehr.launch('anna', null)), `${door.origin}/launch/callback`);
  url.searchParams.set('appContext', good);
  expect(refusalCode(await browser.open(url))).toBe('launch-refused');
});

it('S22: a context that is no text is refused', async () => {
  ehr.change.token = (answer) => json({ ...(JSON.parse(answer.body) as object), appContext: { draft: 'd1' } });
  expect(refusalCode(await go('x'))).toBe('launch-refused');
});
