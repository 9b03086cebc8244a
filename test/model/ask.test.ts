import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { askedTask, askedTexts, type Question } from '#model/ask.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import { makeRandomBundle } from '#model/random.ts';
import { temporaryFolder } from './folder.ts';

const bundle = await makeRandomBundle({
  dir: join(await temporaryFolder(), 'bundle'),
  seed: 1,
  modalities: ['DX'],
  maxImages: 2,
  citeUncalibrated: true,
});
const manifest: Manifest = {
  ...bundle.manifest,
  tasks: {
    report: { text: 'Report.' },
    open: { text: '{question}\nBriefly.' },
    choice: { text: '{question}\n{options}', between: '; ' },
    results: { text: 'Seen elsewhere:\n{results}Your opinion?' },
  },
};
const question = (given: Partial<Question>): Question => ({ task: null, text: null, options: [], results: null, ...given });
const asked = (task: string, given: Partial<Question> = {}): string => {
  const { text, fillIn } = askedTask(manifest, task, question({ task, ...given }));
  return fillIn(text);
};
const refused = (code: string, words: string) => expect.objectContaining({ code, message: expect.stringContaining(words) });

describe('a task', () => {
  test('has its slots filled, each with what is given for it', () => {
    expect(asked('report')).toBe('Report.');
    expect(asked('open', { text: 'Is it {options}?' })).toBe('Is it {options}?\nBriefly.');
    expect(asked('choice', { text: 'Which?', options: ['A: left', 'B: right'] })).toBe('Which?\nA: left; B: right');
    expect(asked('results', { results: ' fracture: yes\n' })).toBe('Seen elsewhere:\n fracture: yes\nYour opinion?');
  });

  test('that is not there is refused with those that are', () => {
    expect(() => asked('constructor')).toThrow(
      expect.objectContaining({ code: 'not-found', hint: expect.stringContaining('report, open') }),
    );
  });

  test('is not asked with a slot left empty, nor with what it has no slot for', () => {
    expect(() => asked('open')).toThrow(refused('request-malformed', 'needs --text'));
    expect(() => asked('open', { text: '  ' })).toThrow(refused('request-malformed', 'needs --text'));
    expect(() => asked('choice', { text: 'Which?' })).toThrow(refused('request-malformed', 'needs --option'));
    expect(() => asked('results')).toThrow(refused('request-malformed', 'needs --results'));
    expect(() => asked('open', { text: 'Which?', options: ['A'] })).toThrow(refused('request-malformed', 'no place for --option'));
    expect(() => asked('report', { text: 'Which?' })).toThrow(refused('request-malformed', 'no place for --text'));
  });

  test('places its images itself: a mark in a question is refused', () => {
    expect(() => asked('open', { text: 'Is <image> clear?' })).toThrow(refused('request-malformed', 'holds <image>'));
    expect(() => asked('choice', { text: 'Which?', options: ['<image>'] })).toThrow(refused('request-malformed', '--option'));
  });
});

describe('a text of one’s own', () => {
  test('stands after its images, or around them where it has marks', () => {
    expect(askedTexts(manifest, question({ text: 'What?' }), 2)).toEqual(['', '', 'What?']);
    expect(askedTexts(manifest, question({ text: 'Before: <image> now: <image>?' }), 2)).toEqual(['Before: ', ' now: ', '?']);
    expect(askedTexts(manifest, question({ text: 'What?' }), 0)).toEqual(['What?']);
  });

  test('with more or fewer marks than images is refused with both numbers', () => {
    expect(() => askedTexts(manifest, question({ text: '<image> What?' }), 0)).toThrow(refused('request-malformed', 'no image was given'));
    expect(() => askedTexts(manifest, question({ text: '<image><image> What?' }), 1)).toThrow(refused('request-malformed', '2 places'));
    expect(() => askedTexts(manifest, question({ text: '<image> What?' }), 2)).toThrow(refused('request-malformed', '2 were given'));
  });

  test('is not empty, and has no options', () => {
    expect(() => askedTexts(manifest, question({ text: ' ' }), 1)).toThrow(refused('request-malformed', 'empty'));
    expect(() => askedTexts(manifest, question({ text: 'What?', options: ['A'] }), 1)).toThrow(refused('request-malformed', 'a task'));
  });
});
