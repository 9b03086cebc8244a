import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

it('S06: launch is echoed unchanged, whatever characters it has', async () => {
  for (const launch of ['abc', 'a+b/c==', '100%', 'a b&c=d#e', 'ünï']) {
    const { way } = await new Browser().open(place.door.url(place.ehr.iss, launch), place.ehr.issuer);
    expect(way[1]?.searchParams.get('launch')).toBe(launch);
    expect(way[1]?.searchParams.get('scope')?.split(' ')).toContain('launch');
  }
});
