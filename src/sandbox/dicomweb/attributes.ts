/**
 * The one table of what QIDO-RS can match and return, by level. A key that is not here is refused with 400, never ignored.
 *
 * Source: PS3.18 tables 10.6.1-5 and 10.6.3-3 to 10.6.3-5, with what wetread also asks for (issuer, body part, laterality, view).
 */
export type Level = 'study' | 'series' | 'instance';

export interface Attribute {
  readonly tag: string;
  readonly keyword: string;
  readonly vr: string;
  readonly level: Level;
  /** Returned without being asked for by includefield. */
  readonly always: boolean;
  /** Made from the index, not read from a header. */
  readonly computed: boolean;
}

type Row = readonly [tag: string, keyword: string, vr: string, level: Level, how?: 'asked' | 'computed'];

const rows: readonly Row[] = [
  ['00080005', 'SpecificCharacterSet', 'CS', 'study'],
  ['00080020', 'StudyDate', 'DA', 'study'],
  ['00080030', 'StudyTime', 'TM', 'study'],
  ['00080050', 'AccessionNumber', 'SH', 'study'],
  ['00080061', 'ModalitiesInStudy', 'CS', 'study', 'computed'],
  ['00080062', 'SOPClassesInStudy', 'UI', 'study', 'computed'],
  ['00080090', 'ReferringPhysicianName', 'PN', 'study'],
  ['00081030', 'StudyDescription', 'LO', 'study', 'asked'],
  ['00081190', 'RetrieveURL', 'UR', 'study', 'computed'],
  ['00100010', 'PatientName', 'PN', 'study'],
  ['00100020', 'PatientID', 'LO', 'study'],
  ['00100021', 'IssuerOfPatientID', 'LO', 'study', 'asked'],
  ['00100030', 'PatientBirthDate', 'DA', 'study'],
  ['00100040', 'PatientSex', 'CS', 'study'],
  ['0020000D', 'StudyInstanceUID', 'UI', 'study'],
  ['00200010', 'StudyID', 'SH', 'study'],
  ['00201206', 'NumberOfStudyRelatedSeries', 'IS', 'study', 'computed'],
  ['00201208', 'NumberOfStudyRelatedInstances', 'IS', 'study', 'computed'],
  ['00080021', 'SeriesDate', 'DA', 'series', 'asked'],
  ['00080060', 'Modality', 'CS', 'series'],
  ['0008103E', 'SeriesDescription', 'LO', 'series'],
  ['00180015', 'BodyPartExamined', 'CS', 'series', 'asked'],
  ['0020000E', 'SeriesInstanceUID', 'UI', 'series'],
  ['00200011', 'SeriesNumber', 'IS', 'series'],
  ['00200060', 'Laterality', 'CS', 'series', 'asked'],
  ['00201209', 'NumberOfSeriesRelatedInstances', 'IS', 'series', 'computed'],
  ['00400244', 'PerformedProcedureStepStartDate', 'DA', 'series'],
  ['00400245', 'PerformedProcedureStepStartTime', 'TM', 'series'],
  ['00080008', 'ImageType', 'CS', 'instance', 'asked'],
  ['00080016', 'SOPClassUID', 'UI', 'instance'],
  ['00080018', 'SOPInstanceUID', 'UI', 'instance'],
  ['00083002', 'AvailableTransferSyntaxUID', 'UI', 'instance', 'computed'],
  ['00185101', 'ViewPosition', 'CS', 'instance', 'asked'],
  ['00200013', 'InstanceNumber', 'IS', 'instance'],
  ['00200062', 'ImageLaterality', 'CS', 'instance', 'asked'],
  ['00280008', 'NumberOfFrames', 'IS', 'instance'],
  ['00280010', 'Rows', 'US', 'instance'],
  ['00280011', 'Columns', 'US', 'instance'],
  ['00280100', 'BitsAllocated', 'US', 'instance'],
];

export const attributes: readonly Attribute[] = rows.map(([tag, keyword, vr, level, how]) => ({
  tag,
  keyword,
  vr,
  level,
  always: how !== 'asked',
  computed: how === 'computed',
}));

const byName = new Map(attributes.flatMap((one) => [[one.tag, one] as const, [one.keyword, one] as const]));

/** By tag (8 hexadecimal digits, any case) or keyword; null = not in the table. */
export function attributeNamed(name: string): Attribute | null {
  return byName.get(name) ?? byName.get(name.toUpperCase()) ?? null;
}

const order: readonly Level[] = ['study', 'series', 'instance'];

/** True when a search at `level` knows an attribute of `other`: its own or one above. */
export function reaches(level: Level, other: Level): boolean {
  return order.indexOf(other) <= order.indexOf(level);
}
