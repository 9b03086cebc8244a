/**
 * QIDO-RS hits -> Study, Series, Instance.
 *
 * The identity is what the archive says, with the site's default issuer where it gives none (QIDO answers mostly leave the issuer out).
 *
 * Source: PS3.18 tables 10.6.1-5 (attributes by level); PS3.6 for the tags.
 */
import type { Identity } from '#domain/patient.ts';
import { type Instance, mostFrames, type Series, type Study } from '#domain/study.ts';
import { type Dataset, dateAt, integerAt, nameAt, sexAt, sideAt, textAt, textsAt, timeAt, uidAt } from './json.ts';

export const tags = {
  specificCharacterSet: '00080005',
  sopClass: '00080016',
  sopInstance: '00080018',
  studyDate: '00080020',
  studyTime: '00080030',
  accession: '00080050',
  modality: '00080060',
  modalitiesInStudy: '00080061',
  studyDescription: '00081030',
  seriesDescription: '0008103E',
  patientName: '00100010',
  patientId: '00100020',
  issuer: '00100021',
  birthDate: '00100030',
  sex: '00100040',
  bodyPart: '00180015',
  studyUid: '0020000D',
  seriesUid: '0020000E',
  seriesNumber: '00200011',
  instanceNumber: '00200013',
  laterality: '00200060',
  numberOfInstances: '00201208',
  numberOfFrames: '00280008',
} as const;

/** Asked for at each level beyond what an archive gives by itself. */
export const studyFields = [
  tags.studyDescription,
  tags.issuer,
  tags.modalitiesInStudy,
  tags.birthDate,
  tags.sex,
  tags.patientName,
  tags.numberOfInstances,
];
export const seriesFields = [tags.seriesDescription, tags.bodyPart, tags.laterality, tags.seriesNumber];
export const instanceFields = [tags.numberOfFrames, tags.instanceNumber];

function identityOf(hit: Dataset, defaultIssuer: string | null): Identity {
  const value = textAt(hit, tags.patientId);
  return {
    identifiers: value === null ? [] : [{ system: textAt(hit, tags.issuer) ?? defaultIssuer, value }],
    birthDate: dateAt(hit, tags.birthDate),
    name: nameAt(hit, tags.patientName),
    sex: sexAt(hit, tags.sex),
  };
}

/** Null without a usable Study Instance UID. Regions are derived from the series' body parts elsewhere (domain/regions.ts). */
export function studyOf(hit: Dataset, defaultIssuer: string | null): Study | null {
  const uid = uidAt(hit, tags.studyUid);
  if (uid === null) return null;
  return {
    uid,
    identity: identityOf(hit, defaultIssuer),
    date: dateAt(hit, tags.studyDate),
    time: timeAt(hit, tags.studyTime),
    accession: textAt(hit, tags.accession),
    modalities: textsAt(hit, tags.modalitiesInStudy),
    description: textAt(hit, tags.studyDescription),
    regions: [],
    side: null,
    series: [],
    imagingStudy: null,
    basedOn: [],
    report: null,
  };
}

export function seriesOf(hit: Dataset): Series | null {
  const uid = uidAt(hit, tags.seriesUid);
  const modality = textAt(hit, tags.modality);
  if (uid === null || modality === null) return null;
  return {
    uid,
    modality,
    number: integerAt(hit, tags.seriesNumber),
    description: textAt(hit, tags.seriesDescription),
    bodyPart: textAt(hit, tags.bodyPart),
    side: sideAt(hit, tags.laterality),
    instances: [],
  };
}

/** A single-frame object has no NumberOfFrames: 1. Null also for more frames than can be. */
export function instanceOf(hit: Dataset): Instance | null {
  const uid = uidAt(hit, tags.sopInstance);
  const sopClass = uidAt(hit, tags.sopClass);
  const frames = Math.max(integerAt(hit, tags.numberOfFrames) ?? 1, 1);
  if (uid === null || sopClass === null || frames > mostFrames) return null;
  return { uid, sopClass, number: integerAt(hit, tags.instanceNumber), frames };
}

/** The study with its series; modalities of the series win over ModalitiesInStudy, the side is what all known series agree on. */
export function withSeries(study: Study, series: readonly Series[]): Study {
  const known = new Set(series.flatMap((one) => one.side ?? []));
  const [side = null] = known;
  const modalities = [...new Set(series.map((one) => one.modality))];
  return { ...study, series, side: known.size === 1 ? side : null, modalities: modalities.length === 0 ? study.modalities : modalities };
}
