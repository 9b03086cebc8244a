import { afterEach, describe, expect, test } from 'vitest';
import { openDicomweb } from '#dicomweb/client.ts';
import { compared } from '#dicomweb/store.ts';
import { type Uid, uidOf } from '#domain/uid.ts';
import { openNeighbour } from '#net/neighbour.ts';
import { type Answerer, json, serve } from '../net/servers.ts';
import { alsoClose, archive, closeAll, codeFrom, multipart, multipartType, object, seriesUid, study, uids } from './archive.ts';

afterEach(closeAll);

describe('STOW-RS', () => {
  const bytes = object(uids[0] as Uid);
  const referenced = (uid: string, more: object = {}) => ({
    '00081199': { vr: 'SQ', Value: [{ '00081155': { vr: 'UI', Value: [uid] }, ...more }] },
  });
  const failed = (uid: string, reason: number) => ({
    '00081198': { vr: 'SQ', Value: [{ '00081155': { vr: 'UI', Value: [uid] }, '00081197': { vr: 'US', Value: [reason] } }] },
  });

  /** Answers a store with `status` and `body`, and reads back `stored`. */
  function storing(status: number, body: object, stored: Buffer = bytes): Answerer {
    return (asked, response) => {
      if (asked.method === 'POST') json(response, body, status);
      else response.writeHead(200, multipartType).end(multipart([stored]));
    };
  }

  test('is proven by the read-back', async () => {
    const { client, server } = await archive(storing(200, referenced(uids[0] as string)));
    expect(await client.store(bytes)).toMatchObject({ equal: 'bytes' });
    expect(server.asked[0]?.url).toBe(`/dicom-web/studies/${study}`);
    expect(server.asked[0]?.body).toContain(bytes.toString());
    expect(server.asked[0]?.headers['content-type']).toContain('multipart/related; type="application/dicom"');
  });

  test.each([
    ['200 without our UID', 200, referenced(uidOf('else'))],
    ['200 with nothing', 200, {}],
    ['202 that failed', 202, failed(uids[0] as string, 0xa700)],
    ['409', 409, failed(uids[0] as string, 272)],
    ['400', 400, {}],
    ['503', 503, {}],
  ])('%s is dicomweb-store-failed', async (_, status, body) => {
    const { client } = await archive(storing(status, body));
    expect(await codeFrom(client.store(bytes))).toBe('dicomweb-store-failed');
  });

  test('the reason is said in words, and Retry-After is a hint', async () => {
    const { client } = await archive((_, response) => json(response, failed(uids[0] as string, 42752), 503, { 'retry-after': '30' }));
    await expect(client.store(bytes)).rejects.toMatchObject({
      message: expect.stringContaining('out of resources (A700H)'),
      hint: expect.stringContaining('30'),
    });
  });

  test.each([273, 45070])('"already there" (%i) is a success when the same is stored, a conflict when not', async (reason) => {
    const same = await archive(storing(409, failed(uids[0] as string, reason)));
    expect(await same.client.store(bytes)).toMatchObject({ equal: 'bytes' });
    const other = await archive(storing(409, failed(uids[0] as string, reason), object(uids[0] as Uid, { other: 1 })));
    expect(await codeFrom(other.client.store(bytes))).toBe('delivery-conflict');
  });

  test('a rewritten preamble or file meta is equal by data set, another data set is not', () => {
    const meta = (version: string): Buffer => {
      const element = Buffer.concat([Buffer.from('\x02\x00\x13\x00SH', 'latin1'), Buffer.from([version.length, 0]), Buffer.from(version)]);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(element.length);
      return Buffer.concat([Buffer.from('DICM\x02\x00\x00\x00UL\x04\x00', 'latin1'), length, element]);
    };
    const file = (preamble: number, version: string, data: string) =>
      Buffer.concat([Buffer.alloc(128, preamble), meta(version), Buffer.from(data)]);
    const sent = file(1, 'WETREAD1', 'data set');
    expect(compared(sent, file(1, 'WETREAD1', 'data set'))).toBe('bytes');
    expect(compared(sent, file(0, 'ARCHIVE_20', 'data set'))).toBe('data-set');
    expect(compared(sent, file(0, 'ARCHIVE_20', 'data sex'))).toBeNull();
    expect(compared(sent, Buffer.from('data set'))).toBeNull();
    expect(compared(Buffer.alloc(0), Buffer.from('x'))).toBeNull();
  });

  test('an archive that rewrites the preamble is believed by the data set, one that keeps older bytes under the UID is not', async () => {
    const part10 = (preamble: number, data: string) => {
      const uid = Buffer.from('DICM\x02\x00\x00\x00UL\x04\x00\x00\x00\x00\x00', 'latin1');
      return Buffer.concat([Buffer.alloc(128, preamble), uid, Buffer.from(data)]);
    };
    const storingPart10 = async (kept: Buffer) => {
      const server = await serve(storing(200, referenced(uids[0] as string), kept));
      const neighbour = openNeighbour({ name: 'PACS', origins: [server.origin] });
      alsoClose(server);
      alsoClose(neighbour);
      const readUids = () => ({ study, series: seriesUid, instance: uids[0] as Uid, sopClass: uidOf('class') });
      const roots = { qido: server.origin, wado: server.origin, stow: server.origin };
      return openDicomweb({ roots, neighbour, token: null, readUids, defaultIssuer: null }).store(part10(1, 'the data set'));
    };
    expect(await storingPart10(part10(0, 'the data set'))).toMatchObject({ equal: 'data-set' });
    expect(await codeFrom(storingPart10(part10(1, 'old data set')))).toBe('delivery-conflict');
  });

  test('a warning of the archive is kept', async () => {
    const { client } = await archive(storing(202, referenced(uids[0] as string, { '00081196': { vr: 'US', Value: [45056] } })));
    expect((await client.store(bytes)).warnings).toEqual([{ code: 'dicomweb-store-warning', message: expect.stringContaining('B000H') }]);
  });

  test('401 and 403 are dicomweb-unauthorised', async () => {
    for (const status of [401, 403]) {
      const { client } = await archive(storing(status, {}));
      expect(await codeFrom(client.store(bytes))).toBe('dicomweb-unauthorised');
    }
  });

  test('an object that is acknowledged and not found again is dicomweb-store-failed', async () => {
    const { client } = await archive((asked, response) => {
      if (asked.method === 'POST') json(response, referenced(uids[0] as string));
      else response.writeHead(404).end();
    });
    expect(await codeFrom(client.store(bytes))).toBe('dicomweb-store-failed');
  });

  test('one byte more is another object', async () => {
    const { client } = await archive(storing(200, referenced(uids[0] as string), Buffer.concat([bytes, Buffer.from(' ')])));
    expect(await codeFrom(client.store(bytes))).toBe('delivery-conflict');
  });
});
