import { expect, test } from 'vitest';
import { patientOf } from '#gather/patient.ts';

const patient = {
  resourceType: 'Patient',
  id: 'p1',
  identifier: [{ system: 'urn:mrn', value: '1' }, { system: 'urn:mrn', use: 'old', value: '0' }, { system: 'urn:mrn' }],
  name: [
    { use: 'maiden', family: 'Schneider', given: ['Anna'] },
    { use: 'anonymous', family: 'Nobody' },
    { use: 'official', family: 'Weber', given: ['Anna', 'Maria'] },
    { text: 'Annie W' },
    { use: 'usual' },
  ],
  gender: 'female',
  birthDate: '1960-05-01',
};

test('the official name is the name, the others are former ones, an anonymous or empty one is none', () => {
  const { identity } = patientOf(patient);
  expect(identity.name).toEqual({ family: 'Weber', given: ['Anna', 'Maria'] });
  expect(identity.formerNames).toEqual([
    { family: 'Annie W', given: [] },
    { family: 'Schneider', given: ['Anna'] },
  ]);
});

test('an identifier that is no longer used, or has no value, is none', () => {
  expect(patientOf(patient).identity.identifiers).toEqual([{ system: 'urn:mrn', value: '1' }]);
});

test('an unknown gender is not said', () => {
  expect(patientOf({ ...patient, gender: 'unknown' }).identity.sex).toBeNull();
  expect(patientOf({ resourceType: 'Patient', id: 'p' }).identity).toEqual({
    identifiers: [],
    birthDate: null,
    name: null,
    sex: null,
    formerNames: [],
  });
});

test.each([null, 'x', {}, { resourceType: 'Patient' }, { resourceType: 'Group', id: 'p' }])('%j is fhir-bad-answer', (resource) => {
  expect(() => patientOf(resource)).toThrow(expect.objectContaining({ code: 'fhir-bad-answer' }));
});
