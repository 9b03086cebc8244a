import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { z } from 'zod';
import table from '#report/codes.json' with { type: 'json' };
import { modalityCoding, reportCoding, sectionCoding } from '#report/codes.ts';
import { projectRoot } from './examples.ts';

const ValueSet = z.object({
  compose: z.object({ include: z.array(z.object({ concept: z.array(z.object({ code: z.string(), display: z.string() })) })).length(1) }),
});

function conceptsOf(name: string): readonly { code: string; display: string }[] {
  const file = join(projectRoot, `fhir-profiles/terminology/value-set-${name}.json`);
  return ValueSet.parse(JSON.parse(readFileSync(file, 'utf8'))).compose.include.flatMap((include) => include.concept);
}

test('a code that is not in the table is not written, whatever it claims', () => {
  const known = new Set(table.report.map((row) => row.code));
  fc.assert(
    fc.property(fc.string(), fc.constantFrom('http://loinc.org', 'http://snomed.info/sct', null), (code, system) => {
      fc.pre(!known.has(code));
      expect(reportCoding({ system, code, display: 'x' }).code).toBe('18748-4');
    }),
  );
  expect(reportCoding(null).code).toBe('18748-4');
  expect(reportCoding({ system: 'urn:local', code: '24648-8', display: 'x' }).code).toBe('18748-4');
  expect(modalityCoding('OT')).toBeNull();
});

test("the display is the table's: a chest film that is called CT head elsewhere stays a chest film", () => {
  expect(reportCoding({ system: 'http://loinc.org', code: '30746-2', display: 'CT Head' })).toEqual({
    system: 'http://loinc.org',
    code: '30746-2',
    display: 'Portable XR Chest Views',
  });
});

test('each section has its own code', () => {
  const codes = (['findings', 'comparison', 'impression'] as const).map((section) => sectionCoding(section).code);
  expect(codes).toEqual(['59776-5', '18834-2', '19005-8']);
});

test('every row has a source and stands once, and the value sets of fhir-profiles are the same lists', () => {
  for (const rows of [table.report, table.section, table.modality]) {
    expect(new Set(rows.map((row) => row.code)).size).toBe(rows.length);
    expect(rows.every((row) => row.source !== '' && row.display !== '')).toBe(true);
  }
  expect(conceptsOf('report-code')).toEqual(table.report.map(({ code, display }) => ({ code, display })));
  expect(conceptsOf('statement-section')).toEqual(table.section.map(({ code, display }) => ({ code, display })));
});
