import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { matcherOf } from '#sandbox/dicomweb/match.ts';
import { film, startPacs, type TestPacs } from './start.ts';

let pacs: TestPacs;

beforeAll(async () => {
  pacs = await startPacs({
    'a.dcm': film('1.2.3.1.1'),
    'b.dcm': film('1.2.3.1.2', { InstanceNumber: 2, ViewPosition: 'LL' }),
    'below/c.dcm': film('1.2.3.2.1', { SeriesInstanceUID: '1.2.3.2', SeriesNumber: 2, Modality: 'CR' }),
    'd.dcm': film('2.5.1', {
      StudyInstanceUID: '2.5',
      SeriesInstanceUID: '2.5.9',
      PatientID: 'B2',
      PatientName: 'Müller^Jörg',
      StudyDate: '20261124',
      StudyTime: '083000.5',
      AccessionNumber: 'ACC2',
      IssuerOfPatientID: 'HOSP',
    }),
    'e.dcm': film('2.6.1', { StudyInstanceUID: '2.6', SeriesInstanceUID: '2.6.1', PatientID: 'b2', StudyDate: '', AccessionNumber: '' }),
    'notes.txt': new TextEncoder().encode('no image'),
  });
});
afterAll(() => pacs.close());

async function uids(search: string, tag: string): Promise<string[]> {
  const { body } = await pacs.http
    .get(encodeURI(search))
    .expect(200)
    .expect('Content-Type', /application\/dicom\+json/);
  return body.map((one: Record<string, { Value: string[] }>) => one[tag]?.Value[0]).sort();
}

describe('QIDO-RS finds exactly what matches', () => {
  const studies: readonly (readonly [search: string, found: readonly string[]])[] = [
    ['', ['1.2.3', '2.5', '2.6']],
    ['PatientID=A1', ['1.2.3']],
    ['00100020=A1', ['1.2.3']],
    ['PatientID=B2', ['2.5']],
    ['PatientID=b2', ['2.6']],
    ['PatientID=A', []],
    ['PatientID=?2', ['2.5', '2.6']],
    ['PatientID=*', ['1.2.3', '2.5', '2.6']],
    ['PatientName=doe^ann', ['1.2.3', '2.6']],
    ['PatientName=müll*', ['2.5']],
    ['IssuerOfPatientID=HOSP', ['2.5']],
    ['StudyDate=20260301', ['1.2.3']],
    ['StudyDate=20260302-', ['2.5']],
    ['StudyDate=-20260301', ['1.2.3']],
    ['StudyDate=20260301-20261124', ['1.2.3', '2.5']],
    ['StudyTime=0800-0900', ['2.5']],
    ['StudyInstanceUID=1.2.3,2.6', ['1.2.3', '2.6']],
    ['StudyInstanceUID=1.2', []],
    ['AccessionNumber=ACC?', ['1.2.3', '2.5']],
    ['ModalitiesInStudy=CR', ['1.2.3']],
    ['ModalitiesInStudy=DX&PatientID=A1', ['1.2.3']],
    ['ModalitiesInStudy=CT', []],
    ['NumberOfStudyRelatedInstances=3', ['1.2.3']],
    ['AccessionNumber=.*', []],
  ];
  it.each(studies)('studies?%s', async (search, found) => {
    expect(await uids(`/studies?${search}`, '0020000D')).toEqual(found);
  });

  const deeper: readonly (readonly [search: string, tag: string, found: readonly string[]])[] = [
    ['/studies/1.2.3/series', '0020000E', ['1.2.3.1', '1.2.3.2']],
    ['/studies/1.2.3/series?Modality=CR', '0020000E', ['1.2.3.2']],
    ['/studies/9.9/series', '0020000E', []],
    ['/series?PatientID=A1&Modality=DX', '0020000E', ['1.2.3.1']],
    ['/studies/1.2.3/series/1.2.3.1/instances', '00080018', ['1.2.3.1.1', '1.2.3.1.2']],
    ['/studies/1.2.3/series/1.2.3.1/instances?InstanceNumber=2', '00080018', ['1.2.3.1.2']],
    ['/studies/1.2.3/instances?ViewPosition=LL', '00080018', ['1.2.3.1.2']],
    ['/instances?Modality=CR', '00080018', ['1.2.3.2.1']],
    ['/studies/2.5/series/1.2.3.1/instances', '00080018', []],
  ];
  it.each(deeper)('%s', async (search, tag, found) => expect(await uids(search, tag)).toEqual(found));

  const refused: readonly (readonly [search: string, says: RegExp])[] = [
    ['/studies?Nonsense=1', /Nonsense/],
    ['/studies?00189999=1', /00189999/],
    ['/studies?00400275.00400007=x', /00400275/],
    ['/studies?Modality=DX', /Modality.*series/],
    ['/studies?PatientID=', /PatientID.*everything/],
    ['/studies?StudyDate=2026-03-01', /StudyDate/],
    ['/studies?StudyDate=-', /StudyDate/],
    ['/studies?StudyTime=morning', /StudyTime/],
    ['/instances?Rows=many', /Rows/],
    ['/studies?limit=abc', /limit/],
    ['/studies?limit=-1', /limit/],
  ];
  it.each(refused)('%s is 400 and says why', async (search, says) => {
    expect((await pacs.http.get(search).expect(400)).body.message).toMatch(says);
  });
});

describe('what comes back', () => {
  it('a study has its counts, modalities and URL, and issuer and description only when asked', async () => {
    const { body } = await pacs.http.get('/studies?PatientID=A1').expect(200);
    expect(body[0]['00201206'].Value).toEqual([2]);
    expect(body[0]['00201208'].Value).toEqual([3]);
    expect(body[0]['00080061'].Value).toEqual(['CR', 'DX']);
    expect(body[0]['00081190'].Value).toEqual([`${pacs.base}/studies/1.2.3`]);
    expect(body[0]['00100010'].Value).toEqual([{ Alphabetic: 'Doe^Ann' }]);
    expect(body[0]['00100021']).toBeUndefined();
    const asked = await pacs.http.get('/studies?PatientID=B2&includefield=IssuerOfPatientID&includefield=Unknown').expect(200);
    expect(asked.body[0]['00100021'].Value).toEqual(['HOSP']);
    expect(asked.body[0]['00100010'].Value).toEqual([{ Alphabetic: 'Müller^Jörg' }]);
    const all = await pacs.http.get('/studies/1.2.3/series?includefield=all').expect(200);
    expect(all.body[0]['00180015'].Value).toEqual(['CHEST']);
    expect(all.body[0]['00100020'].Value).toEqual(['A1']);
  });

  it('limit and offset page through everything, with a warning while more remain', async () => {
    const first = await pacs.http.get('/studies?limit=2').expect(200);
    expect(first.headers.warning).toMatch(/^299 .*There are 1 additional results/);
    const second = await pacs.http.get('/studies?limit=2&offset=2').expect(200);
    expect(second.headers.warning).toBeUndefined();
    expect([...first.body, ...second.body]).toHaveLength(3);
    expect((await pacs.http.get('/studies?offset=9').expect(200)).body).toEqual([]);
  });

  it('fuzzymatching is answered with the warning of the standard', async () => {
    const { headers } = await pacs.http.get('/studies?PatientID=A1&fuzzymatching=true').expect(200);
    expect(headers.warning).toMatch(/fuzzymatching parameter is not supported/);
  });

  it('files that are no DICOM are reported and left out', () => {
    expect(pacs.archive.refused.map((one) => one.path.endsWith('notes.txt'))).toEqual([true]);
  });

  it('a token that is not active is refused, none is needed from this machine', async () => {
    await pacs.http.get('/studies').set('Authorization', 'Bearer forged').expect(401);
    await pacs.http.get('/studies').set('Authorization', 'Basic eDp5').expect(401);
    const { headers } = await pacs.http.get('/studies').set('Origin', 'http://viewer.example').expect(200);
    expect(headers['access-control-allow-origin']).toBe('*');
  });
});

describe('matching', () => {
  it('a text without wildcards matches itself and nothing else', () => {
    const text = fc.string({ minLength: 1 }).filter((value) => !/[*?]/.test(value));
    fc.assert(fc.property(text, text, (wanted, value) => matcherOf('x', 'LO', wanted)(value) === (wanted === value)));
  });

  it('replacing characters by ? and tails by * still matches', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z.()[\]]{1,12}$/), fc.nat(), (value, at) => {
        const cut = at % value.length;
        const one = `${value.slice(0, cut)}?${value.slice(cut + 1)}`;
        return (
          matcherOf('x', 'LO', one)(value) && matcherOf('x', 'LO', `${value.slice(0, cut)}*`)(value) && matcherOf('x', 'LO', '*')(value)
        );
      }),
    );
  });

  it('a date range holds exactly the dates between its ends', () => {
    const date = fc
      .date({ min: new Date('1950-01-01'), max: new Date('2050-01-01'), noInvalidDate: true })
      .map((d) => d.toISOString().slice(0, 10).replaceAll('-', ''));
    fc.assert(
      fc.property(date, date, date, (low, high, value) => {
        const hit = matcherOf('x', 'DA', `${low}-${high}`)(value);
        return hit === (low <= value && value <= high) && matcherOf('x', 'DA', `${low}-`)(value) === low <= value;
      }),
    );
    expect(matcherOf('x', 'DA', '19970424')('1997.04.24')).toBe(true);
    expect(matcherOf('x', 'DA', '-20300101')('')).toBe(false);
  });
});
