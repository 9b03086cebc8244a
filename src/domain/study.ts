/** A DICOM study with its series and instances, as the PACS (QIDO, headers) and FHIR (ImagingStudy) describe it. */
import type { Side } from './order.ts';
import type { Identity } from './patient.ts';
import type { Uid } from './uid.ts';

/** More frames than any object has; who says more is not believed. */
export const mostFrames = 100_000;

export interface Instance {
  readonly uid: Uid;
  readonly sopClass: Uid;
  readonly number: number | null;
  /** 1 for a single-frame object. */
  readonly frames: number;
}

export interface Series {
  readonly uid: Uid;
  readonly modality: string;
  readonly number: number | null;
  readonly description: string | null;
  readonly bodyPart: string | null;
  readonly side: Side | null;
  readonly instances: readonly Instance[];
  /** The slices in geometric order, every frame of every instance once; absent until their headers were read. */
  readonly order?: readonly Slice[];
}

export interface Slice {
  readonly instance: Uid;
  /** 1-based; null = a single-frame object. */
  readonly frame: number | null;
}

/** Report known to FHIR for a study: final = never drafted over. */
export interface StudyReport {
  /** `DiagnosticReport/x`. */
  readonly reference: string;
  readonly status: string;
  readonly final: boolean;
  /** ISO date or instant, null = unknown. */
  readonly issued: string | null;
  readonly impression: string | null;
}

export interface Study {
  readonly uid: Uid;
  /** What the PACS says about whose it is. */
  readonly identity: Identity;
  /** YYYY-MM-DD, null = unknown. */
  readonly date: string | null;
  /** HH:MM:SS, null = unknown. */
  readonly time: string | null;
  readonly accession: string | null;
  readonly modalities: readonly string[];
  readonly description: string | null;
  readonly regions: readonly string[];
  readonly side: Side | null;
  readonly series: readonly Series[];
  /** `ImagingStudy/x` when FHIR has one. */
  readonly imagingStudy: string | null;
  /** References of ImagingStudy.basedOn. */
  readonly basedOn: readonly string[];
  readonly report: StudyReport | null;
}

/** One image: what every attribution, Media and SR reference points to. */
export interface ImageRef {
  readonly study: Uid;
  readonly series: Uid;
  readonly instance: Uid;
  readonly sopClass: Uid;
  /** 1-based; null = a single-frame object. */
  readonly frame: number | null;
}

export function imageKey(ref: ImageRef): string {
  return ref.frame === null ? ref.instance : `${ref.instance}#${ref.frame}`;
}
