import { expect, test } from 'vitest';
import { lastSeen, templateNamed } from '#model/families/gemma3/prompt.ts';

test('a text row sees up to itself, a row of an image up to the end of its own image', () => {
  const parts = [
    { kind: 'tokens', ids: [7, 7] },
    { kind: 'image', image: 0 },
    { kind: 'tokens', ids: [7] },
    { kind: 'image', image: 1 },
    { kind: 'tokens', ids: [7] },
  ] as const;
  expect(lastSeen(parts, 3)).toEqual([[0, 1, 4, 4, 4, 5, 8, 8, 8, 9]]);
});

test('the template writes the beginning of text, so the tokenizer adds none', () => {
  const template = templateNamed('gemma3');
  expect(template).toMatchObject({ before: '<bos><start_of_turn>user\n', specialTokens: false });
  expect(template.after).toBe('<end_of_turn>\n<start_of_turn>model\n');
  expect(() => templateNamed('chatml')).toThrow('no template of gemma3 is called chatml');
});
