import { afterEach, describe, expect, test } from 'vitest';
import { openNeighbour } from '#net/neighbour.ts';
import { bearerToken, type Token } from '#net/token.ts';
import { XhrOverNeighbour } from '#net/xhr.ts';
import { type Answerer, json, serve, type TestServer } from './servers.ts';

const open: { close: () => Promise<void> }[] = [];

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

interface Setup {
  readonly server: TestServer;
  readonly xhr: XhrOverNeighbour;
  /** Sends and waits for readyState 4. */
  readonly send: (method: string, url: string, body?: Uint8Array) => Promise<void>;
}

async function setup(answer: Answerer, token: Token | null = null, maxBytes = 10_000): Promise<Setup> {
  const server = await serve(answer);
  const neighbour = openNeighbour({ name: 'PACS', origins: [server.origin], totalMs: 2000 });
  open.push(server, neighbour);
  const xhr = new XhrOverNeighbour({ neighbour, token, maxBytes });
  const send = (method: string, url: string, body?: Uint8Array): Promise<void> =>
    new Promise((resolve) => {
      xhr.onreadystatechange = () => {
        if (xhr.readyState === 4) resolve();
      };
      xhr.open(method, url);
      xhr.setRequestHeader('X-Test', 'yes');
      xhr.send(body);
    });
  return { server, xhr, send };
}

describe('the request object for dicomweb-client', () => {
  test('gives status, parsed JSON and headers, and sends method, headers and body', async () => {
    const { server, xhr, send } = await setup((_, response) => json(response, [1], 200, { warning: '299 a: one, 299 b: two, three' }));
    await send('post', `${server.origin}/studies`, Buffer.from('body'));
    expect(xhr).toMatchObject({ status: 200, answered: 200, response: [1], failure: null, warnings: ['299 a: one', '299 b: two, three'] });
    expect(xhr.getResponseHeader('content-type')).toBe('application/json');
    expect(xhr.getAllResponseHeaders()).toContain('content-type: application/json\r\n');
    expect(server.asked[0]).toMatchObject({ method: 'POST', body: 'body' });
    expect(server.asked[0]?.headers).toMatchObject({ 'x-test': 'yes', accept: 'application/dicom+json' });
  });

  test.each([
    ['broken JSON', 200, 'application/json', '[', 'dicomweb-bad-json'],
    ['an empty 200', 200, 'application/json', ' ', 'dicomweb-bad-json'],
    ['HTML with 200', 200, 'text/html', '<html>', 'dicomweb-unexpected-type'],
    ['a long answer', 200, 'application/json', `"${'x'.repeat(20_000)}"`, 'net-too-large'],
  ])('%s is a failure with status 0, which the library rejects', async (_, status, type, body, code) => {
    const { server, xhr, send } = await setup((_asked, response) => void response.writeHead(status, { 'content-type': type }).end(body));
    await send('get', `${server.origin}/studies`);
    expect(xhr).toMatchObject({ status: 0, failure: { code } });
  });

  test('an error status keeps its JSON, and its HTML is nothing', async () => {
    const refused = await setup((_, response) => json(response, { a: 1 }, 409));
    await refused.send('post', `${refused.server.origin}/studies`);
    expect(refused.xhr).toMatchObject({ status: 409, response: { a: 1 }, failure: null });
    const page = await setup(
      (_, response) => void response.writeHead(503, { 'content-type': 'text/html', 'retry-after': '7' }).end('<html>'),
    );
    await page.send('get', `${page.server.origin}/studies`);
    expect(page.xhr).toMatchObject({ status: 503, response: null, retryAfter: '7', failure: null });
  });

  test('a token of another origin and another origin for a token are refused before anything is sent', async () => {
    const foreign = await setup((_, response) => json(response, []), bearerToken('https://pacs.example', 'T'));
    await foreign.send('get', `${foreign.server.origin}/studies`);
    expect(foreign.xhr.failure?.code).toBe('net-origin-refused');
    expect(foreign.server.asked).toHaveLength(0);
    const decoy = await serve((_, response) => json(response, []));
    open.push(decoy);
    const own = await setup((_, response) => json(response, []));
    await own.send('get', `${decoy.origin}/bulk`);
    expect(own.xhr.failure?.code).toBe('net-origin-refused');
    expect(decoy.connections()).toBe(0);
  });

  test('abort ends it', async () => {
    const { server, xhr, send } = await setup(
      (_, response) => void response.writeHead(200, { 'content-type': 'application/json' }).write('['),
    );
    const sent = send('get', `${server.origin}/studies`);
    xhr.abort();
    await sent;
    expect(xhr.failure?.code).toBe('net-timeout');
  });
});
