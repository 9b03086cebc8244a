/**
 * What an SR takes over from the study's own headers, checked against each value's VR.
 *
 * Real headers are dirty: a type 2 value that breaks its VR is written empty with a warning, never cut or repaired; a study whose UID is
 * invalid gets no SR. What may be empty and what not: PS3.3 C.7.1.1, C.7.2.1. VRs: PS3.5 6.2.
 */
import type { Warning } from '#domain/errors.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Uid } from '#domain/uid.ts';
import { isUid } from '#domain/uid.ts';

/** Values of an instance of the subject study as they stand in its header, DICOM form; null = absent. */
export interface SrHeader {
  readonly studyInstanceUid: string | null;
  readonly patientName: string | null;
  readonly patientId: string | null;
  readonly issuerOfPatientId: string | null;
  readonly patientBirthDate: string | null;
  readonly patientSex: string | null;
  readonly studyDate: string | null;
  readonly studyTime: string | null;
  readonly studyId: string | null;
  readonly accessionNumber: string | null;
  readonly referringPhysicianName: string | null;
  /** `+HHMM` or `-HHMM`: the zone of all dates and times in the study, null = the header does not say. */
  readonly timezoneOffsetFromUtc: string | null;
}

/** Names of the header's values and the VR that each is held to. */
const rules = {
  patientName: ['PatientName', isPersonName],
  patientId: ['PatientID', (text: string) => isText(text, 64)],
  patientBirthDate: ['PatientBirthDate', isDate],
  patientSex: ['PatientSex', (text: string) => /^[MFO]$/.test(text)],
  studyDate: ['StudyDate', isDate],
  studyTime: ['StudyTime', isTime],
  studyId: ['StudyID', (text: string) => isText(text, 16)],
  accessionNumber: ['AccessionNumber', (text: string) => isText(text, 16)],
  referringPhysicianName: ['ReferringPhysicianName', isPersonName],
} as const satisfies Partial<Record<keyof SrHeader, readonly [string, (text: string) => boolean]>>;

export interface CleanHeader {
  readonly studyUid: Uid;
  /** Keyword -> value of every type 2 attribute of patient and study, '' where unknown or dirty. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Minutes east of UTC, null = the header does not say. */
  readonly offsetMinutes: number | null;
  readonly warnings: readonly Warning[];
}

/**
 * @param expected UID of the study that the draft is about
 * @throws study-uid-invalid when the header's UID is missing, malformed or another study's
 */
export function cleanHeader(header: SrHeader, expected: Uid): CleanHeader {
  const studyUid = trimmed(header.studyInstanceUid);
  if (!isUid(studyUid) || studyUid !== expected) {
    throw new WetreadError(
      'study-uid-invalid',
      `StudyInstanceUID of the drafted study: found ${JSON.stringify(studyUid.slice(0, 80))}, expected ${expected}`,
      { hint: 'No structured report can be stored under this study; correct its UID in the archive.' },
    );
  }
  const warnings: Warning[] = [];
  const attributes: Record<string, string> = {};
  for (const [name, [keyword, fits]] of Object.entries(rules)) {
    // Object.entries widens the keys of `rules`; every one of them is a member of SrHeader by its satisfies check.
    const value = trimmed(header[name as keyof typeof rules]);
    attributes[keyword] = value === '' || fits(value) ? value : '';
    if (attributes[keyword] !== value) {
      warnings.push({
        code: 'sr-header-emptied',
        message: `${keyword} of the study breaks its value representation; the report's is empty.`,
      });
    }
  }
  const issuer = trimmed(header.issuerOfPatientId);
  if (issuer !== '' && isText(issuer, 64)) attributes.IssuerOfPatientID = issuer;
  const offset = trimmed(header.timezoneOffsetFromUtc);
  const offsetMinutes = minutesOf(offset);
  if (offsetMinutes !== null) attributes.TimezoneOffsetFromUTC = offset;
  return { studyUid, attributes, offsetMinutes, warnings };
}

/** Padding (spaces, a final NUL) is no part of a value (PS3.5 6.2). */
function trimmed(text: string | null): string {
  return text === null ? '' : text.replace(/[ \0]+$/, '').replace(/^ +/, '');
}

function isText(text: string, limit: number): boolean {
  return [...text].length <= limit && !/[\\\p{Cc}]/u.test(text);
}

function isPersonName(text: string): boolean {
  const groups = text.split('=');
  return groups.length <= 3 && groups.every((group) => isText(group, 64) && group.split('^').length <= 5);
}

function isDate(text: string): boolean {
  const match = /^(\d{4})(\d{2})(\d{2})$/.exec(text);
  if (match === null) return false;
  const date = new Date(Date.UTC(Number(match[1]), Number(match[2]) - 1, Number(match[3])));
  return date.getUTCMonth() === Number(match[2]) - 1 && date.getUTCDate() === Number(match[3]);
}

function isTime(text: string): boolean {
  return /^([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?$/.test(text);
}

function minutesOf(offset: string): number | null {
  const match = /^([+-])(\d{2})([0-5]\d)$/.exec(offset);
  if (match === null || offset === '-0000') return null;
  const minutes = Number(match[2]) * 60 + Number(match[3]);
  const signed = match[1] === '-' ? -minutes : minutes;
  // PS3.3 C.12.1.1.8: -1200 to +1400.
  return signed >= -720 && signed <= 840 ? signed : null;
}
