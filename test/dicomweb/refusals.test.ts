/** What an archive refuses, and when it is asked again: 401, 403, 404, 429 and 503 with Retry-After, for every request of the room. */
import type { ServerResponse } from 'node:http';
import { afterEach, describe, expect, test } from 'vitest';
import type { Dicomweb } from '#dicomweb/client.ts';
import { codeOf } from '#domain/errors.ts';
import { type Uid, uidOf } from '#domain/uid.ts';
import type { Token } from '#net/token.ts';
import { type Answerer, type Asked, json, serve } from '../net/servers.ts';
import {
  alsoClose,
  archive,
  clientOf,
  closeAll,
  codeFrom,
  hit,
  longObject,
  multipart,
  multipartType,
  pageOf,
  readSeries,
  uids,
} from './archive.ts';

afterEach(closeAll);

const [first] = uids as [Uid]; // there are three
const pixels = 'pixels';

describe('an archive that refuses', () => {
  /** Every request of the room once: search, retrieve, store. */
  const calls: readonly (readonly [string, (client: Dicomweb) => Promise<string>])[] = [
    ['a search', (client) => codeFrom(client.searchStudies({ patientId: 'P1' }))],
    ['a retrieve', (client) => codeFrom(readSeries(client, [first]).then(({ error }) => (error === null ? null : Promise.reject(error))))],
    ['a store', (client) => codeFrom(client.store(longObject(first, pixels)))],
  ];
  const good = (asked: Asked, response: ServerResponse): void => {
    if (asked.method === 'POST') json(response, { '00081199': { vr: 'SQ', Value: [{ '00081155': { vr: 'UI', Value: [first] } }] } });
    else if (asked.url.includes('?')) json(response, pageOf(asked, [hit(uidOf('a'))]));
    else response.writeHead(200, multipartType).end(multipart([longObject(first, pixels)]));
  };

  test.each(calls)('401 for %s leads to one new token, then dicomweb-unauthorised', async (_, call) => {
    let renewals = 0;
    const renew = () => {
      renewals += 1;
      return true;
    };
    const token = (origin: string): Token => ({ origin, header: async () => `Bearer ${renewals}`, renew });
    const never = await archive((_asked, response) => void response.writeHead(401).end(), token);
    expect(await call(never.client)).toBe('dicomweb-unauthorised');
    expect(never.server.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer 0', 'Bearer 1']);
    renewals = 0;
    const second = await archive((asked, response) => {
      if (asked.headers.authorization === 'Bearer 1') good(asked, response);
      else response.writeHead(401).end();
    }, token);
    await call(second.client);
    expect(second.server.asked.slice(0, 2).map(({ headers }) => headers.authorization)).toEqual(['Bearer 0', 'Bearer 1']);
  });

  test.each(calls)('403 for %s is dicomweb-unauthorised, without a second try', async (_, call) => {
    const { client, server } = await archive((_asked, response) => void response.writeHead(403).end());
    expect(await call(client)).toBe('dicomweb-unauthorised');
    expect(server.asked).toHaveLength(1);
  });

  const busy = (header: string | null, times: number, status = 503): Answerer => {
    let left = times;
    return (asked, response) => {
      left -= 1;
      if (left < 0) good(asked, response);
      else response.writeHead(status, header === null ? {} : { 'retry-after': header }).end();
    };
  };

  test.each(calls.flatMap(([what, call]) => ['0', '1', 'Wed, 21 Oct 2015 07:28:00 GMT'].map((header) => [what, header, call] as const)))(
    '%s that is answered with 503 and Retry-After %s is made again',
    async (_, header, call) => {
      const { client } = await archive(busy(header, 1));
      expect(await call(client)).toBe('no error');
    },
  );

  test.each(calls)('%s that stays busy is made three times, then it is refused, and the next try belongs to the queue', async (_, call) => {
    const { client, server } = await archive(busy('0', 100, 429));
    expect(await call(client)).toMatch(/^dicomweb-(refused|store-failed)$/);
    expect(server.asked).toHaveLength(3);
  });

  test.each([null, '2', '86400', '-1', 'soon', 'Fri, 31 Dec 9999 23:59:59 GMT'])('Retry-After %j is not waited for', async (header) => {
    const { client, server } = await archive(busy(header, 1));
    expect(codeOf((await readSeries(client)).error)).toBe('dicomweb-refused');
    expect(server.asked).toHaveLength(1);
  });

  test('a caller who gives up does not wait, and nobody asks for the rest', async () => {
    const controller = new AbortController();
    const server = await serve((_, response) => {
      response.writeHead(503, { 'retry-after': '3000' }).end();
      setTimeout(() => controller.abort(), 50);
    });
    alsoClose(server);
    const client = clientOf(server.origin, null, {}, {}, { maxWaitMs: 10_000_000, maxWaits: 2 });
    expect(codeOf((await readSeries(client, uids, controller.signal)).error)).toBe('net-timeout');
    expect(await codeFrom(client.searchStudies({ patientId: 'P1' }, { signal: controller.signal }))).toBe('net-timeout');
    expect(server.asked).toHaveLength(1);
  });

  test('404 for a series that is listed: its instances are missing, and nobody asks for each', async () => {
    const { client, server } = await archive((_, response) => void response.writeHead(404).end());
    expect(codeOf((await readSeries(client)).error)).toBe('dicomweb-missing-instances');
    expect(server.asked).toHaveLength(1);
  });
});
