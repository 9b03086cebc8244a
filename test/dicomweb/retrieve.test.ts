import { afterEach, describe, expect, test } from 'vitest';
import { codeOf } from '#domain/errors.ts';
import { type Uid, uidOf } from '#domain/uid.ts';
import { bearerToken, type Token } from '#net/token.ts';
import { type Answerer, json, serve } from '../net/servers.ts';
import {
  alsoClose,
  archive,
  closeAll,
  hit,
  instanceOf,
  multipart,
  multipartType,
  object,
  pageOf,
  readSeries,
  series,
  study,
  uids,
} from './archive.ts';

afterEach(closeAll);

describe('WADO-RS', () => {
  /** The series answers with `objects`, single instances are right. */
  const withSeries = (objects: readonly Buffer[], type?: string): Answerer => {
    return (asked, response) => {
      const uid = instanceOf(asked);
      response.writeHead(200, multipartType).end(uid === null ? multipart(objects, type) : multipart([object(uid as Uid)])); // the tests ask for UIDs only
    };
  };

  test('asks for the stored form', async () => {
    const { client, server } = await archive(withSeries(uids.map((uid) => object(uid))));
    expect((await readSeries(client)).got).toEqual(uids);
    expect(server.asked).toHaveLength(1);
    expect(server.asked[0]?.headers.accept).toBe('multipart/related; type="application/dicom"; transfer-syntax=*');
  });

  test('what a series answer leaves out is asked for one by one', async () => {
    const { client, server } = await archive(withSeries([object(uids[1] as Uid)])); // there are three
    const { got, error } = await readSeries(client);
    expect(error).toBeNull();
    expect([...got].sort()).toEqual([...uids].sort());
    expect(server.asked).toHaveLength(3);
  });

  test('a series that fails with 500 is read by instances, and it is said', async () => {
    const { client } = await archive((asked, response) => {
      if (instanceOf(asked) === null) response.writeHead(500).end();
      else withSeries([])(asked, response);
    });
    const { got, warnings, error } = await readSeries(client);
    expect(error).toBeNull();
    expect(got).toHaveLength(3);
    expect(warnings).toEqual(['dicomweb-single-retrieve']);
  });

  test.each([429, 503])(
    'a busy archive (%i) that asks for a longer wait than is granted is left alone, and its Retry-After is the hint',
    async (status) => {
      const { client, server } = await archive((_, response) => void response.writeHead(status, { 'retry-after': '9' }).end());
      const { error } = await readSeries(client);
      expect(error).toMatchObject({ code: 'dicomweb-refused', hint: expect.stringContaining('9') });
      expect(server.asked).toHaveLength(1);
    },
  );

  test('a part of another study releases nothing more', async () => {
    const objects = [object(uids[0] as Uid), object(uids[1] as Uid, { study: uidOf('other patient') }), object(uids[2] as Uid)];
    const { client } = await archive(withSeries(objects));
    const { got, error } = await readSeries(client);
    expect(codeOf(error)).toBe('identity-conflict');
    expect(got).toEqual([uids[0]]);
  });

  test('two different objects under one UID are a conflict, the same twice is one', async () => {
    const twice = await archive(withSeries([...uids, uids[0] as Uid].map((uid) => object(uid))));
    expect((await readSeries(twice.client)).got).toEqual(uids);
    const differ = await archive(withSeries([object(uids[0] as Uid), object(uids[0] as Uid, { other: 1 })]));
    expect(codeOf((await readSeries(differ.client)).error)).toBe('identity-conflict');
  });

  test('an instance that was not asked for is dropped with a warning', async () => {
    const { client } = await archive(withSeries([...uids, uidOf('new')].map((uid) => object(uid))));
    const { got, warnings } = await readSeries(client);
    expect(got).toEqual(uids);
    expect(warnings).toEqual(['dicomweb-extra-instance']);
  });

  test('parts of a wrong type or without DICOM are dropped, said, and missing', async () => {
    const html = await archive(
      (_, response) =>
        void response.writeHead(200, multipartType).end(
          multipart(
            uids.map((uid) => object(uid)),
            'text/html',
          ),
        ),
    );
    const wrongType = await readSeries(html.client);
    expect(codeOf(wrongType.error)).toBe('dicomweb-missing-instances');
    expect(new Set(wrongType.warnings)).toEqual(new Set(['dicomweb-part-dropped']));
    const junk = await archive((_, response) => void response.writeHead(200, multipartType).end(multipart([Buffer.from('junk')])));
    expect(codeOf((await readSeries(junk.client)).error)).toBe('dicomweb-missing-instances');
  });

  test('an HTML page with 200 is dicomweb-unexpected-type at once', async () => {
    const { client, server } = await archive((_, response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'));
    expect(codeOf((await readSeries(client)).error)).toBe('dicomweb-unexpected-type');
    expect(server.asked).toHaveLength(1);
  });

  test.each([406, 400])('status %i for transfer-syntax=* leads to one request without it, and it is said', async (status) => {
    const { client } = await archive((asked, response) => {
      if (asked.headers.accept?.includes('transfer-syntax') === true) response.writeHead(status).end();
      else withSeries(uids.map((uid) => object(uid)))(asked, response);
    });
    const { got, warnings, error } = await readSeries(client);
    expect(error).toBeNull();
    expect(got).toEqual(uids);
    expect(warnings).toEqual(['dicomweb-transcoded']);
  });

  test('an instance over the byte limit is missing with its reason, the others come', async () => {
    const big = object(uids[1] as Uid, { pad: 'x'.repeat(5000) });
    const answer: Answerer = (asked, response) => {
      const objects = [object(uids[0] as Uid), big, object(uids[2] as Uid)];
      const one = uids.indexOf(instanceOf(asked) as Uid);
      response.writeHead(200, multipartType).end(multipart(one < 0 ? objects : objects.slice(one, one + 1)));
    };
    const { client } = await archive(answer, undefined, { maxPartBytes: 1000 });
    const { got, error } = await readSeries(client);
    expect(got).toEqual([uids[0], uids[2]]);
    expect(codeOf(error)).toBe('dicomweb-missing-instances');
    expect(String(error)).toContain('a part exceeds 1000 bytes');
  });

  test('a 401 is tried once more with a new token', async () => {
    let value = 'old';
    const renew = () => {
      value = 'new';
      return true;
    };
    const token = (origin: string): Token => ({ origin, header: async () => `Bearer ${value}`, renew });
    const { client } = await archive((asked, response) => {
      if (asked.headers.authorization === 'Bearer new') withSeries(uids.map((uid) => object(uid)))(asked, response);
      else response.writeHead(401).end();
    }, token);
    expect((await readSeries(client)).got).toEqual(uids);
  });

  test('a token goes nowhere else: a redirect is refused and a BulkDataURI is never followed', async () => {
    const decoy = await serve((_, response) => void response.end('x'));
    alsoClose(decoy);
    const { client } = await archive(
      (asked, response) => {
        if (instanceOf(asked) !== null) response.writeHead(302, { location: decoy.origin }).end();
        else json(response, pageOf(asked, [{ ...hit(study), '00080061': { vr: 'CS', BulkDataURI: `${decoy.origin}/bulk` } }]));
      },
      (origin) => bearerToken(origin, 'T'),
    );
    expect((await client.searchStudies({ patientId: 'P1' })).found).toHaveLength(1);
    expect(codeOf((await readSeries(client, uids.slice(0, 1))).error)).toBe('net-redirect-refused');
    expect(decoy.connections()).toBe(0);
  });

  test('leaving early ends the answer', async () => {
    const { client } = await archive((_, response) => {
      response.writeHead(200, multipartType).write(multipart([object(uids[0] as Uid), object(uids[1] as Uid)]).subarray(0, -5));
    });
    for await (const one of client.retrieve(study, series, uids)) {
      expect(one.uids.instance).toBe(uids[0]);
      break;
    }
  });
});
