/** What bears on an order: the study to draft, its priors, the history; each with the reasons, and what was left out. */
import type { Warning } from './errors.ts';
import type { Order } from './order.ts';
import type { Patient } from './patient.ts';
import type { Study } from './study.ts';

export interface RankedStudy {
  readonly study: Study;
  readonly score: number;
  /** One short phrase each, e.g. "same region (chest)", "12 days old". Printed on card and draft. */
  readonly reasons: readonly string[];
}

/** In the order in which the token budget is spent; dropped from the end. */
export type HistoryKind = 'reason' | 'prior-impression' | 'problem' | 'result' | 'medication' | 'allergy' | 'procedure';

export interface HistoryItem {
  readonly kind: HistoryKind;
  readonly text: string;
  /** YYYY-MM-DD, null = unknown. */
  readonly date: string | null;
  /** FHIR reference of the source. */
  readonly source: string;
}

/** A study or report that is quoted, not drafted over: it has a final report. */
export interface QuotedReport {
  readonly study: Study;
  readonly reference: string;
  readonly issued: string | null;
  readonly impression: string | null;
}

export interface Evidence {
  readonly patient: Patient;
  readonly order: Order;
  /** The unreported study that the draft is about. */
  readonly subject: RankedStudy;
  /** Most relevant first. */
  readonly priors: readonly RankedStudy[];
  readonly quoted: readonly QuotedReport[];
  readonly history: readonly HistoryItem[];
  readonly leftOut: readonly { readonly what: string; readonly reason: string }[];
  readonly warnings: readonly Warning[];
}
