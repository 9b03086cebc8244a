/**
 * The patient's studies: what the PACS holds, joined by Study Instance UID with what FHIR says of them.
 *
 * FHIR writes the UID as urn:oid: in an identifier and bare in series.uid, and real data mixes both; the prefix is stripped before comparing.
 * A study that only FHIR knows has no images here and is listed, not used.
 */
import type { Warning } from '#domain/errors.ts';
import type { Evidence } from '#domain/evidence.ts';
import { regionsOfStudy } from '#domain/regions.ts';
import type { Study } from '#domain/study.ts';
import { isUid, uidOfFhir } from '#domain/uid.ts';
import { codesOf, dayOf, hasCode, type ImagingStudyResource, imagingStudyForm, mayBeOf, readAll, relative } from './resources.ts';
import { sideOfCode, sideOfText } from './side.ts';

/** An ImagingStudy that may be used. */
interface ReadImagingStudy {
  readonly uid: string;
  readonly reference: string;
  readonly resource: ImagingStudyResource;
}

export interface ReadImagingStudies {
  readonly studies: readonly ReadImagingStudy[];
  /** UIDs of studies that FHIR calls cancelled or entered in error: they are not used even if the PACS has images. */
  readonly withdrawn: ReadonlyMap<string, string>;
  readonly leftOut: Evidence['leftOut'];
  readonly warnings: readonly Warning[];
}

export interface JoinedStudy {
  readonly study: Study;
  /** An ImagingStudy of this patient names it. */
  readonly named: boolean;
  /** `Encounter/x`, null = not said. */
  readonly encounter: string | null;
}

function uidOf(resource: ImagingStudyResource): string | null {
  const values = resource.identifier.flatMap(({ system, value }) =>
    value !== null && (system === 'urn:dicom:uid' || value.startsWith('urn:oid:')) ? [uidOfFhir(value)] : [],
  );
  return values.find(isUid) ?? null;
}

/** ImagingStudies of the patient by what can be used of them. */
export function imagingStudiesOf(resources: readonly unknown[], patientId: string): ReadImagingStudies {
  const { good, broken } = readAll(imagingStudyForm, 'ImagingStudy', resources);
  const studies: ReadImagingStudy[] = [];
  const withdrawn = new Map<string, string>();
  const leftOut: { what: string; reason: string }[] = [];
  const warnings: Warning[] = [];
  if (broken > 0) warnings.push({ code: 'resource-unreadable', message: `${broken} ImagingStudy could not be read.` });
  for (const resource of good) {
    const reference = `ImagingStudy/${resource.id ?? 'without id'}`;
    const uid = uidOf(resource);
    if (!mayBeOf(resource.subject, patientId)) {
      warnings.push({ code: 'resource-of-another-patient', message: `${reference} is another patient's and was put aside.` });
    } else if (resource.status === 'entered-in-error' || resource.status === 'cancelled') {
      leftOut.push({ what: reference, reason: `its status is ${resource.status}` });
      if (uid !== null) withdrawn.set(uid, resource.status);
    } else if (uid === null || resource.id === null) {
      leftOut.push({ what: reference, reason: 'it carries no Study Instance UID' });
    } else studies.push({ uid, reference, resource });
  }
  return { studies, withdrawn, leftOut, warnings };
}

function accessionIn(resource: ImagingStudyResource): string | null {
  return resource.identifier.find(({ type }) => hasCode(type, 'ACSN'))?.value ?? null;
}

function sideOf(pacs: Study, resource: ImagingStudyResource | null): Study['side'] {
  const coded = (resource?.series ?? []).flatMap(({ laterality }) =>
    laterality?.code ? [sideOfCode({ ...laterality, code: laterality.code })] : [],
  );
  const sides = new Set([pacs.side, ...pacs.series.map(({ side }) => side), ...coded].filter((side) => side !== null));
  if (sides.size === 0) return sideOfText(pacs.description ?? '');
  const [only] = sides;
  return sides.size === 1 && only !== undefined ? only : 'bilateral';
}

function regionFacts(pacs: Study, resource: ImagingStudyResource | null) {
  const series = resource?.series ?? [];
  return regionsOfStudy({
    sites: series.flatMap(({ bodySite }) => (bodySite?.code ? [{ ...bodySite, code: bodySite.code }] : [])),
    terms: [...pacs.series.flatMap(({ bodyPart }) => bodyPart ?? []), ...series.flatMap(({ bodySite }) => bodySite?.display ?? [])],
    codes: codesOf(resource?.procedureCode ?? []),
    texts: [pacs.description, resource?.description ?? null, ...pacs.series.map(({ description }) => description)].filter(
      (text) => text !== null,
    ),
  });
}

function join(pacs: Study, named: ReadImagingStudy | null): { joined: JoinedStudy; warning: Warning | null } {
  const resource = named?.resource ?? null;
  const { regions, disagreement } = regionFacts(pacs, resource);
  const ofSeries = pacs.series.map(({ modality }) => modality);
  const modalities = [...new Set([...pacs.modalities, ...ofSeries])];
  const study: Study = {
    ...pacs,
    date: pacs.date ?? dayOf(resource?.started ?? null),
    accession: pacs.accession ?? (resource === null ? null : accessionIn(resource)),
    modalities,
    description: pacs.description ?? resource?.description ?? null,
    regions: pacs.regions.length > 0 ? pacs.regions : regions,
    side: sideOf(pacs, resource),
    imagingStudy: named?.reference ?? null,
    basedOn: resource?.basedOn.flatMap((one) => relative(one, 'ServiceRequest') ?? []) ?? [],
  };
  const message = `Study of ${study.date ?? 'unknown date'}: ${disagreement}`;
  const warning = disagreement === null ? null : { code: 'study-region-disagrees', message };
  return { joined: { study, named: named !== null, encounter: relative(resource?.encounter ?? null, 'Encounter') }, warning };
}

/** Every usable study of the PACS with what FHIR says of it, and what is known to one of the two only. */
export function joinStudies(
  pacs: readonly Study[],
  { studies: fhir, withdrawn }: ReadImagingStudies,
): { joined: JoinedStudy[]; leftOut: Evidence['leftOut']; warnings: Warning[] } {
  const byUid = new Map(fhir.map((one) => [one.uid, one]));
  const unique = [...new Map(pacs.map((study) => [study.uid, study])).values()];
  const gone = unique.filter(({ uid }) => withdrawn.has(uid) && !byUid.has(uid));
  const all = unique.filter((study) => !gone.includes(study)).map((study) => join(study, byUid.get(study.uid) ?? null));
  const held = new Set<string>(unique.map(({ uid }) => uid));
  return {
    joined: all.map(({ joined }) => joined),
    leftOut: [
      ...gone.map(({ uid, date }) => ({ what: `study of ${date ?? 'unknown date'}`, reason: `its ImagingStudy is ${withdrawn.get(uid)}` })),
      ...fhir.filter(({ uid }) => !held.has(uid)).map(({ reference }) => ({ what: reference, reason: 'the PACS has no images of it' })),
    ],
    warnings: all.flatMap(({ warning }) => warning ?? []),
  };
}
