import { expect, it } from 'vitest';
import { openSessions } from '#launch/sessions.ts';

const launch = { issuer: 'https://ehr.example/fhir', codeVerifier: 'v', nonce: 'n', browser: 'b' };
const session = { draftKey: 'd1', patientId: 'anna', user: null };

function clock() {
  let ms = 0;
  const pass = (by: number) => {
    ms += by;
  };
  return { sessions: openSessions(() => new Date(ms)), pass };
}

it('a flood of launches pushes out the oldest, not the newest', () => {
  const { sessions } = clock();
  const states = Array.from({ length: 10_001 }, () => sessions.begin(launch));
  expect(sessions.take(states[0] ?? '', 'b')).toBeNull();
  expect(sessions.take(states.at(-1) ?? '', 'b')).toMatchObject(launch);
});

it('using a session keeps it alive; half an hour without use ends it', () => {
  const { sessions, pass } = clock();
  const { id, secret } = sessions.open(session);
  pass(29 * 60_000);
  expect(sessions.find(id, secret)).toMatchObject(session);
  pass(29 * 60_000);
  expect(sessions.find(id, secret)).toMatchObject(session);
  pass(31 * 60_000);
  expect(sessions.find(id, secret)).toBeNull();
});

it('an id alone, or the secret of another session, opens nothing', () => {
  const { sessions } = clock();
  const [one, two] = [sessions.open(session), sessions.open(session)];
  expect(sessions.find(one.id, '')).toBeNull();
  expect(sessions.find(one.id, two.secret)).toBeNull();
  expect(sessions.find('', one.secret)).toBeNull();
});
