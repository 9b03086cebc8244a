import { describe, expect, test } from 'vitest';
import { type GuardContext, guard } from '#attribution/guard.ts';
import { isNegative, mentionsOf } from '#attribution/mentions.ts';
import type { Section, Statement } from '#domain/statement.ts';
import { parseUid } from '#domain/uid.ts';

function statement(text: string, section: Section = 'findings', number = 1, image: number | null = null): Statement {
  const ref = {
    study: parseUid('1.2'),
    series: parseUid('1.2.1'),
    instance: parseUid('1.2.1.1'),
    sopClass: parseUid('1.2.3'),
    frame: null,
  };
  const citations = image === null ? [] : [{ image, ref, share: 1 }];
  return { number, section, text, dependence: 'depends', citations, support: 1, calibrated: true, holds: [] };
}

const open: GuardContext = { side: null, regions: ['chest'], sex: null, priorGiven: true, spacingKnown: [true, true], record: [] };
const rulesOf = (text: string, context: Partial<GuardContext>, image: number | null = null) =>
  guard([statement(text, 'findings', 1, image)], { ...open, ...context })[0]?.holds.map(({ rule }) => rule);

describe('side', () => {
  const knee = { side: 'right' as const, regions: ['knee'] };
  test('the other knee is held', () => expect(rulesOf('Effusion of the left knee.', knee)).toEqual(['side']));
  test.each(['Effusion of the right knee.', 'Effusion.', 'The left knee is as the right one.'])('%s is not', (text) =>
    expect(rulesOf(text, knee)).toEqual([]),
  );
  test('a chest film shows both sides', () => expect(rulesOf('Left effusion.', { side: 'right' })).toEqual([]));
  test('an order that says a side and no region is believed', () => {
    expect(rulesOf('Left effusion.', { side: 'right', regions: [] })).toEqual(['side']);
  });
  test('without a known side nothing is held', () => expect(rulesOf('Left knee.', { regions: ['knee'] })).toEqual([]));
});

describe('comparison', () => {
  const alone = { priorGiven: false };
  test.each([
    'The nodule is unchanged.',
    'New right effusion.',
    'Compared with the film of March.',
    'No significant change.',
    'The effusion has increased.',
    'The nodule has resolved.',
  ])('%s is held without a prior', (text) => expect(rulesOf(text, alone)).toEqual(['comparison']));
  test.each([
    'No prior film was given.',
    'No comparison is possible.',
    'None.',
    'Comparison: prior films are not available.',
    'The prior film cannot be seen.',
    'Left effusion.',
  ])('%s is not', (text) => expect(rulesOf(text, alone)).toEqual([]));
  test.each(['Increased interstitial markings.', 'The left effusion is larger than the right.', 'Degenerative changes.'])(
    '%s describes one film',
    (text) => expect(rulesOf(text, alone)).toEqual([]),
  );
  test('with a prior it is free', () => expect(rulesOf('The nodule is unchanged.', {})).toEqual([]));
});

describe('sex and organs', () => {
  test('the uterus of a man, the prostate of a woman', () => {
    expect(rulesOf('The uterus is enlarged.', { sex: 'male' })).toEqual(['sex']);
    expect(rulesOf('Prostate is normal.', { sex: 'female' })).toEqual(['sex']);
    expect(rulesOf('A 60-year-old man.', { sex: 'female' })).toEqual(['sex']);
  });
  test.each(['The uterus is enlarged.', 'Prostate is normal.'])('%s with an unknown sex is not held', (text) =>
    expect(rulesOf(text, {})).toEqual([]),
  );
  test('words that only contain them are no match', () => {
    expect(rulesOf('Manubrium and cervical spine are normal, female.', { sex: 'female' })).toEqual([]);
    expect(rulesOf('Cervical spine, womanly habitus.', { sex: 'male' })).toEqual([]);
  });
  test('an organ that was taken out', () => {
    const record = ['Laparoscopic cholecystectomy'];
    expect(rulesOf('The gallbladder is normal.', { record })).toEqual(['organ']);
    expect(rulesOf('The gallbladder is surgically absent.', { record })).toEqual([]);
    expect(rulesOf('The gallbladder is normal.', {})).toEqual([]);
  });
});

describe('measurement', () => {
  test.each(['A nodule of 12 mm.', 'A 1.5 cm mass.', 'A 2 x 3 cm mass.', '4 centimetres wide.'])('%s is held without spacing', (text) =>
    expect(rulesOf(text, { spacingKnown: [false, false] })).toEqual(['measurement']),
  );
  test('a sentence needs the spacing of the images that it cites', () => {
    expect(rulesOf('A nodule of 12 mm.', { spacingKnown: [true, false] }, 2)).toEqual(['measurement']);
    expect(rulesOf('A nodule of 12 mm.', { spacingKnown: [true, false] }, 1)).toEqual([]);
    expect(rulesOf('A nodule of 12 mm.', { spacingKnown: [true, false] })).toEqual([]);
  });
  test.each(['Follow-up in 3 months.', 'Grade 2.', '2 nodules.'])('%s measures nothing', (text) =>
    expect(rulesOf(text, { spacingKnown: [false] })).toEqual([]),
  );
});

describe('contradiction inside the draft', () => {
  const holds = (...all: (readonly [string, Section])[]) =>
    guard(
      all.map(([text, section], at) => statement(text, section, at + 1)),
      open,
    ).map(({ holds: own }) => own.map(({ rule }) => rule).join());

  test('present and absent hold both sentences', () => {
    expect(holds(['Left pleural effusion.', 'findings'], ['Normal heart.', 'findings'], ['No effusion.', 'impression'])).toEqual([
      'contradiction',
      '',
      'contradiction',
    ]);
  });
  test('the message names the other sentence', () => {
    const [first] = guard([statement('Left effusion.'), statement('No effusion.', 'impression', 2)], open);
    expect(first?.holds[0]?.message).toBe('It says that effusion is present; sentence 2 says the opposite.');
  });
  test('opposite sides in findings and impression', () => {
    expect(holds(['Left effusion.', 'findings'], ['Right effusion.', 'impression'])).toEqual(['contradiction', 'contradiction']);
    expect(holds(['Left effusion.', 'findings'], ['Right effusion.', 'findings'], ['Bilateral effusions.', 'impression'])).toEqual([
      '',
      '',
      '',
    ]);
  });
  test.each<[string, string]>([
    ['No right effusion.', 'Left effusion.'],
    ['No nodule in the right upper zone.', 'Nodule in the right lower zone.'],
    ['No other nodule.', 'Nodule in the right lower zone.'],
    ['No large effusion.', 'Small left effusion.'],
    ['No acute fracture.', 'Old rib fracture.'],
    ['No mass effect.', 'A mass in the left lung.'],
    ['Possible pneumonia.', 'No pneumonia.'],
    ['The prior film showed an effusion.', 'No effusion.'],
    ['The left effusion has resolved.', 'No effusion.'],
    ['No pneumothorax, small left effusion.', 'Left effusion.'],
    ['No effusion, pneumothorax or consolidation.', 'Nodule.'],
    ['The heart is not enlarged.', 'Heart size is normal.'],
    ['Pericardial effusion.', 'No pleural effusion.'],
  ])('%s and %s do not contradict', (a, b) => expect(holds([a, 'findings'], [b, 'impression'])).toEqual(['', '']));
  test.each<[string, string]>([
    ['No effusion, pneumothorax or consolidation.', 'Right pneumothorax.'],
    ['The heart is not enlarged.', 'Cardiomegaly.'],
    ['Heart size is normal.', 'The heart is mildly enlarged.'],
    ['There is no pneumothorax.', 'Small apical pneumothorax.'],
    ['Effusion is not seen.', 'The left effusion is unchanged.'],
  ])('%s and %s do', (a, b) => expect(holds([a, 'findings'], [b, 'impression'])).toEqual(['contradiction', 'contradiction']));
});

test('holds are added to those a statement has, and free statements are left as they are', () => {
  const held = { ...statement('New nodule of 3 cm.'), holds: [{ rule: 'reference-unresolved', message: 'x' }] };
  const free = statement('Clear.', 'findings', 2);
  const after = guard([held, free], { ...open, priorGiven: false, spacingKnown: [] });
  expect(after[0]?.holds.map(({ rule }) => rule)).toEqual(['reference-unresolved', 'comparison', 'measurement']);
  expect(after[1]).toBe(free);
});

describe('mentions', () => {
  test('a negated list is one negation', () => {
    expect(
      mentionsOf('No pleural effusion, pneumothorax or focal consolidation is seen.').map(({ finding, polarity }) => [finding, polarity]),
    ).toEqual([
      ['effusion', 'absent'],
      ['pneumothorax', 'absent'],
      ['consolidation', 'absent'],
    ]);
  });
  test('side and site are those of the clause', () => {
    expect(mentionsOf('Small right upper zone nodule, large left pleural effusion.')).toEqual([
      { finding: 'nodule', polarity: 'present', side: 'right', site: 'upper' },
      { finding: 'effusion', polarity: 'present', side: 'left', site: null },
    ]);
  });
  test.each(['No effusion.', 'Lungs are clear.', 'Heart size is normal.', 'Unremarkable.'])('%s only says what is not', (text) =>
    expect(isNegative(text)).toBe(true),
  );
  test.each([
    'Left effusion.',
    'No effusion, but a left nodule.',
    'Please correlate.',
    'The nodule is unchanged.',
    'No prior film was given.',
  ])('%s says more', (text) => expect(isNegative(text)).toBe(false));
});
