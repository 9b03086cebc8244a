import type { DiagnosticReport } from '@medplum/fhirtypes';
import { expect, test } from 'vitest';
import { compareDelivered } from '#report/compare.ts';
import { draftReport, draftTransaction } from '#report/diagnostic-report.ts';
import { exampleDraft, writeOptions } from './example-draft.ts';

const sent = draftReport(exampleDraft, writeOptions);
const urns = (draftTransaction(exampleDraft, writeOptions).entry ?? []).map((entry) => entry.fullUrl ?? '');
const references = new Map(urns.map((urn, index) => [urn, `Any/${index}`]));

/** The report as a server gives it back: references resolved, meta filled in. */
function stored(change: (report: DiagnosticReport) => DiagnosticReport = (report) => report): DiagnosticReport {
  let text = JSON.stringify(sent);
  for (const [urn, reference] of references) text = text.replaceAll(`"reference":"${urn}"`, `"reference":"${reference}"`);
  const report = JSON.parse(text) as DiagnosticReport; // what was a DiagnosticReport before its references were replaced
  return change({ ...report, id: '17', meta: { ...report.meta, versionId: '1', lastUpdated: '2026-11-24T09:06:00Z' } });
}

test('a server that resolves references, adds to meta and rewrites the narrative shows no difference', () => {
  expect(compareDelivered(sent, stored(), references)).toEqual([]);
  const free = stored((report) => ({
    ...report,
    text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">other</div>' },
    issued: '2026-11-24T09:05:31.000+00:00',
    extension: [...(report.extension ?? [])].reverse(),
    meta: { ...report.meta, tag: [{ system: 'x', code: 'server' }] },
    subject: { reference: 'https://fhir.example/r4/Patient/ada' },
  }));
  expect(compareDelivered(sent, free, references)).toEqual([]);
});

test.each<[string, string, (report: DiagnosticReport) => DiagnosticReport]>([
  ['a dropped label', 'DiagnosticReport.meta.security[0]', (report) => ({ ...report, meta: { profile: report.meta?.profile ?? [] } })],
  ['another status', 'DiagnosticReport.status', (report) => ({ ...report, status: 'final' })],
  ['a dropped extension', 'DiagnosticReport.extension[0]', (report) => ({ ...report, extension: (report.extension ?? []).slice(1) })],
  [
    'statements in another order',
    'DiagnosticReport.result[0].reference',
    (report) => ({ ...report, result: [...(report.result ?? [])].reverse() }),
  ],
  [
    'a result more',
    'DiagnosticReport.result',
    (report) => ({ ...report, result: [...(report.result ?? []), { reference: 'Observation/x' }] }),
  ],
  ['another patient', 'DiagnosticReport.subject.reference', (report) => ({ ...report, subject: { reference: 'Patient/xada' } })],
  ['another conclusion', 'DiagnosticReport.conclusion', (report) => ({ ...report, conclusion: 'Normal.' })],
])('%s is a difference, named by its path', (_, path, change) => {
  const differences = compareDelivered(sent, stored(change), references);
  expect(differences.map((difference) => difference.path)).toContain(path);
});

test('what is missing is found null, what is changed is quoted', () => {
  const [missing] = compareDelivered(
    sent,
    stored((report) => ({ ...report, meta: {} })),
    references,
  );
  expect(missing?.found).toBeNull();
  const [changed] = compareDelivered(
    sent,
    stored((report) => ({ ...report, status: 'final' })),
    references,
  );
  expect(changed).toEqual({ path: 'DiagnosticReport.status', sent: '"partial"', found: '"final"' });
});
