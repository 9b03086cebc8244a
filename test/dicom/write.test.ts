import { describe, expect, it } from 'vitest';
import { film, filmBytes } from './fixture.ts';

describe('writePart10', () => {
  it('writes the same bytes twice', () => {
    expect(filmBytes()).toEqual(filmBytes());
  });

  it('writes a file that our own reader reads back, text inside sequences included', () => {
    const file = film({ ReferencedStudySequence: [], ProcedureCodeSequence: [{ CodeMeaning: 'Erguß 胸部' }] });
    expect(file.transferSyntax).toBe('1.2.840.10008.1.2.1');
    expect(file.header.text('PatientName')).toBe('Müller^Anna Maria');
    expect(file.header.number('Rows')).toBe(3);
    expect(file.pixelData?.kind).toBe('native');
    expect(file.meta.text('MediaStorageSOPInstanceUID')).toBe('2.25.3');
  });

  it('a value that cannot be encoded is coded', () => {
    expect(() => filmBytes({ Rows: 'abc' })).toThrow(expect.objectContaining({ code: 'dicom-malformed' }));
  });
});
