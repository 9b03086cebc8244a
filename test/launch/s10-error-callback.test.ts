import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

it.each(['access_denied', 'invalid_scope', 'server_error', 'temporarily_unavailable'])(
  'S10: %s is shown, with what to do, and leads to no token request',
  async (error) => {
    place.ehr.authorization.switches.error = error;
    const page = await place.go();
    expect([page.status, refusalCode(page)]).toEqual([400, 'launch-refused']);
    expect(page.body).toContain(error);
    expect(page.body).toContain('open the link on the card again');
    expect(place.ehr.tokenCalls).toHaveLength(0);
  },
);

it('S10: the text of the EHR is shown escaped', async () => {
  place.ehr.authorization.switches.error = 'access_denied';
  const browser = new Browser();
  const { url } = await place.goBack(browser);
  url.searchParams.set('error_description', '<script>alert(1)</script>');
  const page = await browser.open(url);
  expect(page.body).toContain('&lt;script&gt;');
  expect(page.body).not.toContain('<script');
});

it('S10: an error with a foreign state is not shown', async () => {
  const page = await new Browser().open(
    `${place.door.origin}/launch/callback?error=access_denied&error_description=Pay+here&state=${'z'.repeat(43)}`,
  );
  expect(refusalCode(page)).toBe('launch-refused');
  expect(page.body).not.toContain('Pay here');
});
