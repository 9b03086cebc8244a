/**
 * The codes that a draft may carry, read from the table codes.json, each with its source.
 *
 * A code that is not in the table is not written, and its display is always the table's: public data mislabels codes (30746-2 is a chest
 * film and is found as "CT head").
 *
 * Source: DICOM PS3.16 CID 29, 7000, 7001; LOINC, class radiology.
 */
import type { Coding } from '@medplum/fhirtypes';
import type { Code } from '#domain/code.ts';
import { systems } from '#domain/code.ts';
import type { Section } from '#domain/statement.ts';
import table from './codes.json' with { type: 'json' };

const generic = { system: systems.loinc, code: '18748-4', display: 'Diagnostic imaging study' };

/** Coding of the report: the table's row for a LOINC code that is in it, else the generic imaging report. */
export function reportCoding(code: Code | null): { system: string; code: string; display: string } {
  const row = code?.system === systems.loinc ? table.report.find((entry) => entry.code === code.code) : undefined;
  return row === undefined ? generic : { system: systems.loinc, code: row.code, display: row.display };
}

/** Coding of a statement by its section of the report. */
export function sectionCoding(section: Section): Coding {
  const row = table.section.find((entry) => entry.section === section);
  return row === undefined ? generic : { system: systems.loinc, code: row.code, display: row.display };
}

/** Coding of a DICOM modality, null when the table does not know it. */
export function modalityCoding(modality: string): Coding | null {
  const row = table.modality.find((entry) => entry.code === modality);
  return row === undefined ? null : { system: systems.dcm, code: row.code, display: row.display };
}
