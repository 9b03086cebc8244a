/**
 * Who and what a header says: identity, study, series and instance facts. Unknown is null.
 *
 * Real headers are dirty: "11111111" is no birth date, an empty PatientID no identifier. What is malformed is unknown, never repaired.
 * Source: PS3.3 C.7.1.1, C.7.2.1, PS3.5 6.2 (DA, TM, PN).
 */
import type { Side } from '#domain/order.ts';
import type { Identity } from '#domain/patient.ts';
import type { Header } from './header.ts';

export function identityOf(header: Header): Identity {
  const id = header.text('PatientID');
  return {
    identifiers: id === null ? [] : [{ system: issuerOf(header), value: id }],
    birthDate: dateOf(header.text('PatientBirthDate')),
    name: nameOf(header.text('PatientName')),
    sex: sexOf(header.text('PatientSex')),
  };
}

/** A universal issuer (ISO OID or URI) as FHIR writes it, else the local issuer's text. */
function issuerOf(header: Header): string | null {
  const universal = header.items('IssuerOfPatientIDQualifiersSequence')[0];
  const entity = universal?.text('UniversalEntityID') ?? null;
  const type = universal?.text('UniversalEntityIDType') ?? null;
  if (entity !== null && type === 'ISO') return `urn:oid:${entity}`;
  if (entity !== null && type === 'URI') return entity;
  return header.text('IssuerOfPatientID');
}

/** First component group of a PN: family^given^middle. Null when nothing is left. */
function nameOf(text: string | null): Identity['name'] {
  const [family = '', given = '', middle = ''] = (text?.split('=')[0] ?? '').split('^').map((part) => part.trim());
  const names = `${given} ${middle}`.split(/\s+/).filter(Boolean);
  return family === '' && names.length === 0 ? null : { family: family || null, given: names };
}

function sexOf(text: string | null): Identity['sex'] {
  if (text === 'M') return 'male';
  if (text === 'F') return 'female';
  return text === 'O' ? 'other' : null;
}

/** DA (also the old form yyyy.mm.dd) -> YYYY-MM-DD; null for impossible dates, 1111-11-11 included, which stands for "unknown". */
export function dateOf(text: string | null): string | null {
  const match = /^(\d{4})\.?(\d{2})\.?(\d{2})$/.exec(text ?? '');
  if (match === null) return null;
  const date = `${match[1]}-${match[2]}-${match[3]}`;
  const parsed = new Date(`${date}T00:00:00Z`);
  const valid = !Number.isNaN(parsed.getTime()) && parsed.toISOString().startsWith(date);
  return valid && date >= '1850-01-01' ? date : null;
}

/** TM -> HH:MM:SS, missing parts as 00; null when it is no time. */
export function timeOf(text: string | null): string | null {
  const match = /^([01]\d|2[0-3]):?([0-5]\d)?:?([0-5]\d|60)?(\.\d{1,6})?$/.exec(text ?? '');
  return match === null ? null : `${match[1]}:${match[2] ?? '00'}:${match[3] ?? '00'}`;
}

/** Laterality of image, then series. */
export function sideOf(header: Header): Side | null {
  const text = header.text('FrameLaterality') ?? header.text('ImageLaterality') ?? header.text('Laterality');
  if (text === 'L') return 'left';
  if (text === 'R') return 'right';
  return text === 'B' ? 'bilateral' : null;
}

/** Study-level facts of one instance; a study is the agreement of its instances. */
export interface StudyFacts {
  readonly identity: Identity;
  /** YYYY-MM-DD. */
  readonly date: string | null;
  /** HH:MM:SS. */
  readonly time: string | null;
  readonly accession: string | null;
  readonly description: string | null;
  readonly modality: string;
  readonly seriesNumber: number | null;
  readonly seriesDescription: string | null;
  readonly bodyPart: string | null;
  readonly side: Side | null;
  readonly view: string | null;
  readonly instanceNumber: number | null;
}

export function studyFactsOf(header: Header): StudyFacts {
  return {
    identity: identityOf(header),
    date: dateOf(header.text('StudyDate')),
    time: timeOf(header.text('StudyTime')),
    accession: header.text('AccessionNumber'),
    description: header.text('StudyDescription'),
    modality: header.text('Modality') ?? 'OT',
    seriesNumber: header.label('SeriesNumber'),
    seriesDescription: header.text('SeriesDescription'),
    bodyPart: header.text('BodyPartExamined'),
    side: sideOf(header),
    view: header.text('ViewPosition'),
    instanceNumber: header.label('InstanceNumber'),
  };
}
