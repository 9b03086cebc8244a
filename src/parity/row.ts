/** One line of the parity table. */
import { codeOf } from '#domain/errors.ts';
import { absent, type Cell } from './compare.ts';

export const columns = [
  'tokens',
  'pixels',
  'vision',
  'features',
  'embeds',
  'logits',
  'greedy',
  'subset log-probs',
  'loo',
  'kin',
  'shapley',
] as const;
export type Column = (typeof columns)[number];

/** `unsupported`: a family that this version does not claim; it is neither checked nor a miss. */
type Verdict = 'ok' | 'MISS' | 'unsupported';

export interface Row {
  /** Path of the case below the golden folder. */
  readonly name: string;
  readonly cells: Readonly<Record<Column, Cell>>;
  readonly verdict: Verdict;
  /** Why, where it is no `ok`. */
  readonly note: string | null;
}

/** A row from the cells that were compared; a case in which nothing was compared is a miss. */
export function rowOf(name: string, found: Partial<Record<Column, Cell>>): Row {
  const cells = Object.fromEntries(columns.map((column) => [column, found[column] ?? absent])) as Record<Column, Cell>; // one entry per column
  const missed = columns.filter((column) => cells[column].miss);
  const isEmpty = columns.every((column) => cells[column].text === '-');
  const note = isEmpty
    ? 'nothing in this case was compared'
    : missed.length > 0
      ? missed.map((column) => `${column}: ${cells[column].text}`).join('; ')
      : null;
  return { name, cells, verdict: note === null ? 'ok' : 'MISS', note };
}

/** A case that could not be run, or whose family is not built. */
export function plainRow(name: string, verdict: 'MISS' | 'unsupported', note: string): Row {
  return { ...rowOf(name, {}), verdict, note };
}

/** A case that could not be run is a miss with its reason; the others go on. */
export function failedRow(name: string, error: unknown): Row {
  return plainRow(name, 'MISS', `${codeOf(error)}: ${error instanceof Error ? error.message : String(error)}`);
}
