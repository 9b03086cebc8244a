import { describe, expect, test } from 'vitest';
import { type AskedPicture, type AskedWording, askedPrompt } from '#prompt/asked.ts';

const bare: AskedPicture = { facts: null, slice: null };
const film = (date: string | null): AskedPicture => ({ facts: { modality: 'DX', view: 'PA', bodyPart: 'CHEST', date }, slice: null });
const slice = (index: number): AskedPicture => ({
  facts: { modality: 'CT', view: null, bodyPart: null, date: null },
  slice: { index, of: 9 },
});

/** Pieces as one string, pictures as [0], [1]. */
function said(task: string, pictures: readonly AskedPicture[], wording: AskedWording = {}, fillIn = (text: string) => text): string {
  return askedPrompt(task, fillIn, pictures, wording)
    .map((piece) => (piece.kind === 'text' ? piece.text : `[${piece.picture}]`))
    .join('');
}

describe('where the pictures stand', () => {
  test('before the task, where it says nothing', () => {
    expect(said('What?', [bare, bare])).toBe('[0][1]What?');
  });

  test('at their slots, where it has some', () => {
    expect(said('A{images}B', [bare, bare])).toBe('A[0][1]B');
    expect(said('now {image}, then {image}?', [bare, bare])).toBe('now [0], then [1]?');
    expect(() => said('now {image}, then {image}?', [bare])).toThrow(expect.objectContaining({ code: 'too-many-images' }));
  });

  test('a question cannot place a picture', () => {
    expect(said('{question}', [bare], {}, (text) => text.replace('{question}', 'Is {image} or {images} clear?'))).toBe(
      '[0]Is {image} or {images} clear?',
    );
  });

  test('after the task, where the bundle orders them so', () => {
    expect(said('What?', [bare], { order: ['history', 'task', 'images'] })).toBe('What?[0]');
  });
});

describe('the words around the pictures are the bundle’s own, or none', () => {
  const labels = { current: 'Current film, {region} {view}, {date}: ', prior: 'Prior film, {date} ({days} days earlier): ' };

  test('a film is labelled by what its file says; an older one is a prior', () => {
    expect(said('Write.', [film('2026-11-24'), film('2026-11-14')], { labels, historyNone: 'History: not given.\n' })).toBe(
      'History: not given.\nCurrent film, chest PA, 2026-11-24: [0]Prior film, 2026-11-14 (10 days earlier): [1]Write.',
    );
  });

  test('what a file does not say is left out of the label', () => {
    expect(said('Write.', [bare], { labels })).toBe('Current film: [0]Write.');
  });

  test('several pictures are numbered, one is not', () => {
    const wording = { numbered: '<image_{number}>: ' };
    expect(said('What?', [bare, bare], wording)).toBe('<image_1>: [0]<image_2>: [1]What?');
    expect(said('What?', [bare], wording)).toBe('[0]What?');
  });

  test('slices have the words of slices', () => {
    expect(said('What?', [slice(3), slice(5)], { labels: { currentSlice: '' }, afterSlice: 'SLICE {slice}' })).toBe(
      '[0]SLICE 3[1]SLICE 5What?',
    );
  });
});

test('texts that meet are one piece', () => {
  expect(askedPrompt('What?', (text) => text, [bare], { historyNone: 'None. ', labels: { current: 'A: ' } })).toEqual([
    { kind: 'text', text: 'None. A: ' },
    { kind: 'picture', picture: 0 },
    { kind: 'text', text: 'What?' },
  ]);
});
