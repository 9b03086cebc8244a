/**
 * Radiology reports of the FHIR server, and which study each belongs to.
 *
 * R4 has no search from a report to its study, so they are joined by imagingStudy, basedOn, accession, and only where a report names none of
 * these by day, modality and region. Our own drafts are no reports until a human made them final.
 * Source: FHIR R4 DiagnosticReport (status: final, amended, corrected, appended are done).
 */
import { reportCodeOf } from '#domain/codes.ts';
import type { Warning } from '#domain/errors.ts';
import { overlapOf, regionsOfOrder } from '#domain/regions.ts';
import { sameModality } from '#domain/relevance.ts';
import type { Study, StudyReport } from '#domain/study.ts';
import { uidOfFhir } from '#domain/uid.ts';
import { impressionOf } from './impression.ts';
import { modalityOfOrder } from './modality.ts';
import { codesOf, type DiagnosticReportResource, dayOf, diagnosticReportForm, hasCode, mayBeOf, readAll, relative } from './resources.ts';

const done = ['final', 'amended', 'corrected', 'appended'];
const void_ = ['entered-in-error', 'cancelled', 'registered'];
const radiology = ['RAD', 'LP29684-5', '394914008', '363679005'];

export interface ReadReport {
  readonly report: StudyReport;
  /** `ImagingStudy/x` or a Study Instance UID. */
  readonly studies: readonly string[];
  readonly orders: readonly string[];
  readonly accessions: readonly string[];
  /** YYYY-MM-DD of the exam, null = not said. */
  readonly day: string | null;
  readonly modality: string | null;
  readonly regions: readonly string[];
  /** Study Instance UIDs and accession numbers found in the text: the comparison names them. */
  readonly words: string;
}

function readReport(resource: DiagnosticReportResource): ReadReport | null {
  const { id, status } = resource;
  if (id === null || status === null || void_.includes(status)) return null;
  const codes = codesOf([resource.code]);
  const identifiers = [...resource.identifier, ...resource.basedOn.flatMap(({ identifier }) => identifier ?? [])];
  const studies = resource.imagingStudy.flatMap((one) => [relative(one, 'ImagingStudy'), one.identifier?.value ?? null]);
  const words = resource.code?.text ?? null;
  return {
    report: {
      reference: `DiagnosticReport/${id}`,
      status,
      final: done.includes(status),
      issued: resource.issued ?? resource.effectiveDateTime ?? resource.effectivePeriod?.start ?? null,
      impression: impressionOf(resource),
    },
    studies: studies.flatMap((one) => (one === null ? [] : [uidOfFhir(one)])),
    orders: resource.basedOn.flatMap((one) => relative(one, 'ServiceRequest') ?? []),
    accessions: identifiers.flatMap(({ type, value }) => (value !== null && hasCode(type, 'ACSN') ? [value] : [])),
    day: dayOf(resource.effectiveDateTime ?? resource.effectivePeriod?.start ?? null),
    modality: modalityOfOrder(codes, words === null ? [] : [words]),
    regions: regionsOfOrder({ sites: [], terms: [], codes, texts: words === null ? [] : [words] }).regions,
    words: [resource.conclusion, resource.text?.div].filter(Boolean).join(' '),
  };
}

function isRadiology(resource: DiagnosticReportResource): boolean {
  const coded = codesOf([resource.code]).some((code) => reportCodeOf(code) !== null);
  return coded || resource.imagingStudy.length > 0 || resource.category.some((category) => hasCode(category, ...radiology));
}

function isOurDraft(resource: DiagnosticReportResource, ownMarks: readonly string[]): boolean {
  const marks = [
    ...resource.identifier.map(({ system }) => system),
    ...resource.extension.map(({ url }) => url),
    ...(resource.meta?.profile ?? []),
  ];
  return marks.some((mark) => mark !== null && ownMarks.includes(mark)) && !done.includes(resource.status ?? '');
}

/**
 * The radiology reports among FHIR resources, without our drafts.
 * `ownMarks`: identifier systems, extension URLs and profiles that mark a report as ours.
 */
export function reportsOf(
  resources: readonly unknown[],
  patientId: string,
  ownMarks: readonly string[],
): { reports: ReadReport[]; warnings: Warning[] } {
  const { good, broken } = readAll(diagnosticReportForm, 'DiagnosticReport', resources);
  const others = good.filter(({ subject }) => !mayBeOf(subject, patientId)).length;
  const own = good.filter((resource) => mayBeOf(resource.subject, patientId) && isRadiology(resource) && !isOurDraft(resource, ownMarks));
  const warnings = [
    ...(broken > 0 ? [{ code: 'resource-unreadable', message: `${broken} DiagnosticReport could not be read.` }] : []),
    ...(others > 0
      ? [{ code: 'resource-of-another-patient', message: `${others} DiagnosticReport of another patient were put aside.` }]
      : []),
  ];
  return { reports: own.flatMap((resource) => readReport(resource) ?? []), warnings };
}

/** How a report belongs to a study; null = it does not. */
type Join = 'imagingStudy' | 'basedOn' | 'accession' | 'day' | null;

function joinOf(read: ReadReport, study: Study): Join {
  if (read.studies.some((one) => one === study.uid || one === study.imagingStudy)) return 'imagingStudy';
  if (read.orders.some((order) => study.basedOn.includes(order))) return 'basedOn';
  if (study.accession !== null && read.accessions.includes(study.accession)) return 'accession';
  if (read.studies.length + read.orders.length + read.accessions.length > 0) return null;
  const sameDay = read.day !== null && read.day === study.date;
  const { modality } = read;
  const overlap = overlapOf(read.regions, study.regions);
  // A day alone would take an unread film for reported; both kind of picture and region have to be said and to fit.
  const fits =
    modality !== null && study.modalities.some((one) => sameModality(one, modality)) && (overlap === 'same' || overlap === 'contained');
  return sameDay && fits ? 'day' : null;
}

/**
 * The report of a study: the latest done one, else the latest other one; null = none is known.
 * A report that fits two studies by day is counted for both: a reported study must never be drafted over.
 */
export function reportOfStudy(study: Study, reports: readonly ReadReport[]): { report: StudyReport | null; warning: Warning | null } {
  const joined = reports.flatMap((read) => {
    const join = joinOf(read, study);
    return join === null ? [] : [{ report: read.report, join }];
  });
  const [best] = joined.sort(
    (a, b) => Number(b.report.final) - Number(a.report.final) || (b.report.issued ?? '').localeCompare(a.report.issued ?? ''),
  );
  if (best === undefined) return { report: null, warning: null };
  const message = `${best.report.reference} names no study; it was taken for the report of the study of ${study.date} by day, modality and region.`;
  return { report: best.report, warning: best.join === 'day' ? { code: 'report-joined-by-day', message } : null };
}

/** The study is named in the words of a report that is not its own. */
export function isNamedByReport(study: Study, reports: readonly ReadReport[]): boolean {
  const names = [study.uid, ...(study.accession === null || study.accession.length < 6 ? [] : [study.accession])];
  return reports.some((read) => joinOf(read, study) === null && names.some((name) => read.words.includes(name)));
}
