/** What the clinician asks for: one imaging order of the hook's draftOrders. */
import type { Code } from './code.ts';

export type Side = 'left' | 'right' | 'bilateral';

export interface Order {
  /** `ServiceRequest/x` as the hook names it; temporary while the order is a draft. */
  readonly reference: string;
  readonly status: string | null;
  readonly codes: readonly Code[];
  readonly text: string | null;
  /** DICOM modality wanted (CID 29), null = not said. */
  readonly modality: string | null;
  /** Body region ids of domain/regions.ts; empty = not said. */
  readonly regions: readonly string[];
  readonly side: Side | null;
  /** Reasons for the exam, in the words of the order. */
  readonly reasons: readonly string[];
  readonly accession: { readonly system: string | null; readonly value: string } | null;
  readonly encounter: string | null;
  /** References of supportingInfo. */
  readonly supportingInfo: readonly string[];
}
