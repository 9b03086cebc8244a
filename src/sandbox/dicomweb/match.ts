/**
 * Whether an attribute of the index matches a key of a search.
 *
 * Case counts but in names; `*` and `?` only in text; dates and times take ranges; UIDs take lists.
 * Source: PS3.4 C.2.2.2 (single value, list of UID, wildcard, range), PS3.18 8.3.4.1.
 */
import { DicomwebRefusal } from './refusal.ts';

/** Judges one value of an element, in the JSON form of its VR. */
export type Matcher = (value: unknown) => boolean;

const wildcardVrs = new Set(['AE', 'CS', 'LO', 'LT', 'PN', 'SH', 'ST', 'UC', 'UR', 'UT']);

function refuse(name: string, found: string, expected: string): never {
  throw new DicomwebRefusal(400, `${name}: found ${JSON.stringify(found.slice(0, 80))}, expected ${expected}`);
}

/** ACR-NEMA wrote dates with dots and times with colons; archives are searched by the DICOM form. */
function compact(value: unknown): string {
  return String(value).replace(/[.:](?=\d\d)/g, '');
}

function dateMatcher(name: string, wanted: string): Matcher {
  const [low = '', high = low, ...rest] = wanted.split('-');
  const valid = [low, high].every((date) => date === '' || /^\d{8}$/.test(date)) && rest.length === 0 && low + high !== '';
  if (!valid) refuse(name, wanted, 'YYYYMMDD or a range YYYYMMDD-YYYYMMDD with one end open at most');
  return (value) => {
    const date = compact(value);
    return /^\d{8}$/.test(date) && (low === '' || date >= low) && (high === '' || date <= high);
  };
}

function timeMatcher(name: string, wanted: string): Matcher {
  const [low = '', high = low, ...rest] = wanted.split('-').map((time) => time.replace(/[.:]/g, ''));
  if (![low, high].every((time) => /^\d{0,12}$/.test(time)) || rest.length > 0 || low + high === '')
    refuse(name, wanted, 'HHMMSS or a range');
  return (value) => {
    const time = String(value).replace(/[.:]/g, '').padEnd(12, '0');
    return time >= low.padEnd(12, '0') && (high === '' || time <= high.padEnd(12, '9'));
  };
}

function wildcard(pattern: string, ignoreCase: boolean): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`, ignoreCase ? 'isu' : 'su');
}

/** A person's name is searched in each of its groups, trailing empty components left out. */
function nameGroups(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).map((group) => String(group).replace(/\^+$/, ''));
}

/** @throws DicomwebRefusal 400 for a value that the VR cannot be searched by */
export function matcherOf(name: string, vr: string, wanted: string): Matcher {
  if (wanted === '') refuse(name, wanted, 'a value; an empty one would match everything');
  if (vr === 'DA') return dateMatcher(name, wanted);
  if (vr === 'TM') return timeMatcher(name, wanted);
  if (vr === 'UI') {
    const uids = new Set(wanted.split(/[,\\]/));
    return (value) => uids.has(String(value));
  }
  if (wildcardVrs.has(vr)) {
    if (vr === 'PN') {
      const pattern = wildcard(wanted.replace(/\^+$/, ''), true);
      return (value) => nameGroups(value).some((group) => pattern.test(group));
    }
    const pattern = wildcard(wanted, false);
    return (value) => pattern.test(String(value));
  }
  const number = Number(wanted);
  if (!Number.isFinite(number)) refuse(name, wanted, 'a number');
  return (value) => Number(value) === number;
}
