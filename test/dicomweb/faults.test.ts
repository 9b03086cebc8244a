/** What a network or an archive does to an answer, through the room's door: each fault ends in whole objects, or in its code. */
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { Dicomweb } from '#dicomweb/client.ts';
import { codeOf } from '#domain/errors.ts';
import { type Uid, uidOf } from '#domain/uid.ts';
import type { Limits } from '#net/neighbour.ts';
import { type Asked, json, type RawServer, serveRaw } from '../net/servers.ts';
import {
  alsoClose,
  archive,
  clientOf,
  closeAll,
  codeFrom,
  hit,
  instanceOf,
  longObject,
  multipart,
  multipartType,
  pageOf,
  readSeries,
  series,
  study,
  uids,
} from './archive.ts';

afterEach(closeAll);

const [first, second, third] = uids as [Uid, Uid, Uid]; // there are three
const pixels = 'p'.repeat(2000);
const whole = multipart(uids.map((uid) => longObject(uid, pixels)));
const type = 'Content-Type: multipart/related; type="application/dicom"; boundary=b\r\n';
/** As Orthanc answers: neither length nor chunks, the end of the connection is the end. */
const bare = `HTTP/1.1 200 OK\r\n${type}Connection: close\r\n\r\n`;
const withLength = (bytes: number) => `HTTP/1.1 200 OK\r\n${type}Content-Length: ${bytes}\r\n\r\n`;
const chunked = `HTTP/1.1 200 OK\r\n${type}Transfer-Encoding: chunked\r\n\r\n`;
const chunk = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);

/** A server that treats requests for the series with `fault`, and those for one instance with `one` (whole by default). */
async function raw(
  fault: (socket: Socket) => void,
  one: ((socket: Socket) => void) | null = null,
  net: Partial<Limits> = {},
): Promise<{ server: RawServer; client: Dicomweb }> {
  const server = await serveRaw((socket, head) => {
    const uid = /\/instances\/(\S+)/.exec(head)?.[1];
    if (uid === undefined) fault(socket);
    else if (one !== null) one(socket);
    else socket.end(Buffer.concat([Buffer.from(bare), multipart([longObject(uid as Uid, pixels)])])); // the tests ask for UIDs only
  });
  alsoClose(server);
  return { server, client: clientOf(server.origin, null, {}, net) };
}

const cutAt = whole.indexOf(second) + 500;
const endOfLast = whole.length - '\r\n--b--'.length;

describe('an answer that ends too early', () => {
  const cuts: readonly (readonly [what: string, send: (socket: Socket) => void])[] = [
    ['neither length nor chunks, in the middle of a part', (s) => s.end(Buffer.concat([Buffer.from(bare), whole.subarray(0, cutAt)]))],
    [
      'neither length nor chunks, only the closing boundary is missing',
      (s) => s.end(Buffer.concat([Buffer.from(bare), whole.subarray(0, endOfLast)])),
    ],
    [
      'neither length nor chunks, the closing boundary lacks its dashes',
      (s) => s.end(Buffer.concat([Buffer.from(bare), whole.subarray(0, -2)])),
    ],
    ['its Content-Length is not reached', (s) => s.end(Buffer.concat([Buffer.from(withLength(whole.length)), whole.subarray(0, cutAt)]))],
    ['its last chunk is missing', (s) => s.end(Buffer.concat([Buffer.from(chunked), chunk(whole.subarray(0, cutAt))]))],
    [
      'the connection is reset',
      (s) => void s.write(Buffer.concat([Buffer.from(withLength(whole.length)), whole.subarray(0, cutAt)]), () => s.resetAndDestroy()),
    ],
  ];
  test.each(cuts)('%s: what is missing is asked for one by one, every object is whole, and it is said', async (_, send) => {
    const { client } = await raw(send);
    const { got, bytes, warnings, error } = await readSeries(client);
    expect(error).toBeNull();
    expect([...got].sort()).toEqual([...uids].sort());
    for (const uid of uids) expect(bytes.get(uid)?.equals(longObject(uid, pixels))).toBe(true);
    expect(warnings).toEqual(['dicomweb-single-retrieve']);
  });

  test.each(cuts)('%s, each time: dicomweb-missing-instances, not one object, after bounded tries', async (_, send) => {
    const { server, client } = await raw(send, (socket) => send(socket));
    const { got, error } = await readSeries(client, [third]);
    expect([codeOf(error), got]).toEqual(['dicomweb-missing-instances', []]);
    expect(server.connections()).toBe(3);
  });

  test('a part that is shorter than its Content-Length is not taken', async () => {
    const part = (uid: Uid, length: number) =>
      Buffer.from(`\r\n--b\r\nContent-Type: application/dicom\r\nContent-Length: ${length}\r\n\r\n${longObject(uid, pixels)}`);
    const body = Buffer.concat([part(first, longObject(first, pixels).length), part(second, 4000), Buffer.from('\r\n--b--')]);
    const { client } = await raw(
      (socket) => socket.end(Buffer.concat([Buffer.from(bare), body])),
      (socket) => socket.end(Buffer.concat([Buffer.from(bare), body])),
    );
    const { got, error } = await readSeries(client);
    expect(codeOf(error)).toBe('dicomweb-missing-instances');
    expect(got).toEqual([first]);
  });

  test('an archive that fails at three in a row is not asked for the rest', async () => {
    const many = Array.from({ length: 12 }, (_, n) => uidOf(`many ${n}`));
    const { server, client } = await raw(
      (s) => s.end(bare),
      (s) => s.end(bare),
    );
    const { error } = await readSeries(client, many);
    expect(codeOf(error)).toBe('dicomweb-missing-instances');
    expect(String(error)).toContain('received 0 of 12');
    expect(server.connections()).toBe(1 + 3 * 3);
  });

  test('a search that is cut is asked for once more, then it is an error, never a shorter list', async () => {
    const list = JSON.stringify([hit(uidOf('a')), hit(uidOf('b'))]);
    const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/dicom+json\r\n';
    let server = await serveRaw((socket) => socket.end(`${head}Content-Length: ${list.length}\r\n\r\n${list.slice(0, 90)}`));
    alsoClose(server);
    expect(await codeFrom(clientOf(server.origin).searchStudies({ patientId: 'P1' }))).toBe('net-unreachable');
    expect(server.connections()).toBe(2);
    server = await serveRaw((socket) => socket.end(`${head}Connection: close\r\n\r\n${list.slice(0, 90)}`));
    alsoClose(server);
    expect(await codeFrom(clientOf(server.origin).searchStudies({ patientId: 'P1' }))).toBe('dicomweb-bad-json');
    expect(server.connections()).toBe(2);
  });
});

describe('an answer that does not come', () => {
  test('silence from the start, after the headers, or in the middle of a part is given up, for a retrieve and for a search', async () => {
    const silences: readonly ((socket: Socket) => void)[] = [
      () => undefined,
      (socket) => void socket.write(bare),
      (socket) => void socket.write(Buffer.concat([Buffer.from(bare), whole.subarray(0, cutAt)])),
    ];
    const found = await Promise.all(
      silences.map(async (send) => {
        const { server, client } = await raw(send, send, { idleMs: 150 });
        const { got, error } = await readSeries(client, [second]);
        const tries = server.connections();
        return [codeOf(error), got, tries, await codeFrom(client.searchStudies({ patientId: 'P1' }))];
      }),
    );
    expect(found).toEqual(silences.map(() => ['dicomweb-missing-instances', [], 3, 'net-timeout']));
  });

  /** Sends a little again and again, never silent. */
  const drip = (socket: Socket): void => {
    socket.write(bare);
    let at = 0;
    const timer = setInterval(() => {
      at += 5;
      if (socket.writable) socket.write(whole.subarray(at - 5, at));
    }, 10);
    socket.on('close', () => clearInterval(timer));
  };

  test('a drip below the least rate is given up long before the whole time', async () => {
    const { client } = await raw(drip, drip, { totalMs: 600_000, minBytesPerSecond: 5000, rateWindowMs: 150 });
    const { error } = await readSeries(client, [first]);
    expect(codeOf(error)).toBe('dicomweb-missing-instances');
    expect(String(error)).toContain('the answer drips');
  });

  test('a drip above the least rate ends with the whole time', async () => {
    const { client } = await raw(drip, drip, { totalMs: 200, minBytesPerSecond: 1, rateWindowMs: 50 });
    const { error } = await readSeries(client, [first]);
    expect(codeOf(error)).toBe('dicomweb-missing-instances');
    expect(String(error)).toContain('within the total time');
  });

  test('a slow reader is no slow archive', async () => {
    const large = multipart(uids.map((uid) => longObject(uid, 'p'.repeat(400_000))));
    const { client } = await raw((socket) => socket.end(Buffer.concat([Buffer.from(bare), large])), null, {
      minBytesPerSecond: 1_000_000_000,
      rateWindowMs: 200,
    });
    const got: string[] = [];
    for await (const one of client.retrieve(study, series, uids, { onWarning: ({ code }) => got.push(code) })) {
      got.push(one.uids.instance);
      await new Promise((later) => setTimeout(later, 250));
    }
    expect(got).toEqual(uids);
  });
});

describe('an answer that is not what it says', () => {
  const honest = (uid: string | null): Buffer => multipart((uid === null ? uids : [uid as Uid]).map((one) => longObject(one, pixels)));

  test.each([
    ['the boundary after a line break, not followed by one', '\r\n--bx and \r\n--b more'],
    ['the boundary as a line of its own start, without the line break before', 'x--b\r\nContent-Type: application/dicom\r\n\r\n'],
    ['the closing boundary without the line break before', 'x--b--\r\n'],
    ['line breaks and dashes', '\r\n\r\n--\r\n-'],
  ])('pixel data with %s stay pixel data', async (_, inside) => {
    const body = multipart(uids.map((uid) => longObject(uid, `before ${inside} after`)));
    const { client } = await archive((_asked, response) => void response.writeHead(200, multipartType).end(body));
    const { bytes, warnings, error } = await readSeries(client);
    expect([error, warnings]).toEqual([null, []]);
    for (const uid of uids) expect(bytes.get(uid)?.equals(longObject(uid, `before ${inside} after`))).toBe(true);
  });

  test.each([
    'multipart/related; boundary="b"; type="application/dicom"',
    'Multipart/Related; type="application/dicom; transfer-syntax=*; boundary=inner"; Boundary=b; charset=x',
  ])('the boundary is read from %s', async (contentType) => {
    const { client } = await archive(
      (asked, response) => void response.writeHead(200, { 'content-type': contentType }).end(honest(instanceOf(asked))),
    );
    expect((await readSeries(client)).got).toEqual(uids);
  });

  test.each(['multipart/related; type="application/dicom"', 'application/dicom', 'application/json', ''])(
    'an answer of type %j is dicomweb-unexpected-type, at once',
    async (contentType) => {
      const { client, server } = await archive(
        (asked, response) =>
          void response.writeHead(200, contentType === '' ? {} : { 'content-type': contentType }).end(honest(instanceOf(asked))),
      );
      expect(codeOf((await readSeries(client)).error)).toBe('dicomweb-unexpected-type');
      expect(server.asked).toHaveLength(1);
    },
  );

  test('206 is no whole answer, for a retrieve, a search and a store', async () => {
    const { client } = await archive((asked, response) => {
      if (asked.method === 'POST') json(response, {}, 206);
      else if (asked.url.includes('?')) json(response, pageOf(asked, [hit(uidOf('a'))]), 206);
      else response.writeHead(206, { ...multipartType, 'content-range': 'bytes 0-99/5000' }).end(multipart([longObject(first, 'half')]));
    });
    const { got, error } = await readSeries(client, [first]);
    expect([codeOf(error), got]).toEqual(['dicomweb-missing-instances', []]);
    expect(await codeFrom(client.searchStudies({ patientId: 'P1' }))).toBe('dicomweb-refused');
    expect(await codeFrom(client.store(longObject(first, pixels)))).toBe('dicomweb-store-failed');
  });

  test('a login page with 200 in place of the answer to a store is dicomweb-unexpected-type', async () => {
    const { client } = await archive((_asked, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    expect(await codeFrom(client.store(longObject(first, pixels)))).toBe('dicomweb-unexpected-type');
  });
});

describe('an answer that is too large', () => {
  const answer = (asked: Asked, response: ServerResponse): void => {
    const uid = instanceOf(asked);
    response.writeHead(200, multipartType).end(multipart((uid === null ? uids : [uid as Uid]).map((one) => longObject(one, pixels))));
  };

  test('as a whole is ended, and its instances are asked for one by one', async () => {
    const { client, server } = await archive(answer, undefined, { maxAnswerBytes: 5000 });
    const { got, warnings, error } = await readSeries(client);
    expect([error, warnings]).toEqual([null, ['dicomweb-single-retrieve']]);
    expect(got).toHaveLength(3);
    expect(server.asked.length).toBeGreaterThan(1);
  });

  test('as a whole, each time: missing, with the limit in the message', async () => {
    const { client } = await archive(answer, undefined, { maxAnswerBytes: 1000 });
    const { got, error } = await readSeries(client);
    expect([codeOf(error), got]).toEqual(['dicomweb-missing-instances', []]);
    expect(String(error)).toContain('1000 bytes');
  });

  test('in its number of parts is ended', async () => {
    const { client } = await archive(answer, undefined, { maxParts: 2 });
    const { got, warnings } = await readSeries(client);
    expect(warnings).toEqual(['dicomweb-single-retrieve']);
    expect(got).toHaveLength(3);
  });

  test('of a search is net-too-large', async () => {
    const { client } = await archive(
      (_, response) => json(response, [hit(uidOf('a'), { '00081030': 'x'.repeat(5000) })]),
      undefined,
      {},
      { maxBytes: 1000 },
    );
    expect(await codeFrom(client.searchStudies({ patientId: 'P1' }))).toBe('net-too-large');
  });
});
