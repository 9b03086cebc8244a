import { describe, expect, test } from 'vitest';
import type { Order } from '#domain/order.ts';
import { daysBetween, relevanceOf } from '#domain/relevance.ts';
import type { Study } from '#domain/study.ts';
import { parseUid } from '#domain/uid.ts';

const order: Order = {
  reference: 'ServiceRequest/1',
  status: 'draft',
  codes: [],
  text: null,
  modality: 'DX',
  regions: ['chest'],
  side: null,
  reasons: [],
  accession: null,
  encounter: null,
  supportingInfo: [],
};
const study: Study = {
  uid: parseUid('1.2.3'),
  identity: { identifiers: [], birthDate: null, name: null, sex: null },
  date: '2026-11-24',
  time: null,
  accession: null,
  modalities: ['CR'],
  description: null,
  regions: ['chest'],
  side: null,
  series: [],
  imagingStudy: null,
  basedOn: [],
  report: null,
};
const facts = { today: '2026-11-24', named: false, currentEncounter: false };
const score = (a: Partial<Study>, b: Partial<Order> = {}, c: Partial<typeof facts> = {}) =>
  relevanceOf({ ...order, ...b }, { ...study, ...a }, { ...facts, ...c });

describe('the table', () => {
  test.each([
    ['a film of today', {}, {}, 27],
    ['two years old', { date: '2024-11-24' }, {}, 18],
    ['nine years old', { date: '2017-11-24' }, {}, 9],
    ['older', { date: '2000-01-01' }, {}, 4.5],
    ['without a date', { date: null }, {}, 4.5],
    ['dated next month', { date: '2026-12-24' }, {}, 4.5],
    ['dated tomorrow (time zone)', { date: '2026-11-25' }, {}, 27],
    ['a CT of the region', { modalities: ['CT'] }, {}, 18],
    ['an ultrasound', { modalities: ['US'] }, {}, 9],
    ['a neighbour', { regions: ['abdomen'] }, {}, 9],
    ['a set that contains it', { regions: ['chest', 'abdomen', 'pelvis'] }, {}, 18],
    ['no region said', { regions: [] }, {}, 9],
    ['MR after CT', { modalities: ['MR'] }, { modality: 'CT' }, 18],
    ['another region', { regions: ['knee'] }, {}, 0],
    ['a report object', { modalities: ['SR'] }, {}, 0],
    ['a film with its report object', { modalities: ['SR', 'DX'] }, {}, 27],
  ])('%s', (_, a, b, expected) => expect(score(a, b).score).toBe(expected));

  test('the other knee is left out, the other side of a chest is not', () => {
    const knee = { regions: ['knee'], side: 'left' as const };
    expect(score({ regions: ['knee'], side: 'right' }, knee)).toEqual({ score: 0, reasons: ['opposite side (right)'] });
    expect(score({ regions: ['knee'] }, knee).score).toBe(27);
    expect(score({ side: 'right' }, { side: 'left' }).score).toBe(27);
  });
  test('a named study is never left out', () => expect(score({ regions: ['knee'] }, {}, { named: true }).score).toBe(2));
  test('a final report adds one, a preliminary one nothing', () => {
    const report = { reference: 'DiagnosticReport/1', status: 'final', final: true, issued: null, impression: null };
    expect(score({ report }).score).toBe(28);
    expect(score({ report: { ...report, status: 'preliminary', final: false } }).score).toBe(27);
  });
  test('a final report does not bring back another region', () => {
    const report = { reference: 'DiagnosticReport/1', status: 'final', final: true, issued: null, impression: null };
    expect(score({ report, regions: ['knee'] }).score).toBe(0);
  });
  test('the current encounter counts as recent', () => expect(score({ date: null }, {}, { currentEncounter: true }).score).toBe(27));
});

test('reasons are phrases', () => {
  expect(score({ date: '2026-11-12' }).reasons).toEqual(['same region (chest)', 'same modality (CR)', '12 days old']);
  expect(score({ regions: ['knee'] }).reasons).toEqual(['other region (knee)']);
});

test('days between need two full dates', () => {
  expect(daysBetween('2026-03-01', '2026-11-23')).toBe(267);
  expect(daysBetween('2026', '2026-11-24')).toBeNull();
});
