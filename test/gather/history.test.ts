import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { historyOf } from '#gather/history.ts';
import { patientOf } from '#gather/patient.ts';
import { available, sharedPath } from '../setup/require.ts';
import { order, patient } from './fixtures.ts';

const subject = { reference: 'Patient/p1' };
const code = (text: string) => ({ text });
const status = (value: string) => ({ coding: [{ code: value }] });
const history = (...resources: object[]) => historyOf(resources, { patient, order: { ...order, reasons: [] }, today: '2026-11-24' }, []);
const texts = (...resources: object[]) => history(...resources).items.map(({ text }) => text);

describe('problems', () => {
  const condition = (id: string, text: string, fields: object = {}) => ({
    resourceType: 'Condition',
    id,
    subject,
    code: code(text),
    clinicalStatus: status('active'),
    ...fields,
  });
  test('of the region come first, then other active ones, then past ones of the region, social ones last', () => {
    expect(
      texts(
        condition('1', 'Full-time employment (finding)'),
        condition('2', 'Osteoarthritis of hip'),
        condition('3', 'Pneumonia', { clinicalStatus: status('resolved') }),
        condition('4', 'Pulmonary emphysema (disorder)'),
      ),
    ).toEqual(['Pulmonary emphysema', 'Osteoarthritis of hip', 'Pneumonia (past)', 'Full-time employment']);
  });
  test('resolved ones of another region are left out and counted', () => {
    const { items, leftOut } = history(...['1', '2'].map((id) => condition(id, 'Sprain of ankle', { clinicalStatus: status('resolved') })));
    expect(items).toEqual([]);
    expect(leftOut).toEqual([{ what: '2 problems of the history', reason: 'resolved, of another region' }]);
  });
  test.each(['entered-in-error', 'refuted'])('%s is dropped', (verification) => {
    expect(texts(condition('1', 'Asthma', { verificationStatus: status(verification) }))).toEqual([]);
  });
  test('the same problem twice is one, the newest', () => {
    const { items } = history(
      condition('1', 'Asthma', { onsetDateTime: '2001-01-01' }),
      condition('2', 'Asthma', { onsetDateTime: '2020-05-06T01:00:00Z' }),
    );
    expect(items).toEqual([{ kind: 'problem', text: 'Asthma', date: '2020-05-06', source: 'Condition/2' }]);
  });
});

describe('medications', () => {
  const request = (id: string, fields: object) => ({ resourceType: 'MedicationRequest', id, subject, status: 'active', ...fields });
  test('are named in place, contained, in another resource or by the reference', () => {
    expect(
      texts(
        request('1', { medicationCodeableConcept: { coding: [{ display: 'Apixaban' }] } }),
        request('2', {
          medicationReference: { reference: '#m' },
          contained: [{ resourceType: 'Medication', id: 'm', code: code('Bisoprolol') }],
        }),
        request('3', { medicationReference: { reference: 'Medication/m3' } }),
        { resourceType: 'Medication', id: 'm3', code: code('Cisplatin') },
        request('4', { medicationReference: { reference: 'Medication/gone', display: 'Digoxin' } }),
      ),
    ).toEqual(['Apixaban', 'Bisoprolol', 'Cisplatin', 'Digoxin']);
  });
  test('that are stopped or nameless are left out and counted', () => {
    const { items, leftOut } = history(
      request('1', { status: 'stopped', medicationCodeableConcept: code('A') }),
      request('2', { medicationReference: { reference: 'Medication/x' } }),
    );
    expect(items).toEqual([]);
    expect(leftOut.map(({ reason }) => reason)).toEqual(['no longer taken', 'its name was not given']);
  });
});

describe('allergies', () => {
  const allergy = (id: string, text: string, fields: object = {}) => ({
    resourceType: 'AllergyIntolerance',
    id,
    patient: subject,
    code: code(text),
    ...fields,
  });
  test('no known allergy is shown', () => expect(texts(allergy('1', 'No known allergy'))).toEqual(['No known allergy']));
  test('contrast comes first, with its reaction', () => {
    const reaction = [{ manifestation: [code('hives')] }];
    expect(texts(allergy('1', 'Fish'), allergy('2', 'Iodinated contrast media', { reaction }))).toEqual([
      'Iodinated contrast media (hives)',
      'Fish',
    ]);
  });
  test('of another patient are put aside', () => {
    for (const reference of ['Patient/p2', 'https://elsewhere.example/fhir/Patient/p1']) {
      const { items, warnings } = history(allergy('1', 'Fish', { patient: { reference } }));
      expect(items).toEqual([]);
      expect(warnings).toMatchObject([{ code: 'resource-of-another-patient' }]);
    }
  });
});

describe('results', () => {
  const observation = (id: string, name: string, value: number, date: string, fields: object = {}) => ({
    resourceType: 'Observation',
    id,
    subject,
    status: 'final',
    category: [status('laboratory')],
    code: code(name),
    valueQuantity: { value, unit: 'mg/dL' },
    effectiveDateTime: date,
    ...fields,
  });
  test('are the newest of each name', () => {
    const { items } = history(observation('1', 'Creatinine', 1.123456789, '2026-10-01'), observation('2', 'Creatinine', 2, '2026-01-01'));
    expect(items).toEqual([{ kind: 'result', text: 'Creatinine 1.12346 mg/dL', date: '2026-10-01', source: 'Observation/1' }]);
  });
  test('are named without property and specimen', () => {
    expect(texts(observation('1', 'Hemoglobin [Mass/volume] in Blood', 15, '2026-10-01'))).toEqual(['Hemoglobin 15 mg/dL']);
  });
  test('flagged ones come first', () => {
    const high = { interpretation: [status('H')] };
    expect(texts(observation('1', 'Creatinine', 1, '2026-10-02'), observation('2', 'Troponin I', 9, '2026-10-01', high))).toEqual([
      'Troponin I 9 mg/dL (H)',
      'Creatinine 1 mg/dL',
    ]);
  });
  test('of more than a year ago, and those no radiologist asks for, are left out and counted', () => {
    const { items, leftOut } = history(observation('1', 'Creatinine', 1, '2020-01-01'), observation('2', 'Calcium', 1, '2026-10-01'));
    expect(items).toEqual([]);
    expect(leftOut).toHaveLength(2);
  });
});

test('what cannot be read is counted, never thrown', () => {
  const { items } = history(
    { resourceType: 'Condition', code: 7 },
    { resourceType: 'Procedure', id: [], code: code('Lobectomy'), subject: 'x' },
  );
  expect(items).toMatchObject([{ kind: 'procedure', text: 'Lobectomy' }]);
});

describe.skipIf(!available('shared'))('synthetic histories of the reference material', () => {
  const names = ['austin-franecki', 'dennis-durgan', 'hong-macejkovic', 'laticia-dibbert', 'louis-erdman', 'martina-murazik'];
  test.each(names)('%s: kinds come in their order, texts are short and carry no semantic tag', (name) => {
    const { entry } = JSON.parse(readFileSync(sharedPath('data/fhir', `${name}.json`), 'utf8'));
    const resources: unknown[] = entry.map((one: { resource: unknown }) => one.resource);
    const own = patientOf(resources.find((one) => (one as { resourceType: string }).resourceType === 'Patient'));
    const { items, warnings } = historyOf(resources, { patient: own, order, today: '2020-01-01' }, []);
    const kinds = ['reason', 'prior-impression', 'problem', 'result', 'medication', 'allergy', 'procedure'];
    const positions = items.map(({ kind }) => kinds.indexOf(kind));
    expect(items.length).toBeGreaterThan(2);
    expect(items.length).toBeLessThan(60);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    for (const { text } of items) expect(text).not.toMatch(/\((disorder|finding)\)$/);
    expect(warnings).toEqual([]);
  });
});
