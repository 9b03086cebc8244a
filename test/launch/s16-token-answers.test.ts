import { afterAll, beforeAll, expect, it } from 'vitest';
import { type Answer, json, refusalCode, startLaunch } from './start.ts';

let place: Awaited<ReturnType<typeof startLaunch>>;
beforeAll(async () => {
  place = await startLaunch();
});
afterAll(() => place.close());

type Members = Record<string, unknown>;
const changed = (change: (members: Members) => unknown) => (answer: Answer) => json(change(JSON.parse(answer.body) as Members));

it.each(['bearer', 'Bearer', 'BEARER'])('S16: the token type %s is taken', async (token_type) => {
  place.ehr.change.token = changed((members) => ({ ...members, token_type }));
  expect((await place.go()).body).toBe('the draft');
});

it('S16: an answer without expires_in is taken, since the page uses no token', async () => {
  place.ehr.change.token = null;
  place.ehr.authorization.switches.noExpiresIn = true;
  expect((await place.go()).body).toBe('the draft');
  place.ehr.authorization.switches.noExpiresIn = false;
});

const faults: readonly (readonly [what: string, change: (answer: Answer) => Answer])[] = [
  ['HTML', () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<p>Welcome</p>' })],
  ['status 200 with an error', () => json({ error: 'invalid_grant' })],
  ['status 400 with invalid_grant', () => json({ error: 'invalid_grant', error_description: 'code is used' }, 400)],
  ['status 500 with HTML', () => ({ status: 500, headers: { 'content-type': 'text/html' }, body: '<h1>Error</h1>' })],
  ['no access_token', changed(({ access_token: _token, ...rest }) => rest)],
  ['no token_type', changed(({ token_type: _type, ...rest }) => rest)],
  ['token type mac', changed((members) => ({ ...members, token_type: 'mac' }))],
  ['token type DPoP, which nobody asked for', changed((members) => ({ ...members, token_type: 'DPoP' }))],
  ['a redirect', () => ({ status: 307, headers: { location: 'https://elsewhere.example/' }, body: '' })],
  ['an answer of 1 MB', changed((members) => ({ ...members, padding: 'x'.repeat(1_000_000) }))],
  ['no patient', changed(({ patient: _patient, ...rest }) => rest)],
  ['a patient that is no text', changed((members) => ({ ...members, patient: 7 }))],
];

it.each(faults)('S16: %s is a coded refusal', async (_what, change) => {
  place.ehr.change.token = change;
  const page = await place.go();
  expect(refusalCode(page)).toMatch(/^(launch-refused|net-)/);
  expect(page.status).toBeGreaterThanOrEqual(400);
  expect(page.body).not.toContain('the draft');
});
