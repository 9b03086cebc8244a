/**
 * Each study with its relevance to the order and the verdict of the identity gate, sorted by who may be used.
 *
 * The order's own study comes first whatever its score; a tie never depends on the order in which a server answered.
 */
import type { Evidence, RankedStudy } from '#domain/evidence.ts';
import { checkIdentity, type GateContext, type GateVerdict } from '#domain/identity.ts';
import type { Order } from '#domain/order.ts';
import type { Patient } from '#domain/patient.ts';
import { overlapOf } from '#domain/regions.ts';
import { relevanceOf, sameModality } from '#domain/relevance.ts';
import type { Study } from '#domain/study.ts';
import { uidOfFhir } from '#domain/uid.ts';
import { isNamedByReport, type ReadReport } from './reports.ts';
import type { JoinedStudy } from './studies.ts';

/** What one bundle may be used for (bundle.json). */
export interface IntendedUse {
  readonly bundle: string;
  readonly modalities: readonly string[];
  /** Empty = any. */
  readonly regions: readonly string[];
}

export interface Candidate extends RankedStudy {
  /** The study carries the order's accession number, or its ImagingStudy is based on the order. */
  readonly ordered: boolean;
  readonly gate: GateVerdict;
}

export interface RankContext {
  readonly patient: Patient;
  readonly order: Order;
  readonly identity: Pick<GateContext, 'defaultIssuer' | 'issuers'>;
  /** YYYY-MM-DD at the hospital. */
  readonly today: string;
}

/** "DX chest of 2026-11-24": how a study is called in reasons and warnings. */
export function nameOf(study: Study): string {
  const what = [study.modalities.join('/'), study.description].filter(Boolean).join(' ') || 'study';
  return `${what} of ${study.date ?? 'unknown date'}`;
}

function hasAccession(study: Study, order: Order): boolean {
  return order.accession !== null && study.accession === order.accession.value;
}

function isNamed(study: Study, order: Order, reports: readonly ReadReport[]): boolean {
  const named = order.supportingInfo.map(uidOfFhir);
  const own = [study.imagingStudy, study.report?.reference ?? null].filter((reference) => reference !== null);
  const byOrder = named.some((one) => one === study.uid || own.includes(one));
  return byOrder || isNamedByReport(study, reports);
}

export function candidateOf(joined: JoinedStudy, context: RankContext, reports: readonly ReadReport[]): Candidate {
  const { order, patient, identity, today } = context;
  const { study } = joined;
  const accessionMatches = hasAccession(study, order);
  const ordered = accessionMatches || study.basedOn.includes(order.reference);
  const named = ordered || isNamed(study, order, reports);
  const currentEncounter = order.encounter !== null && joined.encounter === order.encounter;
  const { score, reasons } = relevanceOf(order, study, { today, named, currentEncounter });
  const gate = checkIdentity(patient.identity, study.identity, { ...identity, namedByImagingStudy: joined.named, accessionMatches });
  return { study, score, reasons, ordered, gate };
}

/** The order's own study first, then by score, then the newest, then by UID. */
export function byRank(a: Candidate, b: Candidate): number {
  const when = ({ study }: Candidate) => `${study.date ?? ''} ${study.time ?? ''}`;
  return (
    Number(b.ordered) - Number(a.ordered) || b.score - a.score || when(b).localeCompare(when(a)) || a.study.uid.localeCompare(b.study.uid)
  );
}

/** The first bundle that may read the study; null = none. A study that does not say its region is taken for the order's. */
export function bundleFor(study: Study, order: Order, bundles: readonly IntendedUse[]): IntendedUse | null {
  const regions = study.regions.length > 0 ? study.regions : order.regions;
  const reads = (bundle: IntendedUse) =>
    bundle.modalities.some((modality) => study.modalities.some((one) => sameModality(one, modality))) &&
    (bundle.regions.length === 0 || ['same', 'contained', 'unknown'].includes(overlapOf(bundle.regions, regions)));
  return bundles.find(reads) ?? null;
}

export interface Sorted {
  /** Relevant and the patient's, best first. */
  readonly usable: readonly Candidate[];
  readonly conflicts: readonly Candidate[];
  readonly insufficient: readonly Candidate[];
  readonly leftOut: Evidence['leftOut'];
}

export function sortCandidates(candidates: readonly Candidate[]): Sorted {
  const relevant = candidates.filter(({ score }) => score > 0).sort(byRank);
  const irrelevant = candidates.filter(({ score }) => score === 0);
  const insufficient = relevant.filter(({ gate }) => gate.verdict === 'insufficient');
  return {
    usable: relevant.filter(({ gate }) => gate.verdict === 'agree'),
    conflicts: relevant.filter(({ gate }) => gate.verdict === 'conflict'),
    insufficient,
    leftOut: [
      ...insufficient.map(({ study, gate }) => ({ what: nameOf(study), reason: `identity-insufficient: ${gate.message}` })),
      ...irrelevant.map(({ study, reasons }) => ({ what: nameOf(study), reason: reasons.join(', ') })),
    ],
  };
}
