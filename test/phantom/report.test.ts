import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FindingTuple } from '#domain/finding.ts';
import { parseFindings, reportSentences, reportText } from '#phantom/report.ts';
import { makeStudy, truthOf } from '#phantom/study.ts';
import { manners } from '#phantom/wording.ts';

const sorted = (tuples: readonly FindingTuple[]): readonly string[] =>
  tuples.map((tuple) => JSON.stringify(Object.entries(tuple).sort())).sort();

describe('report of a synthetic film', () => {
  it('reads back as the truth, whatever the seed and the wording', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 12 }), fc.constantFrom(...manners), (seed, manner) => {
        const study = makeStudy(seed);
        expect(sorted(parseFindings(reportText(reportSentences(study, manner))))).toEqual(sorted(truthOf(study)));
      }),
      { numRuns: 400 },
    );
  });

  it('without a visible current film asserts nothing', () => {
    const study = makeStudy('unseen', { prior: true });
    for (const visible of [
      { current: false, prior: true },
      { current: false, prior: false },
    ]) {
      expect(parseFindings(reportText(reportSentences(study, 0, visible)))).toEqual([]);
    }
  });

  it('without a visible prior has the findings but no change', () => {
    const study = makeStudy('half', { wanted: [{ finding: 'effusion', side: 'left', site: 'lower', change: 'larger' }] });
    const tuples = parseFindings(reportText(reportSentences(study, 0, { current: true, prior: false })));
    expect(tuples).toContainEqual({ finding: 'effusion', polarity: 'present', side: 'left', site: null, change: null });
  });
});

describe('parseFindings', () => {
  it('tells "no pneumonia" from "pneumonia"', () => {
    expect(parseFindings('No pneumonia.')).toMatchObject([{ finding: 'consolidation', polarity: 'absent' }]);
    expect(parseFindings('Pneumonia.')).toMatchObject([{ finding: 'consolidation', polarity: 'present' }]);
  });

  it('keeps both sides of a contradiction', () => {
    const polarities = parseFindings('There is a small left pneumothorax.\nNo pneumothorax is seen.').map(({ polarity }) => polarity);
    expect(polarities.toSorted()).toEqual(['absent', 'present']);
  });

  it('denies everything in a list after "no", and asserts everything in a list without it', () => {
    expect(parseFindings('No nodule, pleural effusion or pneumothorax.').map(({ polarity }) => polarity)).toEqual([
      'absent',
      'absent',
      'absent',
    ]);
    expect(parseFindings('Impression: Right upper zone nodule, left pleural effusion.')).toEqual([
      { finding: 'nodule', polarity: 'present', side: 'right', site: 'upper', change: null },
      { finding: 'effusion', polarity: 'present', side: 'left', site: null, change: null },
    ]);
  });

  it('takes "no longer seen" for resolved, not for a denial without a change', () => {
    expect(parseFindings('The left pleural effusion is no longer seen.')).toEqual([
      { finding: 'effusion', polarity: 'absent', side: 'left', site: null, change: 'resolved' },
    ]);
  });

  it('finds nothing in text that names no finding', () => {
    expect(parseFindings('Findings: The current film cannot be seen.\nNormal chest film.\n')).toEqual([]);
  });
});
