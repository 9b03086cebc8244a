import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
  place.contexts.set('other', { draftKey: 'd2', patientId: 'berta' });
});
afterAll(() => place.close());

it('S25: two launches in one browser, begun before either ended, have their own session, path and cookie', async () => {
  const browser = new Browser();
  const first = await place.goBack(browser, place.ehr.launch('anna', 'opaque'));
  const second = await place.goBack(browser, place.ehr.launch('berta', 'other'));
  const shown = [await browser.open(second.url), await browser.open(first.url)];
  expect(shown.map(({ body }) => body)).toEqual(['the draft', 'the draft']);
  expect(place.door.opened.map(({ draftKey, patientId }) => [draftKey, patientId])).toEqual([
    ['d2', 'berta'],
    ['d1', 'anna'],
  ]);
  expect(shown.map(({ url }) => url.pathname)).toEqual(place.door.opened.map(({ id }) => `/review/${id}/`));
});
