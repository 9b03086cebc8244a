import { DatabaseSync } from 'node:sqlite';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { dateRange, type Prefix, prefixSql, type Range } from '#sandbox/fhir/dates.ts';

const db = new DatabaseSync(':memory:');

function matches(prefix: Prefix, search: Range, resource: Range): boolean {
  const sql = prefixSql[prefix].replaceAll(':low', String(search.low)).replaceAll(':high', String(search.high));
  const row = db.prepare(`SELECT ${sql} AS hit FROM (SELECT ? AS low, ? AS high)`).get(resource.low, resource.high);
  return row?.hit === 1;
}

const twoDigits = (from: number, to: number) => fc.integer({ min: from, max: to }).map((n) => String(n).padStart(2, '0'));
const day = fc
  .date({ min: new Date('1900-01-01'), max: new Date('2100-01-01'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));
const zone = fc.constantFrom('Z', '+00:00', '+05:30', '-11:00', '+14:00');
const instant = fc
  .tuple(day, twoDigits(0, 23), twoDigits(0, 59), twoDigits(0, 59), zone)
  .map(([date, h, m, s, z]) => `${date}T${h}:${m}:${s}${z}`);
const partial = fc.oneof(
  day.map((date) => date.slice(0, 4)),
  day.map((date) => date.slice(0, 7)),
  day,
  instant,
);
const range = partial.map((text) => dateRange(text) ?? { low: 1, high: 0 });

describe('a partial date is the range of all moments that it may mean', () => {
  it('every valid date has a range, and a longer text of it lies within', () => {
    fc.assert(
      fc.property(instant, (text) => {
        const [year, month, date, second] = [4, 7, 10, text.length].map((length) => dateRange(text.slice(0, length)));
        if (year == null || month == null || date == null || second == null) return false;
        return (
          year.low <= month.low && month.high <= year.high && month.low <= date.low && date.high <= month.high && second.low < second.high
        );
      }),
    );
  });

  it('an instant is the same in every zone', () => {
    fc.assert(
      fc.property(instant, (text) => {
        const found = dateRange(text);
        return found !== null && found.low === Date.parse(text) && found.high === found.low + 1000;
      }),
    );
  });

  it('no text throws, and what is no date has no range', () => {
    fc.assert(fc.property(fc.string(), (text) => dateRange(text) === null || /^\d{4}/.test(text)));
    for (const text of [
      '',
      '70',
      '1970-13',
      '1970-00',
      '1970-02-30',
      '1970-1-1',
      '1970-01-01T24:00Z',
      '1970-01-01T10',
      '1970-01-01 10:00',
      'x1970',
    ]) {
      expect(dateRange(text), text).toBeNull();
    }
    expect(dateRange('2024-02-29')).not.toBeNull();
    expect(dateRange('0070')).toEqual({ low: Date.parse('0070-01-01'), high: Date.parse('0071-01-01') });
  });
});

describe('prefixes', () => {
  const pairs = fc.tuple(range, range);

  it('ne is exactly what eq is not', () => {
    fc.assert(fc.property(pairs, ([search, resource]) => matches('ne', search, resource) !== matches('eq', search, resource)));
  });

  it('ge is gt or eq, le is lt or eq', () => {
    fc.assert(
      fc.property(
        pairs,
        ([s, r]) =>
          matches('ge', s, r) === (matches('gt', s, r) || matches('eq', s, r)) &&
          matches('le', s, r) === (matches('lt', s, r) || matches('eq', s, r)),
      ),
    );
  });

  it('sa and eb exclude each other and imply gt and lt', () => {
    fc.assert(
      fc.property(pairs, ([s, r]) => {
        const [after, before] = [matches('sa', s, r), matches('eb', s, r)];
        return !(after && before) && (!after || matches('gt', s, r)) && (!before || matches('lt', s, r));
      }),
    );
  });

  it('a date equals itself, and a shorter text of it, but not the other way round', () => {
    fc.assert(
      fc.property(day, (text) => {
        const [month, date] = [dateRange(text.slice(0, 7)), dateRange(text)];
        return month !== null && date !== null && matches('eq', date, date) && matches('eq', month, date) && !matches('eq', date, month);
      }),
    );
  });
});
