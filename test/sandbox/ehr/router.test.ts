import { afterAll, beforeAll, expect, it } from 'vitest';
import { type EhrServer, startEhr } from './start.ts';

let server: EhrServer;
beforeAll(async () => {
  server = await startEhr();
});
afterAll(() => server.close());

const launch = (body: unknown, type = 'application/json') =>
  fetch(`${server.origin}/launch`, { method: 'POST', headers: { 'content-type': type }, body: JSON.stringify(body) });

it('a launch is made with iss and launch in the query, and other parameters of the link are kept', async () => {
  const answer = await launch({ patient: 'anna', url: 'https://app.example/launch?tenant=7', appContext: null });
  const { url } = (await answer.json()) as { url: string };
  expect(Object.fromEntries(new URL(url).searchParams)).toEqual({ tenant: '7', iss: server.fhir, launch: 'launch-1' });
});

it.each([
  ['no patient', { url: 'https://app.example/', appContext: null }],
  ['an empty patient', { patient: '', url: 'https://app.example/', appContext: null }],
  ['a script for a link', { patient: 'anna', url: 'javascript:alert(1)', appContext: null }],
  ['a relative link', { patient: 'anna', url: '/launch', appContext: null }],
  ['no appContext', { patient: 'anna', url: 'https://app.example/' }],
  ['no object', 'anna'],
])('a launch with %s is refused', async (_what, body) => {
  const before = server.launches.length;
  expect((await launch(body)).status).toBe(400);
  expect(server.launches).toHaveLength(before);
});

it('a form of another site makes no launch', async () => {
  expect((await launch({ patient: 'anna', url: 'https://app.example/', appContext: null }, 'text/plain')).status).toBe(400);
});

it('the page may talk to the three servers of the sandbox only, and be framed by nobody', async () => {
  const policy = (await fetch(server.origin)).headers.get('content-security-policy') ?? '';
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain(new URL(server.fhir).origin);
  expect(policy).toContain(server.cds);
  expect(policy).toContain("frame-ancestors 'none'");
  expect(policy).not.toContain("'unsafe");
});
