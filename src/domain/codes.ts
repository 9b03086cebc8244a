/**
 * The report-code table: which LOINC code means an imaging exam of which modality, region and view.
 *
 * It is an allow-list. A code outside it is neither taken as imaging nor written into a report (public sets mislabel such codes).
 */
import type { Code } from './code.ts';
import { systems } from './code.ts';
import table from './report-codes.json' with { type: 'json' };

export interface ReportCode {
  readonly code: string;
  readonly display: string;
  /** CID 29; DX stands for any film. Null = the code says none. */
  readonly modality: string | null;
  readonly regions: readonly string[];
  readonly view: string | null;
}

export const reportCodes: readonly ReportCode[] = table.codes;

const byCode = new Map(reportCodes.map((row) => [row.code, row]));

/** The table's row of a LOINC code, null when the code is of another system or not listed. */
export function reportCodeOf(code: Code): ReportCode | null {
  return code.system === systems.loinc ? (byCode.get(code.code) ?? null) : null;
}

/** The table's row with its own display as a Code to be written. */
export function codeOfRow(row: ReportCode): Code {
  return { system: systems.loinc, code: row.code, display: row.display };
}
