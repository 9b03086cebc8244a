import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

it('S07: state has 256 random bits and is new for each launch', async () => {
  const browser = new Browser();
  const states = [];
  for (let round = 0; round < 3; round += 1) states.push((await place.goBack(browser)).url.searchParams.get('state'));
  for (const state of states) expect(state).toMatch(/^[\w-]{43}$/);
  expect(new Set(states).size).toBe(3);
});

it('S07: a state works once', async () => {
  const browser = new Browser();
  const back = await place.goBack(browser);
  expect((await browser.open(back.url)).body).toBe('the draft');
  const calls = place.ehr.tokenCalls.length;
  expect(refusalCode(await browser.open(back.url))).toBe('launch-refused');
  expect(place.ehr.tokenCalls).toHaveLength(calls);
});

it('S07: a state is over after ten minutes', async () => {
  const browser = new Browser();
  const back = await place.goBack(browser);
  const calls = place.ehr.tokenCalls.length;
  place.door.pass(10 * 60_000 + 1);
  expect(refusalCode(await browser.open(back.url))).toBe('launch-refused');
  expect(place.ehr.tokenCalls).toHaveLength(calls);
});
