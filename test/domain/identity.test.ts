import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkIdentity, type GateContext, samePerson } from '#domain/identity.ts';
import type { Identity } from '#domain/patient.ts';

const system = 'https://hospital.example/mrn';
const context: GateContext = {
  defaultIssuer: 'HOSP',
  issuers: [{ issuer: 'HOSP', system }],
  namedByImagingStudy: false,
  accessionMatches: false,
};
const record: Identity = {
  identifiers: [{ system, value: '4711' }],
  birthDate: '1960-02-29',
  name: { family: 'Müller-Weiß', given: ['Anna', 'Maria'] },
  sex: 'female',
};
const nothing: Identity = { identifiers: [{ system: null, value: '4711' }], birthDate: null, name: null, sex: null };

function verdict(header: Partial<Identity>, changes: Partial<GateContext> = {}, patient: Partial<Identity> = {}) {
  return checkIdentity({ ...record, ...patient }, { ...nothing, ...header }, { ...context, ...changes }).verdict;
}

describe('PatientID and issuer', () => {
  test('a header without issuer takes the default issuer of the PACS', () => {
    expect(verdict({ birthDate: '1960-02-29' })).toBe('agree');
  });
  test('without issuer and without default nothing is shown, whatever else agrees', () => {
    expect(verdict({ birthDate: '1960-02-29', sex: 'female' }, { defaultIssuer: null })).toBe('insufficient');
  });
  test('the same value of another issuer is not the patient', () => {
    expect(verdict({ identifiers: [{ system: 'OTHER', value: '4711' }], birthDate: '1960-02-29' })).toBe('insufficient');
  });
  test('another value of the same issuer is a conflict', () => {
    expect(verdict({ identifiers: [{ system: 'HOSP', value: '4712' }], birthDate: '1960-02-29' })).toBe('conflict');
  });
  test('a header without PatientID is insufficient even when an ImagingStudy names it', () => {
    expect(verdict({ identifiers: [], birthDate: '1960-02-29' }, { namedByImagingStudy: true })).toBe('insufficient');
  });
  test('an empty PatientID is no PatientID', () => {
    expect(verdict({ identifiers: [{ system: null, value: ' ' }] }, { namedByImagingStudy: true })).toBe('insufficient');
  });
});

describe('a PatientID alone needs a witness', () => {
  test('alone it is insufficient', () => expect(verdict({})).toBe('insufficient'));
  test('an ImagingStudy of the patient is one', () => expect(verdict({}, { namedByImagingStudy: true })).toBe('agree'));
  test("the order's accession number is one", () => expect(verdict({}, { accessionMatches: true })).toBe('agree'));
  test('a name that repeats the PatientID is no witness', () => {
    expect(verdict({ name: { family: '4711', given: [] } }, {}, { name: { family: '4711', given: [] } })).toBe('insufficient');
  });
  test('a sex of O is no witness and no contradiction', () => {
    expect(verdict({ sex: 'other' }, {}, { sex: 'other' })).toBe('insufficient');
    expect(verdict({ sex: 'other' }, { namedByImagingStudy: true })).toBe('agree');
  });
});

describe('birth dates', () => {
  test.each(['1960', '1960-02', '1960-02-29'])('%s agrees with 1960-02-29', (birthDate) => expect(verdict({ birthDate })).toBe('agree'));
  test.each(['1961', '1960-03', '1960-02-28'])('%s contradicts 1960-02-29', (birthDate) => expect(verdict({ birthDate })).toBe('conflict'));
  test.each(['1111-11-111', '60', '', '1960-13-01'])('%j is unknown', (birthDate) => expect(verdict({ birthDate })).toBe('insufficient'));
});

describe('names', () => {
  const agrees: [string, string, string[]][] = [
    ['case and diacritics', 'MUELLER-WEISS', ['ANNA']],
    ['umlaut without dots', 'Muller Weiss', ['Anna']],
    ['one half of a double name', 'Weiß', ['Anna']],
    ['order of the parts', 'Anna', ['Müller', 'Weiß']],
    ['initials', 'Müller-Weiß', ['A', 'M']],
    ['no caret', 'Anna Müller-Weiß', []],
    ['family name only', 'Müller-Weiß', []],
    ['short form', 'Müller-Weiß', ['Ann']],
  ];
  test.each(agrees)('%s agrees', (_, family, given) => expect(verdict({ name: { family, given } })).toBe('agree'));

  const contradicts: [string, string, string[]][] = [
    ['a sister', 'Müller-Weiß', ['Brigitte']],
    ['another family', 'Schneider', ['Anna']],
    ['another person', 'Okafor', ['John']],
  ];
  test.each(contradicts)('%s contradicts', (_, family, given) => expect(verdict({ name: { family, given } })).toBe('conflict'));

  test('another family name with the same given name and full birth date is no contradiction', () => {
    expect(verdict({ name: { family: 'Schneider', given: ['Anna'] }, birthDate: '1960-02-29' })).toBe('agree');
    expect(verdict({ name: { family: 'Schneider', given: ['Anna'] }, birthDate: '1960' })).toBe('conflict');
  });
  test('a maiden name of the record agrees', () => {
    const formerNames = [{ family: 'Schneider', given: ['Anna'] }];
    expect(verdict({ name: { family: 'Schneider', given: ['Anna'] } }, {}, { formerNames })).toBe('agree');
  });
  test('one typing error neither agrees nor contradicts', () => {
    const name = { family: 'Schnieder', given: ['Anna'] };
    expect(verdict({ name }, {}, { name: { family: 'Schneider', given: ['Anna'] } })).toBe('insufficient');
  });
  test.each(['REMOVED', 'Anonymous', 'XXXX', 'unknown'])('the placeholder %s says nothing', (family) => {
    expect(verdict({ name: { family, given: [] } })).toBe('insufficient');
  });
  test('another script cannot be compared', () => expect(verdict({ name: { family: '山田', given: ['太郎'] } })).toBe('insufficient'));
});

const surname = fc.constantFrom('Abara', 'Bjornsson', 'Cortez', 'Dimitrov', 'Eklund', 'Ferraro');
const given = fc.constantFrom('Ida', 'Otto', 'Ruth', 'Vera', 'Yusuf', 'Zeno');
const person: fc.Arbitrary<Identity> = fc.record({
  identifiers: fc.constantFrom('1', '2', '3').map((value) => [{ system, value }]),
  birthDate: fc.option(fc.constantFrom('1950', '1950-01', '1950-01-02', '1951-03-04'), { nil: null }),
  name: fc.option(fc.record({ family: surname, given: fc.tuple(given) }), { nil: null }),
  sex: fc.option(fc.constantFrom('male' as const, 'female' as const), { nil: null }),
});
const anyContext = fc
  .record({ namedByImagingStudy: fc.boolean(), accessionMatches: fc.boolean() })
  .map((flags) => ({ ...context, ...flags }));
const runs = { numRuns: 3000 };

describe('for thousands of pairs', () => {
  test('the verdict is the same from either side', () => {
    fc.assert(
      fc.property(person, person, anyContext, (a, b, gate) => {
        expect(checkIdentity(a, b, gate).verdict).toBe(checkIdentity(b, a, gate).verdict);
      }),
      runs,
    );
  });
  test('a contradiction in anything never agrees', () => {
    fc.assert(
      fc.property(person, person, anyContext, (a, b, gate) => {
        const dates = a.birthDate !== null && b.birthDate !== null;
        const common = Math.min(a.birthDate?.length ?? 0, b.birthDate?.length ?? 0);
        const different =
          a.identifiers[0]?.value !== b.identifiers[0]?.value ||
          (dates && a.birthDate?.slice(0, common) !== b.birthDate?.slice(0, common)) ||
          (a.sex !== null && b.sex !== null && a.sex !== b.sex) ||
          (a.name !== null && b.name !== null && a.name.given[0] !== b.name.given[0]);
        fc.pre(different);
        expect(checkIdentity(a, b, gate).verdict).toBe('conflict');
      }),
      runs,
    );
  });
  test('what one side does not say never makes a conflict', () => {
    fc.assert(
      fc.property(person, anyContext, fc.subarray(['birthDate', 'name', 'sex'] as const), (a, gate, unsaid) => {
        const b = { ...a, ...Object.fromEntries(unsaid.map((field) => [field, null])) };
        expect(checkIdentity(a, b, gate).verdict).not.toBe('conflict');
        expect(checkIdentity(b, a, gate).verdict).not.toBe('conflict');
      }),
      runs,
    );
  });
  test('no message holds a value of the patient', () => {
    fc.assert(
      fc.property(person, person, anyContext, (a, b, gate) => {
        const { message } = checkIdentity(a, b, gate);
        for (const value of [a.birthDate, a.name?.family, a.name?.given[0]]) {
          if (value !== null && value !== undefined) expect(message).not.toContain(value);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('two headers of one study', () => {
  test('are of one person when nothing contradicts', () => expect(samePerson(nothing, { ...nothing, birthDate: '1960' })).toBe(true));
  test('are of two when PatientID or birth date differ', () => {
    expect(samePerson(nothing, { ...nothing, identifiers: [{ system: null, value: '9' }] })).toBe(false);
    expect(samePerson({ ...nothing, birthDate: '1960' }, { ...nothing, birthDate: '1970' })).toBe(false);
  });
});
