import { expect, test } from 'vitest';
import { guard } from '#attribution/guard.ts';
import { sentencesOf } from '#attribution/statements.ts';
import type { Statement } from '#domain/statement.ts';
import { type ReportSentence, reportSentences, reportText } from '#phantom/report.ts';
import { makeStudy } from '#phantom/study.ts';
import { manners } from '#phantom/wording.ts';

const count = 400;

function statementsOf(text: string): readonly Statement[] {
  return sentencesOf(text).map(({ section, text: words }, at) => ({
    number: at + 1,
    section,
    text: words,
    dependence: 'depends',
    citations: [],
    support: 1,
    calibrated: true,
    holds: [],
  }));
}

/** True reports of synthetic patients in every wording. */
const reports = Array.from({ length: count }, (_, seed) => makeStudy(`guard ${seed}`)).flatMap((study) =>
  manners.map((manner) => ({ study, sentences: reportSentences(study, manner) })),
);

test(`the sentences of ${count} true reports in every wording are found as they were written`, () => {
  for (const { sentences } of reports) {
    const found: readonly ReportSentence[] = sentencesOf(reportText(sentences)).map(({ section, text }) => ({ section, text }));
    expect(found).toEqual(sentences);
  }
});

test('not one of them is held, with or without a prior', () => {
  for (const { study, sentences } of reports) {
    const context = { side: null, regions: ['chest'], sex: 'female' as const, priorGiven: study.prior, spacingKnown: [false], record: [] };
    for (const { text, holds } of guard(statementsOf(reportText(sentences)), context)) expect(holds, text).toEqual([]);
  }
});

test('the comparison of a report is held when the prior is taken away', () => {
  const changed = reports.filter(({ study }) => study.prior && study.lesions.length > 0);
  expect(changed.length).toBeGreaterThan(100);
  for (const { sentences } of changed) {
    const context = { side: null, regions: ['chest'], sex: null, priorGiven: false, spacingKnown: [], record: [] };
    for (const { section, holds, text } of guard(statementsOf(reportText(sentences)), context)) {
      expect(holds.length > 0, text).toBe(section === 'comparison');
    }
  }
});

test('a finding turned to the other side in the impression is held', () => {
  let turned = 0;
  for (const { sentences } of reports) {
    const impression = sentences.at(-1)?.text ?? '';
    if (!/^(Left|Right)[^,]*\.$/.test(impression)) continue;
    const other = impression.startsWith('Left') ? impression.replace('Left', 'Right') : impression.replace('Right', 'Left');
    const text = reportText([...sentences.slice(0, -1), { section: 'impression', text: other }]);
    const context = { side: null, regions: ['chest'], sex: null, priorGiven: true, spacingKnown: [], record: [] };
    expect(
      guard(statementsOf(text), context)
        .at(-1)
        ?.holds.map(({ rule }) => rule),
      text,
    ).toEqual(['contradiction']);
    turned++;
  }
  expect(turned).toBeGreaterThan(100);
});
