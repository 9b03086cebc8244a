import { afterAll, beforeAll, expect, it } from 'vitest';
import { leadTo } from '#work/superseding.ts';
import { exampleDraft } from '../report/example-draft.ts';
import { type ReviewServer, type Session, startReview } from '../review/start.ts';

let server: ReviewServer;
let session: Session;
beforeAll(async () => {
  server = await startReview(['https://ehr.example']);
  await server.finish(exampleDraft);
  session = server.open(exampleDraft.key);
});
afterAll(() => server.close());

const get = (path: string, cookie = session.cookie) => fetch(new URL(path, session.url), { headers: { cookie } });
const seen = async (): Promise<number> =>
  (await server.store.query(`select id from audit where action = 'draft-seen' and draft_key = $1`, [exampleDraft.key])).length;

it('every route needs the cookie of its own session', async () => {
  const other = server.open(exampleDraft.key);
  for (const path of ['', 'draft.json', 'images/1.png']) {
    expect([path, (await get(path)).status]).toEqual([path, 200]);
    for (const cookie of ['', 'wetread-review=guess', other.cookie]) {
      const answer = await get(path, cookie);
      expect([path, cookie, answer.status]).toEqual([path, cookie, 401]);
      expect(await answer.text()).toContain('<code>session-unknown</code>');
    }
  }
});

it('the page may be framed by the site origins only, runs only our scripts, and is kept by no cache', async () => {
  const { headers } = await get('');
  const policy = headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toMatch(/script-src 'self' 'sha256-[\w+/=]+';/);
  expect(policy).toContain('frame-ancestors https://ehr.example');
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('referrer-policy')).toBe('no-referrer');
});

it('opening a draft is recorded once a session, with who saw it', async () => {
  const before = await seen();
  const own = server.open(exampleDraft.key, 'Practitioner/kim');
  for (let round = 0; round < 3; round += 1) await fetch(`${own.url}draft.json`, { headers: { cookie: own.cookie } });
  expect((await seen()) - before).toBe(1);
});

it('an earlier draft that is still open is stamped as superseded, and keeps its own pictures', async () => {
  const earlier = await server.finish({ ...exampleDraft, key: 'a'.repeat(64) });
  const open = server.open(earlier.key);
  const stamp = async () =>
    ((await (await fetch(`${open.url}draft.json`, { headers: { cookie: open.cookie } })).json()) as { stamp: string | null }).stamp;
  expect(await stamp()).toBeNull();
  await leadTo(server.store.query, earlier.key, exampleDraft.key);
  expect(await stamp()).toContain('Superseded: the study has other images now.');
  expect((await fetch(`${open.url}images/1.png`, { headers: { cookie: open.cookie } })).status).toBe(200);
});

it('a picture that the draft does not have, or that is no number, is 404', async () => {
  for (const name of ['0', '3', '-1', '1.5', 'x', '..%2f1']) {
    expect([name, (await get(`images/${name}.png`)).status]).toEqual([name, 404]);
  }
  expect((await get('images/2.png')).headers.get('content-type')).toBe('image/png');
});

it('a draft that retention deleted is 404 with what to do', async () => {
  const gone = server.open('e'.repeat(64));
  const answer = await fetch(`${gone.url}draft.json`, { headers: { cookie: gone.cookie } });
  expect([answer.status, (await answer.text()).includes('sign the order again')]).toEqual([404, true]);
});

it('assets are those of the page and its libraries, nothing else', async () => {
  const html = await (await get('')).text();
  const [, base = ''] = /src="(\/assets\/review\/[0-9a-f]{16})\/page\.ts"/.exec(html) ?? [];
  const asset = (name: string) => fetch(`${server.origin}${base}/${name}`);
  const script = await asset('page.ts');
  expect(script.headers.get('content-type')).toMatch(/^text\/javascript/);
  expect(script.headers.get('cache-control')).toContain('immutable');
  expect(await script.text()).not.toContain('import type');
  for (const name of ['tsconfig.json', '../launch/router.ts', '..%2flaunch%2frouter.ts', 'library/express.mjs', 'nothing.ts']) {
    expect([name, (await asset(name)).status]).toEqual([name, 404]);
  }
});

it('a store that fails is 500 without a word of why, and is logged', async () => {
  await server.store.query('alter table draft rename to draft_away');
  const answer = await get('draft.json');
  await server.store.query('alter table draft_away rename to draft');
  const text = await answer.text();
  expect([answer.status, text.includes('<code>internal</code>')]).toEqual([500, true]);
  expect(text).not.toMatch(/relation|draft_away|\bat /);
  expect(server.log.join('')).toContain('review page failed');
});
