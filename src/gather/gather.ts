/**
 * What bears on an order: the study to draft, its priors, the reports to quote, the history; each with its reasons, and what was left out.
 *
 * The ordered exam does not exist yet when the order is signed: the draft is about the top-ranked relevant study that nobody has reported.
 * A reported study is quoted and compared with, never drafted over. A study whose images contradict the patient's record is never used; when
 * it would have been the subject, nothing is drafted at all.
 */
import type { ErrorCode, Warning } from '#domain/errors.ts';
import type { Evidence, QuotedReport, RankedStudy } from '#domain/evidence.ts';
import type { GateVerdict } from '#domain/identity.ts';
import type { Order } from '#domain/order.ts';
import type { Patient } from '#domain/patient.ts';
import type { Study } from '#domain/study.ts';
import {
  bundleFor,
  byRank,
  type Candidate,
  candidateOf,
  type IntendedUse,
  nameOf,
  type RankContext,
  type Sorted,
  sortCandidates,
} from './candidates.ts';
import { historyOf } from './history.ts';
import { reportOfStudy, reportsOf } from './reports.ts';
import { imagingStudiesOf, joinStudies } from './studies.ts';

export interface Read {
  /** FHIR resources of any type. */
  readonly resources: readonly unknown[];
  readonly warnings: readonly Warning[];
}

export interface GatherPorts {
  /** ImagingStudy resources of the patient. */
  imagingStudies(): Promise<Read>;
  /** DiagnosticReport resources of the patient. */
  reports(): Promise<Read>;
  /** Condition, AllergyIntolerance, MedicationRequest, Medication, Observation and Procedure resources of the patient. */
  history(): Promise<Read>;
  /**
   * Studies of the PACS with their series: those of the patient's identifiers, and those named by UID or accession number, whosever they are
   * (a study that FHIR names and the PACS files under another patient must be seen as a conflict).
   */
  pacsStudies(query: {
    readonly identifiers: Patient['identity']['identifiers'];
    readonly studyUids: readonly string[];
    readonly accessions: readonly string[];
  }): Promise<{ readonly studies: readonly Study[]; readonly warnings: readonly Warning[] }>;
}

export interface GatherRequest extends RankContext {
  readonly ports: GatherPorts;
  /** The first that may read a study reads it. */
  readonly bundles: readonly IntendedUse[];
  /** Identifier systems, extension URLs and profiles by which a DiagnosticReport is known as our draft. */
  readonly ownReportMarks: readonly string[];
}

/** A study that the gate refused. */
interface Refused {
  readonly study: Study;
  readonly verdict: GateVerdict;
}

interface Common {
  readonly quoted: readonly QuotedReport[];
  readonly conflicts: readonly Refused[];
  readonly leftOut: Evidence['leftOut'];
  readonly warnings: readonly Warning[];
}

export type Gathered =
  | {
      readonly kind: 'draft';
      readonly evidence: Evidence;
      /** Name of the bundle that reads the subject. */
      readonly bundle: string;
      /**
       * Orders of the subject: ImagingStudy.basedOn, and the signed order when the study carries its accession number. The id of a draft
       * order may be temporary, so whoever writes it confirms first that the FHIR server has that order.
       */
      readonly basedOn: readonly string[];
      readonly conflicts: readonly Refused[];
    }
  | ({ readonly kind: 'quoted'; readonly ranked: readonly RankedStudy[] } & Common)
  | ({ readonly kind: 'unsupported-modality'; readonly code: ErrorCode; readonly study: RankedStudy; readonly message: string } & Common)
  | ({ readonly kind: 'identity-conflict'; readonly code: ErrorCode; readonly message: string } & Common)
  | ({ readonly kind: 'nothing'; readonly code: ErrorCode; readonly message: string } & Common);

function quotedOf({ study }: RankedStudy): readonly QuotedReport[] {
  if (study.report?.final !== true) return [];
  const { reference, issued, impression } = study.report;
  return [{ study, reference, issued, impression }];
}

function ranked({ study, score, reasons }: Candidate): RankedStudy {
  return { study, score, reasons };
}

function isUnreported({ study }: Candidate): boolean {
  return study.report?.final !== true;
}

function isEarlier(study: Study, subject: Study): boolean {
  const when = (one: Study) => `${one.date} ${one.time ?? ''}`;
  return study.date !== null && subject.date !== null && when(study) < when(subject);
}

/** Everything read and judged, before it is decided what to do with it. */
interface Found {
  readonly sorted: Sorted;
  readonly history: readonly unknown[];
  readonly common: Common;
}

async function find(request: GatherRequest): Promise<Found> {
  const { patient, order, ports } = request;
  const [imaging, diagnostic, history] = await Promise.all([ports.imagingStudies(), ports.reports(), ports.history()]);
  const fhir = imagingStudiesOf(imaging.resources, patient.id);
  const pacs = await ports.pacsStudies({
    identifiers: patient.identity.identifiers,
    studyUids: fhir.studies.map(({ uid }) => uid),
    accessions: order.accession === null ? [] : [order.accession.value],
  });
  const studies = joinStudies(pacs.studies, fhir);
  const reports = reportsOf(diagnostic.resources, patient.id, request.ownReportMarks);
  const judged = studies.joined.map((joined) => {
    const { report, warning } = reportOfStudy(joined.study, reports.reports);
    return { candidate: candidateOf({ ...joined, study: { ...joined.study, report } }, request, reports.reports), warning };
  });
  const sorted = sortCandidates(judged.map(({ candidate }) => candidate));
  const common: Common = {
    quoted: sorted.usable.flatMap(quotedOf),
    conflicts: sorted.conflicts.map(({ study, gate }) => ({ study, verdict: gate })),
    leftOut: [...sorted.leftOut, ...fhir.leftOut, ...studies.leftOut],
    warnings: [
      ...[imaging, diagnostic, history, pacs, fhir, studies, reports].flatMap(({ warnings }) => warnings),
      ...judged.flatMap(({ warning }) => warning ?? []),
      ...sorted.conflicts.map(({ study, gate }) => ({
        code: 'identity-conflict',
        message: `${nameOf(study)} was not used. ${gate.message}`,
      })),
    ],
  };
  return { sorted, history: history.resources, common };
}

function subjectWarnings({ study }: Candidate): readonly Warning[] {
  const { report } = study;
  return [
    ...(report === null
      ? []
      : [
          {
            code: 'preliminary-report',
            message: `${report.reference} (${report.status}) exists for this study; the model did not read it.`,
          },
        ]),
    ...(study.regions.length === 0
      ? [{ code: 'region-unknown', message: 'The study does not say its body region; that of the order was assumed.' }]
      : []),
  ];
}

function draftOf(subject: Candidate, bundle: IntendedUse, { sorted, history, common }: Found, request: GatherRequest): Gathered {
  const others = sorted.usable.filter((one) => one !== subject);
  const read = historyOf(history, request, others.map(ranked));
  const unread = others.filter(isUnreported);
  const unreadable = unread.filter(({ study }) => bundleFor(study, request.order, request.bundles) === null);
  const evidence: Evidence = {
    patient: request.patient,
    order: request.order,
    subject: ranked(subject),
    priors: others.filter(({ study }) => isEarlier(study, subject.study)).map(ranked),
    quoted: common.quoted,
    history: read.items,
    leftOut: [
      ...unread.map(({ study }) => ({ what: nameOf(study), reason: 'not reported either; this draft is about another study' })),
      ...common.leftOut,
      ...read.leftOut,
    ],
    warnings: [
      ...common.warnings,
      ...subjectWarnings(subject),
      ...unreadable.map(({ study }) => ({
        code: 'modality-unsupported',
        message: `${nameOf(study)} is not reported either, and no bundle reads it.`,
      })),
      ...read.warnings,
    ],
  };
  return {
    kind: 'draft',
    evidence,
    bundle: bundle.bundle,
    basedOn: basedOnOf(subject, request.order),
    conflicts: common.conflicts,
  };
}

function basedOnOf({ study, ordered }: Candidate, order: Order): readonly string[] {
  return [...new Set([...study.basedOn, ...(ordered ? [order.reference] : [])])];
}

/** The conflicting study that stops everything: it ranks before the subject, or nothing else could be used. */
function stoppingConflict(sorted: Sorted, subject: Candidate | undefined): Candidate | undefined {
  const unreported = sorted.conflicts.find(isUnreported);
  if (subject === undefined) return unreported ?? (sorted.usable.length === 0 ? sorted.conflicts[0] : undefined);
  return unreported !== undefined && byRank(unreported, subject) < 0 ? unreported : undefined;
}

function nothing({ sorted, common }: Found): Gathered {
  const [unsure] = sorted.insufficient;
  if (unsure !== undefined) {
    return { kind: 'nothing', code: 'identity-insufficient', message: `${nameOf(unsure.study)}: ${unsure.gate.message}`, ...common };
  }
  const message = common.leftOut.length === 0 ? 'No study of this patient was found.' : 'No study bears on this order.';
  return { kind: 'nothing', code: 'nothing-relevant', message, ...common };
}

/** Evidence for an order, or a coded reason why there is nothing to draft. Errors of the ports pass through. */
export async function gather(request: GatherRequest): Promise<Gathered> {
  const found = await find(request);
  const { sorted, common } = found;
  const { order, bundles } = request;
  const unreported = sorted.usable.filter(isUnreported);
  const [subject] = unreported.filter(({ study }) => bundleFor(study, order, bundles) !== null);
  const conflict = stoppingConflict(sorted, subject);
  if (conflict !== undefined) {
    const message = `${nameOf(conflict.study)}: ${conflict.gate.message} Nothing was drafted.`;
    return { kind: 'identity-conflict', code: 'identity-conflict', message, ...common };
  }
  const bundle = subject === undefined ? null : bundleFor(subject.study, order, bundles);
  if (subject !== undefined && bundle !== null) return draftOf(subject, bundle, found, request);
  const [unsupported] = unreported;
  if (unsupported !== undefined) {
    const { modalities, regions } = unsupported.study;
    const what = `${modalities.join('/') || 'an unknown modality'} of ${regions.join(', ') || 'an unknown region'}`;
    const message = `${nameOf(unsupported.study)} is not reported, and no bundle reads ${what}.`;
    return { kind: 'unsupported-modality', code: 'modality-unsupported', study: ranked(unsupported), message, ...common };
  }
  if (common.quoted.length > 0) return { kind: 'quoted', ranked: sorted.usable.map(ranked), ...common };
  return nothing(found);
}
