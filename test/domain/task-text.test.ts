import { describe, expect, test } from 'vitest';
import { codeOf } from '#domain/errors.ts';
import { textsAround } from '#domain/task-text.ts';

describe('the texts around the pictures of a task', () => {
  test('pictures stand before a text without a slot', () => expect(textsAround('Describe.', 2)).toEqual(['', '', 'Describe.']));
  test('they stand together at {images}', () => expect(textsAround('See {images} there.', 2)).toEqual(['See ', '', ' there.']));
  test('each stands at an {image} of its own', () => expect(textsAround('T1: {image}, T2: {image}.', 2)).toEqual(['T1: ', ', T2: ', '.']));
  test('without a picture the slot leaves nothing', () => expect(textsAround('See {images} there.', 0)).toEqual(['See  there.']));
  test('a bare {} is text', () => expect(textsAround('Findings: {}.', 1)).toEqual(['', 'Findings: {}.']));
  test('another number of pictures than places is refused with both numbers', () => {
    const refused = () => textsAround('T1: {image}, T2: {image}.', 3);
    expect(refused).toThrow(/places for 2 images, 3 were given/);
    try {
      refused();
    } catch (error) {
      expect(codeOf(error)).toBe('too-many-images');
    }
  });
});
