/** Attribution of an answer from the shell: scored without a time limit, as a table for a person and as the data of the contact sheet. */
import { type Attributed, attribute } from '#attribution/attribute.ts';
import { scoresOf } from '#attribution/subsets.ts';
import type { Answer, Scorer } from '#domain/answer.ts';
import type { Warning } from '#domain/errors.ts';
import type { Attribution } from '#domain/statement.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { thresholdOn } from '#model/threshold.ts';
import { dependenceLine, stampNotice } from '#report/words.ts';
import { attributionText, type StatementRow, statementRows, wholeShares } from './ask-text.ts';
import type { LoadedImage } from './pictures.ts';
import { contactSheet, seenPicture } from './sheet.ts';

export interface AttributionReport {
  readonly attribution: Attribution;
  readonly rows: readonly StatementRow[];
  /** Share of each image in the whole answer. */
  readonly shares: readonly (number | null)[];
  readonly text: string;
  readonly warnings: readonly Warning[];
}

export interface AttributionQuestion {
  readonly manifest: Manifest;
  readonly answer: Answer;
  readonly images: readonly LoadedImage[];
  /** What the engine runs on: a threshold holds for one kind. */
  readonly device: string;
  readonly scorer: Scorer;
  readonly progress: (done: number, of: number) => void;
}

/** @throws what the scorer throws */
export async function attributionReport(question: AttributionQuestion): Promise<AttributionReport> {
  const { manifest, answer, images, device, scorer, progress } = question;
  const of = scoresOf(images.length);
  let done = 0;
  const found: Attributed = await attribute({
    scorer: async (keep, nullImage) => {
      progress(done++, of);
      return await scorer(keep, nullImage);
    },
    answer,
    images: images.map(({ ref }) => ref),
    threshold: thresholdOn(manifest, device),
    citeWithoutThreshold: manifest.attribution.citeUncalibrated,
    // Who asks for it waits for it.
    timeBudgetMs: Number.POSITIVE_INFINITY,
    now: () => performance.now(),
    resolve: () => true,
  });
  const rows = statementRows(found, images.length);
  const { attribution, warnings } = found;
  return {
    attribution,
    rows,
    shares: wholeShares(found, images.length),
    text: attributionText(rows, images, attribution.line),
    warnings,
  };
}

/** PNG. */
export async function sheetOf(manifest: Manifest, images: readonly LoadedImage[], report: AttributionReport): Promise<Uint8Array> {
  return await contactSheet({
    title: `${manifest.name} ${manifest.version}${manifest.stamped === null ? '' : `: ${stampNotice}`}`,
    images: images.map(({ part, file, place, facts }, index) => ({
      picture: seenPicture(manifest, part),
      file,
      about: [facts?.modality ?? null, place].filter((one) => one !== null).join(', '),
      share: report.shares[index] ?? null,
      shares: report.rows.map(({ images: own }) => own[index]?.share ?? null),
    })),
    statements: report.rows,
    notes: [report.attribution.line, dependenceLine],
  });
}
