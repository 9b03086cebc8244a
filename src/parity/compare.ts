/** Cells of the parity table: the largest difference of two lists of numbers, and whether it is within its tolerance. */

export interface Cell {
  /** `-`: the case leaves the field out; `=`: equal; else the largest absolute difference, or what differs. */
  readonly text: string;
  readonly miss: boolean;
}

export interface Tolerance {
  readonly abs: number;
  readonly rel: number;
  /** Values per row, where `rel` is of the largest value of a row and not of each value; such a cell is marked. */
  readonly row?: number;
}

/** After a number: within the tolerance of its row, not of each value. */
export const rowMark = '~';

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

/** Largest absolute value of each row. */
function rowScales(values: ArrayLike<number>, row: number): Float64Array {
  const scales = new Float64Array(Math.ceil(values.length / row));
  for (let i = 0; i < values.length; i++) {
    const at = Math.floor(i / row);
    scales[at] = Math.max(scales[at] ?? 0, Math.abs(values[i] ?? Number.NaN));
  }
  return scales;
}

/** |found - expected| at most abs, or rel x |expected| where that is more. NaN is a miss. */
export function compareClose(found: ArrayLike<number>, expected: ArrayLike<number>, tolerance: Tolerance): Cell {
  if (found.length !== expected.length) return miss(`${found.length} for ${expected.length}`);
  const { row } = tolerance;
  const scales = row === undefined ? null : rowScales(expected, row);
  let largest = 0;
  let isMiss = false;
  let byRow = false;
  for (let i = 0; i < expected.length; i++) {
    const wanted = expected[i] ?? Number.NaN;
    const difference = Math.abs((found[i] ?? Number.NaN) - wanted);
    const scale = scales === null || row === undefined ? Math.abs(wanted) : (scales[Math.floor(i / row)] ?? 0);
    if (!(difference <= Math.max(tolerance.abs, tolerance.rel * scale))) isMiss = true;
    else if (!(difference <= Math.max(tolerance.abs, tolerance.rel * Math.abs(wanted)))) byRow = true;
    if (!(difference <= largest)) largest = difference;
  }
  const text = largest === 0 ? '=' : `${largest.toExponential(0)}${byRow ? rowMark : ''}`;
  return { text: isMiss ? `MISS ${text}` : text, miss: isMiss };
}

/** The worst of several cells of one column; absent where all are. */
export function worst(cells: readonly Cell[]): Cell {
  const present = cells.filter((cell) => cell.text !== '-');
  const missed = present.find((cell) => cell.miss);
  if (missed !== undefined) return missed;
  const value = (cell: Cell) => (cell.text === '=' ? 0 : Number.parseFloat(cell.text));
  return present.reduce<Cell>((most, cell) => (most.text === '-' || value(cell) > value(most) ? cell : most), absent);
}
