import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

const changes: readonly (readonly [what: string, change: (query: URLSearchParams) => void])[] = [
  ['missing', (query) => query.delete('state')],
  ['empty', (query) => query.set('state', '')],
  ['unknown', (query) => query.set('state', 'x'.repeat(43))],
  ['doubled', (query) => query.append('state', query.get('state') ?? '')],
];

it.each(changes)('S08: a state that is %s leads to no token request', async (_what, change) => {
  const browser = new Browser();
  const { url } = await place.goBack(browser);
  change(url.searchParams);
  const page = await browser.open(url);
  expect([page.status, refusalCode(page)]).toEqual([400, 'launch-refused']);
  expect(page.headers.get('cache-control')).toBe('no-store');
  expect(place.ehr.tokenCalls).toHaveLength(0);
});

it('S08: a callback that nobody asked for leads to no token request', async () => {
  const page = await new Browser().open(`${place.door.origin}/launch/callback?code=abc&state=${'y'.repeat(43)}`);
  expect([page.status, refusalCode(page)]).toEqual([400, 'launch-refused']);
  expect(place.ehr.tokenCalls).toHaveLength(0);
});
