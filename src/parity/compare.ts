/** Cells of the parity table: the largest difference of two lists of numbers, and whether it is within its tolerance. */

export interface Cell {
  /** `-`: the case leaves the field out; `=`: equal; else the largest absolute difference, or what differs. */
  readonly text: string;
  readonly miss: boolean;
}

export interface Tolerance {
  readonly abs: number;
  readonly rel: number;
}

export const absent: Cell = { text: '-', miss: false };

export function miss(text: string): Cell {
  return { text, miss: true };
}

/** Equal in every number, or a miss that says where. */
export function compareExact(found: readonly number[], expected: readonly number[]): Cell {
  if (found.length !== expected.length) return miss(`${found.length} for ${expected.length}`);
  const at = expected.findIndex((value, i) => value !== found[i]);
  return at < 0 ? { text: '=', miss: false } : miss(`[${at}] ${found[at]} for ${expected[at]}`);
}

/** |found - expected| at most abs, or rel x |expected| where that is more. NaN is a miss. */
export function compareClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance): Cell {
  if (found.length !== expected.length) return miss(`${found.length} for ${expected.length}`);
  let largest = 0;
  let isMiss = false;
  for (let i = 0; i < expected.length; i++) {
    const wanted = expected[i] ?? Number.NaN;
    const difference = Math.abs((found[i] ?? Number.NaN) - wanted);
    if (!(difference <= Math.max(tolerance.abs, tolerance.rel * Math.abs(wanted)))) isMiss = true;
    if (!(difference <= largest)) largest = difference;
  }
  const text = largest === 0 ? '=' : largest.toExponential(0);
  return { text: isMiss ? `MISS ${text}` : text, miss: isMiss };
}

/** The worst of several cells of one column; absent where all are. */
export function worst(cells: readonly Cell[]): Cell {
  const present = cells.filter((cell) => cell.text !== '-');
  const missed = present.find((cell) => cell.miss);
  if (missed !== undefined) return missed;
  const value = (cell: Cell) => (cell.text === '=' ? 0 : Number(cell.text));
  return present.reduce<Cell>((most, cell) => (most.text === '-' || value(cell) > value(most) ? cell : most), absent);
}
