import { afterEach, describe, expect, test } from 'vitest';
import type { WetreadError } from '#domain/errors.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { type Answerer, serve, type TestServer } from './servers.ts';

const open: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function server(answer: Answerer): Promise<TestServer> {
  const one = await serve(answer);
  open.push(one);
  return one;
}

function neighbour(origin: string, limits: Partial<Neighbour['limits']> = {}): Neighbour {
  const one = openNeighbour({ name: 'PACS', origins: [origin], ...limits });
  open.push(one);
  return one;
}

async function failure(promise: Promise<unknown>): Promise<WetreadError> {
  const error = await promise.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toHaveProperty('name', 'WetreadError');
  return error as WetreadError; // the line above proved it
}

/** Node's own fetch through our agent; the two undici versions differ in types only. */
function builtIn(url: string, { agent }: Neighbour): Promise<Response> {
  return globalThis.fetch(url, { redirect: 'follow', dispatcher: agent } as unknown as RequestInit);
}

describe('a neighbour', () => {
  test('gives the answer of its own origin', async () => {
    const pacs = await server((_, response) => void response.end('hello'));
    const answer = await neighbour(pacs.origin).fetch(`${pacs.origin}/studies?PatientID=1`);
    expect(await answer.text()).toBe('hello');
    expect(pacs.asked[0]?.headers['accept-encoding']).toBe('identity');
  });

  test('refuses another origin, which never sees a connection', async () => {
    const pacs = await server((_, response) => void response.end());
    const decoy = await server((_, response) => void response.end('secret'));
    const error = await failure(neighbour(pacs.origin).fetch(`${decoy.origin}/x?PatientID=77`));
    expect(error.code).toBe('net-origin-refused');
    expect(error.message).not.toContain('77');
    expect(decoy.connections()).toBe(0);
  });

  test('refuses an origin whose text only begins like its own', async () => {
    const pacs = await server((_, response) => void response.end());
    const evil = `${pacs.origin.replace('127.0.0.1', 'localhost')}`;
    expect((await failure(neighbour(pacs.origin).fetch(`${pacs.origin}.evil.example/x`))).code).toBe('net-origin-refused');
    expect((await failure(neighbour(pacs.origin).fetch(evil))).code).toBe('net-origin-refused');
  });

  test('holds the allow-list also for a library that brings its own fetch and follows redirects', async () => {
    const decoy = await server((_, response) => void response.end('secret'));
    const pacs = await server((_, response) => void response.writeHead(302, { location: decoy.origin }).end());
    await expect(builtIn(pacs.origin, neighbour(pacs.origin))).rejects.toThrow();
    expect(decoy.connections()).toBe(0);
  });

  test('never follows a redirect, not even to itself', async () => {
    const pacs = await server((asked, response) => {
      if (asked.url === '/a') response.writeHead(302, { location: '/b' }).end();
      else response.end('b');
    });
    expect((await failure(neighbour(pacs.origin).fetch(`${pacs.origin}/a`))).code).toBe('net-redirect-refused');
    expect(pacs.asked.map((one) => one.url)).toEqual(['/a']);
  });

  test('ends an answer over the byte limit, of the neighbour or of the call', async () => {
    const pacs = await server((_, response) => void response.end(Buffer.alloc(200_000)));
    const whole = (async () => (await neighbour(pacs.origin, { maxBytes: 100_000 }).fetch(pacs.origin)).arrayBuffer())();
    expect((await failure(whole)).code).toBe('net-too-large');
    const call = (async () => (await neighbour(pacs.origin).fetch(pacs.origin, { maxBytes: 1000 })).arrayBuffer())();
    expect((await failure(call)).code).toBe('net-too-large');
  });

  test('refuses a compressed answer, for its own fetch and for a library', async () => {
    const pacs = await server((_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'));
    const one = neighbour(pacs.origin);
    expect((await failure(one.fetch(pacs.origin))).code).toBe('net-too-large');
    await expect(builtIn(pacs.origin, one)).rejects.toThrow();
  });

  test('ends an answer that falls silent', async () => {
    const pacs = await server((_, response) => void response.write('begin'));
    const read = (async () => (await neighbour(pacs.origin, { idleMs: 300 }).fetch(pacs.origin)).text())();
    const error = await failure(read);
    expect(error.code).toBe('net-timeout');
    expect(error.cause).toBeDefined();
  });

  test('ends an answer that drips past the total time', async () => {
    const pacs = await server((_, response) => {
      const drip = setInterval(() => response.write('.'), 30);
      response.on('close', () => clearInterval(drip));
    });
    const read = (async () => (await neighbour(pacs.origin, { totalMs: 250 }).fetch(pacs.origin)).text())();
    expect((await failure(read)).code).toBe('net-timeout');
  });

  test('ends when the caller gives up', async () => {
    const pacs = await server((_, response) => void response.write('begin'));
    const controller = new AbortController();
    const read = (async () => (await neighbour(pacs.origin).fetch(pacs.origin, { signal: controller.signal })).text())();
    setTimeout(() => controller.abort(), 50);
    expect((await failure(read)).code).toBe('net-timeout');
  });

  test('says unreachable for a closed port and a connection cut in the middle', async () => {
    const gone = await serve((_, response) => void response.end());
    await gone.close();
    expect((await failure(neighbour(gone.origin).fetch(`${gone.origin}/?name=Doe`))).code).toBe('net-unreachable');
    const cut = await server((_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('ten bytes.');
      setTimeout(() => response.destroy(), 20);
    });
    const read = (async () => (await neighbour(cut.origin).fetch(cut.origin)).text())();
    expect((await failure(read)).code).toBe('net-unreachable');
  });

  test('is not opened with an origin that is no http URL', () => {
    expect(() => openNeighbour({ name: 'PACS', origins: ['ftp://pacs'] })).toThrow(/expected an http or https URL/);
  });
});
