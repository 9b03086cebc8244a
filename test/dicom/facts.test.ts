import { describe, expect, it } from 'vitest';
import { dateOf, identityOf, studyFactsOf, timeOf } from '#dicom/facts.ts';
import { film } from './fixture.ts';

describe('identityOf', () => {
  it('gives what the header says', () => {
    expect(identityOf(film({ IssuerOfPatientID: 'HOSPITAL' }).header)).toEqual({
      identifiers: [{ system: 'HOSPITAL', value: 'P1' }],
      birthDate: '1950-02-03',
      name: { family: 'Müller', given: ['Anna', 'Maria'] },
      sex: 'female',
    });
  });

  it('writes a universal issuer as FHIR does', () => {
    const { header } = film({ IssuerOfPatientIDQualifiersSequence: [{ UniversalEntityID: '1.2.3', UniversalEntityIDType: 'ISO' }] });
    expect(identityOf(header).identifiers).toEqual([{ system: 'urn:oid:1.2.3', value: 'P1' }]);
  });

  it('leaves unknown what is empty, impossible or another term', () => {
    const { header } = film({ PatientID: '', PatientName: [{ Alphabetic: '^^' }], PatientBirthDate: '11111111', PatientSex: 'X' });
    expect(identityOf(header)).toEqual({ identifiers: [], birthDate: null, name: null, sex: null });
  });
});

describe('dates and times', () => {
  it('read DA in both forms and nothing impossible', () => {
    expect(['19970424', '1997.04.24', '19970231', '11111111', '1997', 'abc', '', null].map(dateOf)).toEqual([
      '1997-04-24',
      '1997-04-24',
      null,
      null,
      null,
      null,
      null,
      null,
    ]);
  });

  it('read TM with missing parts', () => {
    expect(['101112.123456', '1011', '10', '10:11:12', '251112', null].map(timeOf)).toEqual([
      '10:11:12',
      '10:11:00',
      '10:00:00',
      '10:11:12',
      null,
      null,
    ]);
  });
});

describe('studyFactsOf', () => {
  it('takes a series or instance number that is no number as unknown', () => {
    expect(studyFactsOf(film({ SeriesNumber: '' }).header)).toMatchObject({
      date: '2026-01-02',
      time: '10:11:12',
      accession: 'A1',
      seriesNumber: null,
      instanceNumber: 7,
    });
  });
});
