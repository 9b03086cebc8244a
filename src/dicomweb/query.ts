/**
 * What is asked of QIDO-RS, and whether a hit is really an answer to it.
 *
 * Archives ignore keys that they do not know, match PatientID without case, and read an empty value as "all". So an empty key is never
 * sent and every hit is compared with every key that was sent.
 *
 * Source: PS3.18 8.3.4, 10.6; PS3.4 C.2.2.2 (matching).
 */
import { WetreadError } from '#domain/errors.ts';
import type { Uid } from '#domain/uid.ts';
import { tags } from './describe.ts';
import { type Dataset, dateAt, textAt, textsAt } from './json.ts';

export interface StudyQuery {
  /** PatientID as the archive has it, matched byte by byte. */
  readonly patientId?: string;
  /** Issuer that a hit must not contradict; it is compared, not sent (it is no mandatory key). */
  readonly issuer?: string;
  readonly studyUid?: Uid;
  readonly accession?: string;
  /** One DICOM modality of the study. */
  readonly modality?: string;
  /** YYYY-MM-DD, inclusive. */
  readonly from?: string;
  readonly to?: string;
  /** Hits that are enough; then no further page is asked for. */
  readonly atMost?: number;
}

/** One key as it is sent, and the comparison of a hit with it. */
export interface Key {
  readonly name: string;
  readonly value: string;
  readonly matches: (hit: Dataset) => boolean;
  /** Set where a hit that fails may be one that differs in letter case only: the archive did use the key. */
  readonly matchesWithoutCase?: (hit: Dataset) => boolean;
}

/** False for a value that QIDO cannot ask for literally: archives read an empty one as "all", and the others as wildcard or list. */
export function isSearchable(value: string): boolean {
  return value.trim() !== '' && !/[*?\\]/.test(value);
}

function checked(name: string, value: string): string {
  const text = value.trim();
  if (!isSearchable(text)) {
    throw new WetreadError(
      'request-malformed',
      `QIDO key ${name}: found ${text === '' ? 'an empty value' : 'a wildcard or list'}, expected one value`,
      {
        hint: 'archives read an empty value as "all patients"',
      },
    );
  }
  return text;
}

function equal(name: string, tag: string, given: string): Key {
  const value = checked(name, given);
  return {
    name,
    value,
    matches: (hit) => textAt(hit, tag) === value,
    matchesWithoutCase: (hit) => textAt(hit, tag)?.toLowerCase() === value.toLowerCase(),
  };
}

function dateRange(from: string | undefined, to: string | undefined): Key {
  const [first, last] = [from ?? '', to ?? ''];
  for (const date of [first, last]) {
    if (date !== '' && !/^\d{4}-\d{2}-\d{2}$/.test(date)) {
      throw new WetreadError('request-malformed', `QIDO key StudyDate: found ${JSON.stringify(date)}, expected YYYY-MM-DD`);
    }
  }
  const compact = (date: string): string => date.replaceAll('-', '');
  return {
    name: 'StudyDate',
    value: `${compact(first)}-${compact(last)}`,
    matches: (hit) => {
      const date = dateAt(hit, tags.studyDate);
      return date !== null && (first === '' || date >= first) && (last === '' || date <= last);
    },
  };
}

/** @throws request-malformed for an empty value, a wildcard, or no key at all */
export function keysOf(query: StudyQuery): readonly Key[] {
  const keys: Key[] = [];
  if (query.patientId !== undefined) keys.push(equal('PatientID', tags.patientId, query.patientId));
  if (query.studyUid !== undefined) keys.push(equal('StudyInstanceUID', tags.studyUid, query.studyUid));
  if (query.accession !== undefined) keys.push(equal('AccessionNumber', tags.accession, query.accession));
  if (query.modality !== undefined) {
    const value = checked('ModalitiesInStudy', query.modality);
    // An archive that leaves the attribute out of its answer cannot be checked here; the series say it.
    keys.push({
      name: 'ModalitiesInStudy',
      value,
      matches: (hit) => textsAt(hit, tags.modalitiesInStudy).length === 0 || textsAt(hit, tags.modalitiesInStudy).includes(value),
    });
  }
  if (query.from !== undefined || query.to !== undefined) keys.push(dateRange(query.from, query.to));
  if (keys.length === 0)
    throw new WetreadError('request-malformed', 'QIDO: found no key, expected at least one: it would ask for all studies');
  return keys;
}

/** True when the hit names an issuer and it is another one. */
export function foreignIssuer(query: StudyQuery, hit: Dataset): boolean {
  const issuer = textAt(hit, tags.issuer);
  return query.issuer !== undefined && issuer !== null && issuer !== query.issuer;
}
