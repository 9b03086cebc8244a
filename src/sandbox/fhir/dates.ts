/**
 * FHIR dates as half-open ranges of milliseconds, and the comparison of two ranges under a search prefix.
 *
 * "1970-05" is the whole month, so it never equals a recorded "1970". A time without a zone is read as UTC, the sandbox's own zone.
 * Source: FHIR R4 datatypes (date, dateTime, instant), search 3.1.1.4.4 and 3.1.1.4.5 (prefixes, date).
 */

/** [low, high) in milliseconds since 1970-01-01 UTC. */
export interface Range {
  readonly low: number;
  readonly high: number;
}

/** The open ends of a Period: the first and last instants that a JavaScript Date can hold. */
export const beginning = -8.64e15;
export const end = 8.64e15;

const form = /^(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?(Z|[+-]\d{2}:\d{2})?)?)?)?$/;

function zoneMs(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const minutes = Number(zone.slice(1, 3)) * 60 + Number(zone.slice(4, 6));
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000;
}

/** Range of a partial date; null when it is none (month 13, 30 February, hour 25). Minutes without seconds are allowed, as search allows them. */
export function dateRange(text: string): Range | null {
  const match = form.exec(text);
  if (match === null) return null;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const [y, m, d] = [Number(year), Number(month ?? 1), Number(day ?? 1)];
  const [h, min, s] = [Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0)];
  if (m < 1 || m > 12 || h > 23 || min > 59 || s > 59) return null;
  // setUTCFullYear, because Date.UTC takes years below 100 for 19xx.
  const at = (yy: number, mm: number, dd: number): Date => {
    const date = new Date(0);
    date.setUTCFullYear(yy, mm - 1, dd);
    return date;
  };
  const midnight = at(y, m, d);
  if (midnight.getUTCMonth() !== m - 1 || midnight.getUTCDate() !== d) return null;
  if (month === undefined) return { low: midnight.getTime(), high: at(y + 1, 1, 1).getTime() };
  if (day === undefined) return { low: midnight.getTime(), high: at(y, m + 1, 1).getTime() };
  if (hour === undefined) return { low: midnight.getTime(), high: at(y, m, d + 1).getTime() };
  const ms = fraction === undefined ? 0 : Number(fraction.padEnd(3, '0').slice(0, 3));
  const low = midnight.getTime() + ((h * 60 + min) * 60 + s) * 1000 + ms - zoneMs(zone);
  const width =
    second === undefined ? 60_000 : fraction === undefined ? 1000 : fraction.length === 1 ? 100 : fraction.length === 2 ? 10 : 1;
  return { low, high: low + width };
}

export const prefixes = ['eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb'] as const;
export type Prefix = (typeof prefixes)[number];

/** Where the range of the search value (:low, :high) meets the range of the resource (low, high), as SQL over columns `low` and `high`. */
export const prefixSql: Readonly<Record<Prefix, string>> = {
  eq: '(low >= :low AND high <= :high)',
  ne: '(low < :low OR high > :high)',
  gt: 'high > :high',
  lt: 'low < :low',
  ge: '(high > :high OR (low >= :low AND high <= :high))',
  le: '(low < :low OR (low >= :low AND high <= :high))',
  sa: 'low >= :high',
  eb: 'high <= :low',
};
