import { afterAll, beforeAll, expect, it } from 'vitest';
import { Browser } from './browser.ts';
import { clientId, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

it('S12: the code is exchanged once, by a form with verifier, client and redirect URI, and without an Authorization header', async () => {
  const browser = new Browser();
  const back = await place.goBack(browser);
  expect((await browser.open(back.url)).body).toBe('the draft');
  expect(place.ehr.tokenCalls).toHaveLength(1);
  const { headers, form } = place.ehr.tokenCalls[0] ?? { headers: {}, form: new URLSearchParams() };
  expect(headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/);
  expect(headers.authorization).toBeUndefined();
  expect(Object.fromEntries(form)).toEqual({
    grant_type: 'authorization_code',
    code: back.url.searchParams.get('code'),
    redirect_uri: `${place.door.origin}/launch/callback`,
    client_id: clientId,
    code_verifier: expect.stringMatching(/^[\w.~-]{43,128}$/),
  });
});
