import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { jsonOf, parseDataSet } from '#sandbox/dicomweb/dataset-json.ts';
import { available, sharedPath } from '../../setup/require.ts';
import { film } from './start.ts';

const json = (bytes: Uint8Array) => jsonOf(parseDataSet(bytes), [], (tag) => `bulk/${tag}`);

describe('DICOM JSON', () => {
  it('has numbers as numbers, names in groups, sequences as items, empty values without Value', () => {
    const found = json(
      film('1.2.3', {
        PatientName: 'Yamada^Tarou=山田^太郎=やまだ^たろう',
        PixelSpacing: ['0.5', '0.25'],
        ImageType: ['DERIVED', '', 'X'],
        StudyID: '',
        ProcedureCodeSequence: [{ CodeValue: 'T-1', CodingSchemeDesignator: 'L', CodeMeaning: 'Müll' }],
      }),
    );
    expect(found['00100010']?.Value).toEqual([{ Alphabetic: 'Yamada^Tarou', Ideographic: '山田^太郎', Phonetic: 'やまだ^たろう' }]);
    expect(found['00280030']).toEqual({ vr: 'DS', Value: [0.5, 0.25] });
    expect(found['00080008']?.Value).toEqual(['DERIVED', null, 'X']);
    expect(found['00200010']).toEqual({ vr: 'SH' });
    expect(found['00081032']?.Value).toEqual([
      { '00080100': { vr: 'SH', Value: ['T-1'] }, '00080102': { vr: 'SH', Value: ['L'] }, '00080104': { vr: 'LO', Value: ['Müll'] } },
    ]);
    expect(found['7FE00010']).toEqual({ vr: 'OW', BulkDataURI: 'bulk/7FE00010' });
    expect(Object.keys(found)).toEqual([...Object.keys(found)].sort());
  });

  it('what is no Part 10 file is refused', () => {
    expect(() => parseDataSet(Buffer.from('rubbish'))).toThrow(/DICM/);
    expect(() => parseDataSet(film('1.2.3').subarray(0, 300))).toThrow(/data set/);
  });
});

describe.skipIf(!available('shared'))('DICOM JSON of the reference material', () => {
  it('every file becomes JSON or a coded refusal, and its identity agrees with the manifest', () => {
    const manifest: { dicom: { path: string; sopUID: string | null; patientID: string | null }[] } = JSON.parse(
      readFileSync(sharedPath('data/manifest.json'), 'utf8'),
    );
    let converted = 0;
    for (const { path, sopUID, patientID } of manifest.dicom) {
      if (/dicom\/(broken|jpeg-ls|non-image)\//.test(path)) continue;
      const found = json(readFileSync(sharedPath('data', path)));
      expect(JSON.parse(JSON.stringify(found))).toEqual(found);
      if (sopUID) expect(found['00080018']?.Value?.[0], path).toBe(sopUID);
      if (patientID) expect(found['00100020']?.Value?.[0], path).toBe(patientID);
      converted += 1;
    }
    expect(converted).toBeGreaterThan(300);
    for (const name of readdirSync(sharedPath('data/dicom/broken'))) {
      const bytes = readFileSync(join(sharedPath('data/dicom/broken'), name));
      try {
        expect(json(bytes)).toBeTypeOf('object');
      } catch (error) {
        expect(error, name).toMatchObject({ name: 'WetreadError' });
      }
    }
  });
});
