import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { boundaryOf, readParts } from '#dicomweb/multipart.ts';
import { available, sharedPath } from '../../setup/require.ts';
import { binary, film, startPacs, type TestPacs } from './start.ts';

let pacs: TestPacs;
const files = { 'a.dcm': film('1.2.3.1.1'), 'b.dcm': film('1.2.3.1.2', { InstanceNumber: 2 }) };
const anySyntax = 'multipart/related; type="application/dicom"; transfer-syntax=*';
const instance = '/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1';

beforeAll(async () => {
  pacs = await startPacs(files);
});
afterAll(() => pacs.close());

async function parts(path: string, accept: string, from = pacs) {
  const { body, headers } = await from.http.get(path).set('Accept', accept).buffer(true).parse(binary).expect(200);
  const found: { type: string; bytes: Buffer }[] = [];
  async function* stream() {
    yield body as Buffer;
  }
  const limits = { maxPartBytes: 1e8, maxParts: 1000 };
  for await (const part of readParts(stream(), boundaryOf(headers['content-type'] ?? null, path), limits, path)) {
    found.push({ type: part.headers.get('content-type') ?? '', bytes: Buffer.from(part.bytes) });
  }
  return found;
}

describe('WADO-RS', () => {
  it('gives the stored bytes of a study, a series and an instance', async () => {
    for (const path of ['/studies/1.2.3', '/studies/1.2.3/series/1.2.3.1']) {
      const found = await parts(path, anySyntax);
      expect(found.map((part) => part.bytes.equals(files['a.dcm']) || part.bytes.equals(files['b.dcm']))).toEqual([true, true]);
    }
    expect((await parts(instance, anySyntax))[0]?.bytes.equals(files['a.dcm'])).toBe(true);
    expect((await parts(instance, '*/*'))[0]?.type).toBe('application/dicom; transfer-syntax=1.2.840.10008.1.2.1');
  });

  it('what is not here is 404, another form than it has is 406', async () => {
    await pacs.http.get('/studies/9.9').expect(404);
    await pacs.http.get('/studies/1.2.3/series/9').expect(404);
    await pacs.http.get('/studies/2.5/series/1.2.3.1/instances/1.2.3.1.1').expect(404);
    await pacs.http.get('/nonsense').expect(404);
    await pacs.http.get(instance).set('Accept', 'text/html').expect(406);
    await pacs.http
      .get(instance)
      .set('Accept', 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.90')
      .expect(406);
    await pacs.http.get(`${instance}/metadata`).set('Accept', 'application/dicom+xml').expect(406);
  });

  it('metadata are the header in DICOM JSON with the pixels as a URI, which gives them', async () => {
    const { body } = await pacs.http
      .get(`${instance}/metadata`)
      .expect(200)
      .expect('Content-Type', /application\/dicom\+json/);
    expect(body).toHaveLength(1);
    expect(body[0]['00100010']).toEqual({ vr: 'PN', Value: [{ Alphabetic: 'Doe^Ann' }] });
    expect(body[0]['00200013']).toEqual({ vr: 'IS', Value: [1] });
    expect(body[0]['00280010']).toEqual({ vr: 'US', Value: [4] });
    expect(body[0]['00080090']).toEqual({ vr: 'PN' });
    expect(body[0]['00020010']).toBeUndefined();
    const uri: string = body[0]['7FE00010'].BulkDataURI;
    const [bulk] = await parts(uri.slice(pacs.base.length), 'multipart/related; type="application/octet-stream"');
    expect(bulk?.bytes.readUInt16LE(30)).toBe(15);
    await pacs.http.get(`${instance}/bulkdata/00420011`).expect(404);
  });

  it('frames come as they lie, their numbers from 1', async () => {
    const [frame] = await parts(`${instance}/frames/1`, 'multipart/related; type="application/octet-stream"');
    expect(frame?.type).toBe('application/octet-stream');
    expect(frame?.bytes).toHaveLength(32);
    await pacs.http.get(`${instance}/frames/2`).expect(404);
    await pacs.http.get(`${instance}/frames/0`).expect(400);
    await pacs.http.get(`${instance}/frames/x`).expect(400);
    await pacs.http.get(`${instance}/frames/1`).set('Accept', 'multipart/related; type="image/jp2"').expect(406);
  });

  it('rendered is a picture of the frame in the type that is accepted', async () => {
    for (const [accept, format] of [
      ['image/png', 'png'],
      ['image/jpeg', 'jpeg'],
      ['*/*', 'png'],
    ] as const) {
      const { body } = await pacs.http.get(`${instance}/rendered`).set('Accept', accept).buffer(true).parse(binary).expect(200);
      expect(await sharp(body).metadata()).toMatchObject({ format, width: 4, height: 4 });
    }
    await pacs.http.get(`${instance}/frames/1/rendered`).set('Accept', 'image/png').expect(200);
    await pacs.http.get(`${instance}/rendered`).set('Accept', 'image/gif').expect(406);
    await pacs.http.get(`${instance}/rendered?window=1,2,linear`).expect(400);
  });
});

describe.skipIf(!available('shared'))('WADO-RS of a JPEG 2000 series', () => {
  const bytes = available('shared') ? readFileSync(sharedPath('data/dicom/ct-abdomen/00.dcm')) : Buffer.alloc(0);
  let compressed: TestPacs;
  let path = '';
  beforeAll(async () => {
    compressed = await startPacs({ 'a.dcm': bytes });
    const [one] = compressed.archive.all();
    path = `/studies/${one?.study}/series/${one?.series}/instances/${one?.instance}`;
  });
  afterAll(() => compressed.close());

  it('is not transcoded: 406 for the default syntax, the stored bytes for any', async () => {
    const { body } = await compressed.http.get(path).set('Accept', 'multipart/related; type="application/dicom"').expect(406);
    expect(body.message).toContain('1.2.840.10008.1.2.4.90');
    expect((await parts(path, anySyntax, compressed))[0]?.bytes.equals(bytes)).toBe(true);
  });

  it('gives the codestream of a frame with its media type', async () => {
    const [frame] = await parts(`${path}/frames/1`, 'multipart/related; type=application/octet-stream; transfer-syntax=*', compressed);
    expect(frame?.type).toBe('image/jp2; transfer-syntax=1.2.840.10008.1.2.4.90');
    expect(frame?.bytes.subarray(0, 4).toString('hex')).toBe('ff4fff51');
    await compressed.http.get(`${path}/frames/1`).set('Accept', 'multipart/related; type="application/octet-stream"').expect(406);
  });
});
