import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openArchive } from '#sandbox/dicomweb/archive.ts';
import { binary, film, startPacs, type TestPacs } from './start.ts';

let pacs: TestPacs;
beforeEach(async () => {
  pacs = await startPacs({ 'a.dcm': film('1.2.3.1.1') });
});
afterEach(() => pacs.close());

const type = 'multipart/related; type="application/dicom"; boundary=edge';

function multipart(parts: readonly Uint8Array[], partType = 'application/dicom'): Buffer {
  const chunks = parts.flatMap((part) => [Buffer.from(`\r\n--edge\r\nContent-Type: ${partType}\r\n\r\n`), Buffer.from(part)]);
  return Buffer.concat([...chunks, Buffer.from('\r\n--edge--\r\n')]);
}

const store = (body: Buffer, path = '/studies', contentType = type) => pacs.http.post(path).set('Content-Type', contentType).send(body);

/** SOP Instance UIDs of ReferencedSOPSequence, and [UID, reason] of FailedSOPSequence. */
function outcome(body: Record<string, { Value?: Record<string, { Value?: unknown[] }>[] }>) {
  const items = (tag: string) => body[tag]?.Value ?? [];
  return {
    stored: items('00081199').map((item) => item['00081155']?.Value?.[0]),
    failed: items('00081198').map((item) => [item['00081155']?.Value?.[0] ?? null, item['00081197']?.Value?.[0]]),
  };
}

describe('STOW-RS', () => {
  it('keeps the bytes as they came, finds them at once and after a restart', async () => {
    // A boundary's text inside pixel data is no boundary.
    const bytes = film('1.2.3.1.7', {
      PixelData: Uint8Array.from(Buffer.from(`\r\n--edgeX${'-'.repeat(23)}`)).buffer,
      ImageComments: '--edge',
    });
    const { body } = await store(multipart([bytes])).expect(200);
    expect(outcome(body)).toEqual({ stored: ['1.2.3.1.7'], failed: [] });
    expect(body['00081190'].Value).toEqual([`${pacs.base}/studies/1.2.3`]);
    expect(body['00081199'].Value[0]['00081190'].Value[0]).toBe(`${pacs.base}/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.7`);
    const path = join(pacs.folder, 'stored/1.2.3/1.2.3.1/1.2.3.1.7.dcm');
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(readdirSync(join(pacs.folder, 'stored'))).toEqual(['1.2.3']);
    const read = await pacs.http
      .get('/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.7')
      .set('Accept', 'multipart/related; type="application/dicom"; transfer-syntax=*')
      .buffer(true)
      .parse(binary)
      .expect(200);
    expect(read.body.includes(Buffer.from(bytes))).toBe(true);
    expect((await openArchive([], join(pacs.folder, 'stored'))).all().map((one) => one.instance)).toEqual(['1.2.3.1.7']);
  });

  it('the same bytes again are a success, other bytes under the UID are refused and the old ones stay', async () => {
    expect(outcome((await store(multipart([film('1.2.3.1.1')])).expect(200)).body).stored).toEqual(['1.2.3.1.1']);
    const { body } = await store(multipart([film('1.2.3.1.1', { PatientID: 'other' })])).expect(409);
    expect(outcome(body)).toEqual({ stored: [], failed: [['1.2.3.1.1', 0x0111]] });
    expect((await pacs.http.get('/studies?PatientID=other')).body).toEqual([]);
  });

  it('each part is judged alone: some stored is 202, none is 409', async () => {
    const mixed = await store(multipart([film('1.2.3.1.8'), Buffer.from('rubbish'), film('1.2.3.1.9').subarray(0, -10)])).expect(202);
    expect(outcome(mixed.body)).toEqual({
      stored: ['1.2.3.1.8'],
      failed: [
        [null, 0xc000],
        [null, 0xc000],
      ],
    });
    await store(multipart([Buffer.from('rubbish')])).expect(409);
    expect(outcome((await store(multipart([film('1.2.3.1.8')], 'text/plain')).expect(409)).body).failed).toEqual([[null, 0xc000]]);
  });

  it('an instance of another study than the URL is refused', async () => {
    const { body } = await store(multipart([film('1.2.3.1.8')]), '/studies/9.9').expect(409);
    expect(outcome(body).failed).toEqual([['1.2.3.1.8', 0xa900]]);
    await store(multipart([film('1.2.3.1.8')]), '/studies/1.2.3').expect(200);
  });

  it('a UID that would leave the folder is refused', async () => {
    await store(multipart([film('../../evil')])).expect(409);
    expect(existsSync(join(pacs.folder, 'evil.dcm'))).toBe(false);
  });

  it('parallel stores of one instance end with one file', async () => {
    const bytes = multipart([film('1.2.3.1.5')]);
    const answers = await Promise.all(Array.from({ length: 5 }, () => store(bytes)));
    expect(answers.map((answer) => answer.status)).toEqual(Array(5).fill(200));
    expect(readdirSync(join(pacs.folder, 'stored/1.2.3/1.2.3.1'))).toEqual(['1.2.3.1.5.dcm']);
  });

  it('of parallel stores of one UID with different bytes one wins and the others are told', async () => {
    const answers = await Promise.all(['A', 'B', 'C'].map((id) => store(multipart([film('1.2.3.1.6', { PatientID: id })]))));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409, 409]);
  });

  const bad: readonly (readonly [what: string, contentType: string, body: Buffer, status: number])[] = [
    ['another content type', 'application/dicom', Buffer.from(film('1.2.3.1.8')), 415],
    ['metadata instead of instances', 'multipart/related; type="application/dicom+json"; boundary=edge', multipart([]), 415],
    ['no boundary', 'multipart/related; type="application/dicom"', multipart([]), 400],
    ['no part', type, multipart([]), 400],
    ['a body that is cut off', type, multipart([film('1.2.3.1.8')]).subarray(0, -20), 400],
    ['an empty body', type, Buffer.alloc(0), 400],
  ];
  it.each(bad)('%s is refused', async (_what, contentType, body, status) => {
    await store(body, '/studies', contentType).expect(status);
  });
});
