import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { refusalCode, startDoor, startEhr, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

it('S09: the answer of a launch in another browser is refused, with and without a launch of its own', async () => {
  const attacker = await place.goBack(new Browser());
  const calls = place.ehr.tokenCalls.length;
  expect(refusalCode(await new Browser().open(attacker.url))).toBe('launch-refused');
  const victim = new Browser();
  await place.goBack(victim);
  const again = await place.goBack(new Browser());
  expect(refusalCode(await victim.open(again.url))).toBe('launch-refused');
  expect(place.ehr.tokenCalls).toHaveLength(calls);
});

it('S09: behind https the cookies arrive inside the frame of an EHR: SameSite=None, Secure, Partitioned, HttpOnly', async () => {
  const ehr = await startEhr();
  const door = await startDoor({ ehrs: [ehr], contexts: new Map(), publicUrl: 'https://wetread.example' });
  const response = await fetch(door.url(ehr.iss, ehr.launch('anna', null)), { redirect: 'manual' });
  const [cookie = ''] = response.headers.getSetCookie();
  expect(cookie).toMatch(/^wetread-launch=[\w-]{43}; Path=\/launch; HttpOnly; SameSite=None; Secure; Partitioned$/);
  await door.close();
  await ehr.close();
});
