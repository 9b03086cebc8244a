/** What `ask` prints: the tasks of a bundle, and an answer's statements with their images. */
import type { Attributed } from '#attribution/attribute.ts';
import type { Section } from '#domain/statement.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { dependenceLine, dependenceWords, sectionTitle } from '#report/words.ts';
import type { LoadedImage } from './pictures.ts';

/** A bundle's tasks with their exact words, white space and line breaks visible. */
export function tasksText({ name, tasks }: Pick<Manifest, 'name' | 'tasks'>): string {
  const entries = Object.entries(tasks);
  if (entries.length === 0) return `${name} has no tasks: ask with --text "..."`;
  const width = Math.max(...entries.map(([task]) => task.length));
  const lines = entries.map(([task, { text }]) => `${task.padEnd(width)}  ${JSON.stringify(text)}`);
  return [`${name}: ask one of its tasks with --task NAME, or with --text "..." alone`, ...lines].join('\n');
}

/** Where an image is from, e.g. "ct.nii.gz, slice 12 of 40". */
export function nameOf({ file, place }: Pick<LoadedImage, 'file' | 'place'>): string {
  return place === null ? file : `${file}, ${place}`;
}

/** Share of each image in the whole answer: what it adds to all statements together; null = nothing was measured or added. */
export function wholeShares({ contributions }: Attributed, images: number): readonly (number | null)[] {
  const sums = Array.from({ length: images }, (_, image) => contributions.reduce((sum, one) => sum + (one?.values[image] ?? 0), 0));
  const positive = sums.reduce((sum, one) => sum + Math.max(one, 0), 0);
  const isMeasured = contributions.some((one) => one !== null);
  return sums.map((sum) => (isMeasured && positive > 0 ? Math.max(sum, 0) / positive : null));
}

export interface StatementRow {
  readonly number: number;
  readonly section: Section;
  readonly text: string;
  /** In the product's words: "depends on image 1". */
  readonly words: string;
  /** Nats per token that the images together add, under the null that shows less; null = not scored. */
  readonly support: number | null;
  readonly calibrated: boolean;
  readonly images: readonly {
    /** 1-based. */
    readonly image: number;
    /** 0..1; null = the images together add nothing. */
    readonly share: number | null;
    /** Nats that the image adds to the statement's log-probability, mean over the nulls; null = not scored. */
    readonly delta: number | null;
    readonly cited: boolean;
  }[];
}

export function statementRows({ statements, contributions }: Attributed, images: number): readonly StatementRow[] {
  return statements.map((statement, index) => {
    const measured = contributions[index] ?? null;
    return {
      number: statement.number,
      section: statement.section,
      text: statement.text,
      words: dependenceWords(statement),
      support: statement.support,
      calibrated: statement.calibrated,
      images: Array.from({ length: images }, (_, image) => ({
        image: image + 1,
        share: measured?.shares?.[image] ?? null,
        delta: measured?.values[image] ?? null,
        cited: statement.citations.some((citation) => citation.image === image + 1),
      })),
    };
  });
}

const signed = (value: number) => `${value < 0 ? '' : '+'}${value.toFixed(3)}`;

/** One block for each statement: its words, what it depends on, and a line for each image. */
export function attributionText(rows: readonly StatementRow[], images: readonly LoadedImage[], method: string): string {
  const blocks = rows.map((row) => {
    const title = sectionTitle[row.section];
    const support = row.support === null ? '' : `; support ${signed(row.support)}`;
    const lines = row.images.map(({ image, share, delta, cited }) => {
      const loaded = images[image - 1];
      const figures = `${share === null ? '-' : `${Math.round(100 * share)} %`}`.padStart(5);
      const log = (delta === null ? '-' : signed(delta)).padStart(9);
      return `   ${cited ? '*' : ' '} ${String(image).padStart(2)} ${figures} ${log}  ${loaded === undefined ? '' : nameOf(loaded)}`;
    });
    return [`${row.number}. ${title}: ${row.text}`, `   ${row.words}${support}`, ...lines].join('\n');
  });
  const legend = [
    'Columns: image, its share, what it adds to the log-probability of the statement (nats); * = the statement depends on it.',
    'Support: what the images together add, in nats a token, under the null image that shows less.',
  ];
  return [...blocks, '', ...legend, method, dependenceLine].join('\n');
}
