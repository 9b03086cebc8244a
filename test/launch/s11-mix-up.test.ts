import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { json, refusalCode, startDoor, startEhr } from './start.ts';

const contexts = new Map([['opaque', { draftKey: 'd1', patientId: 'anna' }]]);
let place: {
  readonly ehrs: readonly [Awaited<ReturnType<typeof startEhr>>, Awaited<ReturnType<typeof startEhr>>];
  readonly door: Awaited<ReturnType<typeof startDoor>>;
};
beforeAll(async () => {
  const ehrs = [await startEhr(), await startEhr()] as const;
  place = { ehrs, door: await startDoor({ ehrs, contexts }) };
});
afterAll(async () => {
  await place.door.close();
  for (const ehr of place.ehrs) await ehr.close();
});

const back = (browser: Browser, ehr: Awaited<ReturnType<typeof startEhr>>) =>
  browser.open(place.door.url(ehr.iss, ehr.launch('anna', 'opaque')), `${place.door.origin}/launch/callback`);

it('S11: an answer that names another issuer is refused, and its code is sent nowhere', async () => {
  const browser = new Browser();
  const [first, second] = place.ehrs;
  const { url } = await back(browser, first);
  expect(url.searchParams.get('iss')).toBe(first.issuer);
  url.searchParams.set('iss', second.issuer);
  expect(refusalCode(await browser.open(url))).toBe('launch-refused');
  expect([first.tokenCalls.length, second.tokenCalls.length]).toEqual([0, 0]);
});

it('S11: the answers of two servers swapped are refused', async () => {
  const browser = new Browser();
  const [first, second] = await Promise.all(place.ehrs.map((ehr) => back(browser, ehr)));
  const state = first?.url.searchParams.get('state') ?? '';
  second?.url.searchParams.set('state', state);
  expect(refusalCode(await browser.open(second?.url ?? ''))).toBe('launch-refused');
  expect(place.ehrs.map(({ tokenCalls }) => tokenCalls.length)).toEqual([0, 0]);
});

it('S11: a server that announces the parameter must send it', async () => {
  const [first] = place.ehrs;
  first.change.configuration = (document) => json({ ...document, authorization_response_iss_parameter_supported: true });
  place.door.pass(5 * 60_000);
  const browser = new Browser();
  const { url } = await back(browser, first);
  url.searchParams.delete('iss');
  expect(refusalCode(await browser.open(url))).toBe('launch-refused');
  expect(first.tokenCalls).toHaveLength(0);
});
