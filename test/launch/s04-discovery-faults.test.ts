import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Answer, json, refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

const faults: readonly (readonly [what: string, answer: (document: object) => Answer, code: string])[] = [
  ['404', (document) => json(document, 404), 'launch-refused'],
  ['HTML', () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Sign in</h1>' }), 'launch-refused'],
  ['an array', () => json([]), 'launch-refused'],
  [
    'no token endpoint',
    () => json({ authorization_endpoint: 'https://a.example/', code_challenge_methods_supported: ['S256'] }),
    'launch-refused',
  ],
  [
    'an authorization endpoint that is a script',
    (document) => json({ ...document, authorization_endpoint: 'javascript:alert(1)' }),
    'launch-refused',
  ],
  [
    'a token endpoint with a user',
    (document) => json({ ...document, token_endpoint: 'https://user:pw@auth.example/token' }),
    'launch-refused',
  ],
  ['a redirect', () => ({ status: 302, headers: { location: 'https://elsewhere.example/' }, body: '' }), 'net-redirect-refused'],
  ['5 MB', (document) => json({ ...document, padding: 'x'.repeat(5_000_000) }), 'net-too-large'],
  ['gzip that was not asked for', () => ({ status: 200, headers: { 'content-encoding': 'gzip' }, body: 'x' }), 'net-too-large'],
];

it.each(faults)('S04: %s is a coded refusal, and is not remembered', async (_what, answer, code) => {
  place.ehr.change.configuration = answer;
  const page = await place.go();
  expect([refusalCode(page), page.way.length]).toEqual([code, 1]);
  expect(page.status).toBeGreaterThanOrEqual(400);
});

it('S04: a server that says nothing is net-timeout', async () => {
  const silent = Promise.withResolvers<Answer>();
  place.ehr.change.configuration = () => silent.promise;
  const page = await place.go();
  silent.resolve(json({}));
  expect([page.status, refusalCode(page)]).toEqual([504, 'net-timeout']);
});

it('S04: a good document is kept for five minutes, then a changed endpoint is seen', async () => {
  place.ehr.change.configuration = null;
  const before = place.ehr.discoveries();
  expect((await place.goBack()).status).toBe(0);
  expect((await place.goBack()).status).toBe(0);
  expect(place.ehr.discoveries() - before).toBe(1);
  place.ehr.change.configuration = (document) => json({ ...document, authorization_endpoint: `${place.ehr.issuer}/moved` });
  place.door.pass(5 * 60_000);
  expect((await place.go()).url.pathname).toBe('/moved');
});
