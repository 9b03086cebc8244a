import { describe, expect, it } from 'vitest';
import type { FindingTuple } from '#domain/finding.ts';
import { majority, scoreCases } from '#evaluate/score.ts';
import { parseFindings } from '#phantom/report.ts';

const present = (finding: FindingTuple['finding'], side: FindingTuple['side'], change: FindingTuple['change'] = null): FindingTuple => ({
  finding,
  polarity: 'present',
  side,
  site: null,
  change,
});
const absent = (finding: FindingTuple['finding']): FindingTuple => ({ ...present(finding, null), polarity: 'absent' });

describe('scoreCases', () => {
  it('counts a contradiction as two errors and an omission as one, in both directions', () => {
    const errors = (truth: FindingTuple[], predicted: FindingTuple[]): number => scoreCases([{ truth, predicted }]).errors;
    expect(errors([present('consolidation', 'left')], [...parseFindings('No pneumonia.')])).toBe(2);
    expect(errors([present('consolidation', 'left')], [])).toBe(1);
    expect(errors([absent('consolidation')], [...parseFindings('Pneumonia.')])).toBe(2);
    expect(errors([present('effusion', 'left')], [present('effusion', 'left'), present('effusion', 'right')])).toBe(1);
  });

  it('gives nothing for denying everything, and 1 for the truth', () => {
    const truth = [present('nodule', 'left', 'new'), absent('effusion')];
    expect(scoreCases([{ truth, predicted: [absent('nodule'), absent('effusion')] }]).f1).toBe(0);
    expect(scoreCases([{ truth, predicted: truth }])).toMatchObject({ f1: 1, side: { value: 1 }, change: { value: 1 }, errors: 0 });
  });

  it('counts the wrong side as found, with a wrong side', () => {
    expect(scoreCases([{ truth: [present('nodule', 'left')], predicted: [present('nodule', 'right')] }])).toMatchObject({
      f1: 1,
      side: { right: 0, of: 1, value: 0 },
    });
  });

  it('counts missed lesions among the changes, and resolved ones too', () => {
    const gone: FindingTuple = { ...absent('effusion'), side: 'right', change: 'resolved' };
    const truth = [present('nodule', 'left', 'new'), gone];
    expect(scoreCases([{ truth, predicted: [] }]).change).toEqual({ right: 0, of: 2, value: 0 });
    expect(scoreCases([{ truth, predicted: [gone] }]).change).toEqual({ right: 1, of: 2, value: 0.5 });
  });

  it('counts a report that contradicts itself as wrong once more', () => {
    const truth = [present('effusion', 'left')];
    expect(scoreCases([{ truth, predicted: [...truth, absent('effusion')] }])).toMatchObject({ errors: 1, contradictions: 1 });
  });

  it('has no figure where there is nothing to count', () => {
    expect(scoreCases([{ truth: [absent('nodule')], predicted: [absent('nodule')] }])).toMatchObject({ f1: null, side: { value: null } });
  });
});

describe('majority', () => {
  it('is the most frequent finding with its most frequent side and change', () => {
    const truths = [
      [present('nodule', 'left', 'new')],
      [present('nodule', 'left', 'larger')],
      [present('nodule', 'right', 'new')],
      [present('effusion', 'right')],
    ];
    expect(majority(truths)).toEqual([present('nodule', 'left', 'new')]);
  });
});
