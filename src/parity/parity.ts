/**
 * `npm run parity -- --golden DIR`: every case of a golden set against this program, one table.
 *
 * A checker that looked at nothing has failed: no case found, or none of a family that this version claims.
 */
import { families } from '#model/families/registry.ts';
import { type CaseFile, findCases } from './case.ts';
import { rowMark } from './compare.ts';
import { runModelCases } from './model-cases.ts';
import { runPreprocessingCase } from './preprocessing.ts';
import { columns, failedRow, plainRow, type Row } from './row.ts';

export interface ParityResult {
  readonly rows: readonly Row[];
  readonly checked: number;
  readonly misses: number;
  readonly unsupported: number;
  /** Cases were found and checked, and none missed. */
  readonly ok: boolean;
}

/** Runs every case below `golden`. `onRow` is called as each is done. @throws usage when `golden` is no folder */
export async function runParity(golden: string, onRow: (row: Row) => void = () => undefined): Promise<ParityResult> {
  const rows: Row[] = [];
  const claimed = new Set([...families.map((family) => family.name), 'preprocessing']);
  for (const [folder, files] of byFolder(await findCases(golden))) {
    for (const row of await runFolder(folder, files, claimed)) {
      rows.push(row);
      onRow(row);
    }
  }
  const misses = rows.filter((row) => row.verdict === 'MISS').length;
  const unsupported = rows.filter((row) => row.verdict === 'unsupported').length;
  const checked = rows.length - unsupported;
  return { rows, checked, misses, unsupported, ok: checked > 0 && misses === 0 };
}

function byFolder(files: readonly CaseFile[]): Map<string, CaseFile[]> {
  const folders = new Map<string, CaseFile[]>();
  for (const file of files) folders.set(file.folder, [...(folders.get(file.folder) ?? []), file]);
  return folders;
}

async function runFolder(folder: string, files: readonly CaseFile[], claimed: ReadonlySet<string>): Promise<Row[]> {
  const rows: Row[] = [];
  const llava: CaseFile[] = [];
  for (const file of files) {
    if (file.problem !== null || file.family === null) rows.push(plainRow(file.name, 'MISS', file.problem ?? 'no family'));
    else if (!claimed.has(file.family)) rows.push(plainRow(file.name, 'unsupported', `family ${file.family} is not built`));
    else if (file.family === 'preprocessing') rows.push(...(await guarded([file], async () => [await runPreprocessingCase(file)])));
    else llava.push(file);
  }
  if (llava.length > 0) rows.push(...(await guarded(llava, () => runModelCases(folder, llava))));
  return rows;
}

async function guarded(files: readonly CaseFile[], run: () => Promise<Row[]>): Promise<Row[]> {
  try {
    return await run();
  } catch (error) {
    return files.map((file) => failedRow(file.name, error));
  }
}

/** The table with its legend and its sums. */
export function parityTable(result: ParityResult): string {
  const header = ['case', ...columns, 'verdict'];
  const lines = [header, ...result.rows.map((row) => [row.name, ...columns.map((column) => row.cells[column].text), row.verdict])];
  const widths = header.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const table = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const notes = result.rows.filter((row) => row.note !== null && row.verdict === 'MISS').map((row) => `${row.name}: ${row.note}`);
  const sums = `${result.rows.length} cases found, ${result.checked} checked, ${result.misses} missed, ${result.unsupported} of families that are not built.`;
  return [
    ...table,
    '',
    '= equal; a number is the largest absolute difference; - the case leaves the field out, so it was not checked.',
    ...(result.rows.some((row) => columns.some((column) => row.cells[column].text.includes(rowMark)))
      ? [
          `${rowMark} within the tolerance of its row's largest value: some single values are smaller than what single precision leaves open.`,
        ]
      : []),
    ...notes,
    sums,
    result.rows.length === 0
      ? 'No cases/*.json was found: that is a failure.'
      : result.checked === 0
        ? 'Nothing was checked: that is a failure.'
        : '',
  ]
    .join('\n')
    .trimEnd();
}
