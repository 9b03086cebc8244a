/**
 * Writes training data: films as the product shows them (8 bit, through the pixel rules of the dicom room), the report in all its forms,
 * and where the lesions are. Format: shard-N.json (one record a study) beside shard-N.films and shard-N.maps (raw bytes).
 *
 * Films are written at the size of rendering; the training script scales them as the image processor does (Pillow, bicubic).
 */
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findingNames } from '#domain/finding.ts';
import { mapSize } from './field.ts';
import type { Lesion } from './lesion.ts';
import { reportSentences } from './report.ts';
import { shownFilm } from './shown.ts';
import { currentLesions, makeStudy, type PhantomStudy, priorLesions, truthOf } from './study.ts';
import { manners } from './wording.ts';

interface ExportOptions {
  readonly count: number;
  /** Studies are `seed-0`, `seed-1`, ... */
  readonly seed: string;
  readonly out: string;
  /** Side of the films in pixels. */
  readonly size: number;
  readonly shard?: number;
  readonly progress?: (done: number) => void;
}

/** Size of each finding, right before left (the heart counts as right); -1 = not there. */
export function sizesOf(lesions: readonly Lesion[]): readonly number[] {
  return findingNames.flatMap((finding) =>
    (['right', 'left'] as const).map(
      (side) => lesions.find((one) => one.finding === finding && (one.side ?? 'right') === side)?.size ?? -1,
    ),
  );
}

function record(study: PhantomStudy, film: number): unknown {
  const both = { current: true, prior: true };
  return {
    seed: study.seed,
    prior: study.prior,
    film,
    truth: truthOf(study),
    reports: manners.map((manner) => reportSentences(study, manner, both)),
    priorUnseen: manners.map((manner) => reportSentences(study, manner, { current: true, prior: false })),
    currentUnseen: reportSentences(study, 0, { current: false, prior: true }),
    sizes: { current: sizesOf(currentLesions(study)), prior: sizesOf(priorLesions(study)) },
  };
}

export function exportTraining(options: ExportOptions): void {
  const { count, seed, out, size } = options;
  const shard = options.shard ?? 500;
  mkdirSync(out, { recursive: true });
  for (let first = 0; first < count; first += shard) {
    const records: unknown[] = [];
    const films: Uint8Array[] = [];
    const maps: Uint8Array[] = [];
    for (let number = first; number < Math.min(count, first + shard); number += 1) {
      const study = makeStudy(`${seed}-${number}`);
      records.push(record(study, films.length));
      for (const which of study.prior ? (['current', 'prior'] as const) : (['current'] as const)) {
        const { pixels, map } = shownFilm(study, which, size);
        films.push(pixels);
        maps.push(map);
      }
    }
    const name = join(out, `shard-${String(first / shard).padStart(4, '0')}`);
    writeFileSync(`${name}.films`, Buffer.concat(films));
    writeFileSync(`${name}.maps`, Buffer.concat(maps));
    // The record is written last and renamed: a reader that sees it sees the whole shard.
    writeFileSync(
      `${name}.part`,
      JSON.stringify({ size, map: [findingNames.length, mapSize, mapSize], films: films.length, studies: records }),
    );
    renameSync(`${name}.part`, `${name}.json`);
    options.progress?.(Math.min(count, first + shard));
  }
}
