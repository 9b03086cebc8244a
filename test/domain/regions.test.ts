import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { reportCodeOf, reportCodes } from '#domain/codes.ts';
import { overlapOf, regionIds, regionsOfCode, regionsOfOrder, regionsOfStudy, regionsOfTerm, regionsOfText } from '#domain/regions.ts';

const sct = (code: string) => ({ system: 'http://snomed.info/sct', code, display: null });
const loinc = (code: string, display: string | null = null) => ({ system: 'http://loinc.org', code, display });
const empty = { sites: [], terms: [], codes: [], texts: [] };

describe('one source', () => {
  test.each(['51185008', '816094009', '261179002'])('SNOMED %s is the chest', (code) =>
    expect(regionsOfCode(sct(code))).toEqual(['chest']),
  );
  test('a compound is a set', () => expect(regionsOfCode(sct('416775004'))).toEqual(['chest', 'abdomen', 'pelvis']));
  test.each([
    ['CHEST', ['chest']],
    ['WHOLE BODY', [...regionIds].filter((id) => id !== 'breast')],
    ['C-SPINE', ['cervical-spine']],
    ['Thorax', ['chest']],
    ['PARTIALBODY', []],
    ['', []],
  ])('the term %j is %j', (term, regions) => expect(regionsOfTerm(term)).toEqual(regions));
  test.each([
    ['XR Chest PA and Lateral', ['chest']],
    ['MRI thoracic spine', ['thoracic-spine']],
    ['CT Chest and Abdomen and Pelvis', ['chest', 'abdomen', 'pelvis']],
    ['Fuß', []],
    ['e+1', []],
    ['clavicular plating', []],
  ])('the words of %j are %j', (text, regions) => expect(regionsOfText(text)).toEqual(regions));
  test('the code of another system is not read', () => expect(regionsOfCode({ ...sct('51185008'), system: 'urn:x' })).toEqual([]));
});

describe('several sources', () => {
  test('the first that speaks is taken when the others do not contradict', () => {
    const facts = { ...empty, sites: [sct('51185008')], texts: ['CT chest and abdomen'] };
    expect(regionsOfStudy(facts)).toEqual({ regions: ['chest'], disagreement: null });
  });
  test('a disagreement keeps both and says so', () => {
    const { regions, disagreement } = regionsOfOrder({ ...empty, sites: [sct('69536005')], codes: [loinc('24627-2')] });
    expect(regions).toEqual(['head', 'chest']);
    expect(disagreement).toContain('bodySite says head; the code says chest');
  });
  test('the LOINC table is believed before a wrong display', () => {
    expect(regionsOfOrder({ ...empty, codes: [loinc('30746-2', 'CT head')] }).regions).toEqual(['chest']);
  });
  test('nothing said is no region', () => expect(regionsOfOrder(empty)).toEqual({ regions: [], disagreement: null }));
});

test('overlap is symmetric, and a set overlaps itself fully', () => {
  const set = fc.uniqueArray(fc.constantFrom(...regionIds), { maxLength: 4 });
  fc.assert(
    fc.property(set, set, (a, b) => {
      expect(overlapOf(a, b)).toBe(overlapOf(b, a));
      expect(overlapOf(a, a)).toBe(a.length === 0 ? 'unknown' : 'same');
    }),
  );
});

test('every region of the report-code table is a region, and a code is found only under LOINC', () => {
  for (const row of reportCodes) for (const region of row.regions) expect(regionIds).toContain(region);
  expect(reportCodeOf(loinc('36643-5'))?.display).toBe('XR Chest 2 Views');
  expect(reportCodeOf({ system: 'http://x.example', code: '36643-5', display: null })).toBeNull();
});
