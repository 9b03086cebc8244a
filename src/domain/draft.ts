/** The draft report: one finished noun from which card, DiagnosticReport transaction, SR and page are made by pure functions. */
import { createHash } from 'node:crypto';
import type { Code } from './code.ts';
import type { Warning } from './errors.ts';
import type { HistoryItem, QuotedReport, RankedStudy } from './evidence.ts';
import type { Patient } from './patient.ts';
import type { Attribution, Statement } from './statement.ts';
import type { ImageRef } from './study.ts';

/** One image the model saw, in prompt order; number = index + 1. */
export interface DraftImage {
  readonly ref: ImageRef;
  readonly label: string;
  readonly modality: string;
  readonly width: number;
  readonly height: number;
  readonly seriesNumber: number | null;
  readonly instanceNumber: number | null;
  /** YYYY-MM-DD of its study. */
  readonly date: string | null;
  readonly prior: boolean;
  /** Digest of the picture file in the encrypted cache; null once retention removed it. */
  readonly picture: string | null;
}

/** The model that wrote it, as its bundle says. */
export interface DraftModel {
  readonly bundle: string;
  readonly digest: string;
  readonly name: string;
  readonly manufacturer: string | null;
  readonly license: string | null;
  /** Random or test weights: the draft carries a visible stamp. */
  readonly stamped: 'test' | null;
  readonly device: string;
  readonly promptVersion: string;
}

/** An earlier draft of the same study, made when the study had other images. */
export interface SupersededDraft {
  readonly key: string;
  /** Instant (RFC 3339, UTC). */
  readonly generatedAt: string;
  /** Neighbours where it may be found; where its acceptance was still awaited, it is never written. */
  readonly written: readonly ('fhir' | 'pacs')[];
}

export interface Draft {
  readonly key: string;
  readonly patient: Patient;
  readonly subject: RankedStudy;
  readonly priors: readonly RankedStudy[];
  readonly quoted: readonly QuotedReport[];
  /** Orders that this draft answers on the FHIR server; never a temporary id. */
  readonly basedOn: readonly string[];
  readonly encounter: string | null;
  /** LOINC report code of the allow-list, null = generic. */
  readonly reportCode: Code | null;
  readonly images: readonly DraftImage[];
  readonly history: readonly HistoryItem[];
  /** Released and held, in order. */
  readonly statements: readonly Statement[];
  readonly attribution: Attribution;
  readonly model: DraftModel;
  readonly leftOut: readonly { readonly what: string; readonly reason: string }[];
  readonly warnings: readonly Warning[];
  /** Newest first; known when the draft is stored. */
  readonly supersedes: readonly SupersededDraft[];
  /** Instant (RFC 3339, UTC). */
  readonly generatedAt: string;
}

/** Released sentences: nothing held, every citation resolved. */
export function released(draft: Draft): readonly Statement[] {
  return draft.statements.filter((statement) => statement.holds.length === 0);
}

export interface DraftKeyParts {
  readonly patientId: string;
  readonly studyUid: string;
  readonly instanceUids: readonly string[];
  readonly priorUids: readonly string[];
  readonly historyDigest: string;
  readonly bundleDigest: string;
  readonly promptVersion: string;
  readonly task: string;
}

/** sha256 (hex) over the parts that make two drafts the same; sets are sorted first. */
export function draftKey(parts: DraftKeyParts): string {
  const text = JSON.stringify([
    parts.patientId,
    parts.studyUid,
    [...parts.instanceUids].sort(),
    [...parts.priorUids].sort(),
    parts.historyDigest,
    parts.bundleDigest,
    parts.promptVersion,
    parts.task,
  ]);
  return createHash('sha256').update(text, 'utf8').digest('hex');
}
