import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AnswerRules, answerText } from '#model/answer-text.ts';

/** [start, end) of tokens that stand one after the other. */
function spansOf(tokens: readonly string[]): (readonly [number, number])[] {
  let end = 0;
  return tokens.map((token) => {
    const start = end;
    end += token.length;
    return [start, end] as const;
  });
}

const of = (text: string, rules: AnswerRules, question = '') => answerText(text, [], rules, question).text;
const gemma: AnswerRules = { thought: { open: '<unused94>', close: '<unused95>' } };
const demo: AnswerRules = { strip: true, cutAt: ['User:', 'assistant'], cutRepetition: true };

describe('the text of an answer', () => {
  test('without rules is the text', () => expect(of(' a \n a ', {})).toBe(' a \n a '));
  test('is what follows a thought', () => expect(of('<unused94>thought\nhm<unused95>No effusion.', gemma)).toBe('No effusion.'));
  test('is all where nothing was thought', () => expect(of('No effusion.', gemma)).toBe('No effusion.'));
  test('is nothing while a thought has no end', () => expect(of('<unused94>thought\nhm', gemma)).toBe(''));
  test('ends before the first mark', () => expect(of('Clear. assistant\nUser: what', demo)).toBe('Clear.'));
  test('ends before a line that was there, blank ones aside', () => expect(of('a\n\nb\n\na\nc', demo)).toBe('a\n\nb'));
  test('ends where the question comes again, unless it begins with it', () => {
    expect(of('Yes. Is it clear? Yes.', demo, ' Is it clear? ')).toBe('Yes.');
    expect(of('Is it clear? Yes.', demo, 'Is it clear?')).toBe('Is it clear? Yes.');
  });
  test('is stripped as Python does it', () => expect(of('\u001c\u0085 a\ufeff\n', { strip: true })).toBe('a\ufeff'));
  test('spans move with it, and a token outside has an empty one', () => {
    const tokens = ['<unused94>', 'hm', '<unused95>', ' No', ' air', ' .User:', ' x'];
    const answer = answerText(tokens.join(''), spansOf(tokens), { ...gemma, ...demo }, '');
    expect(answer.text).toBe('No air .');
    expect(answer.spans).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
      [0, 2],
      [2, 6],
      [6, 8],
      [8, 8],
    ]);
  });
  test('of any text and rules is a stretch of it in which spans keep their characters and their order', () => {
    const piece = fc.constantFrom('<unused94>', '<unused95>', 'User:', 'assistant', '\n', ' ', 'ab', 'ab\n', 'é', '\u0085');
    const rules = fc.record({ strip: fc.boolean(), cutRepetition: fc.boolean() });
    fc.assert(
      fc.property(fc.array(piece), rules, (tokens, chosen) => {
        const whole = tokens.join('');
        const answer = answerText(whole, spansOf(tokens), { ...gemma, ...chosen, cutAt: ['User:'] }, 'ab');
        expect(whole).toContain(answer.text);
        expect(answer.spans.map(([from, to]) => answer.text.slice(from, to)).join('')).toBe(answer.text);
        for (const [index, [from, to]] of answer.spans.entries()) {
          expect(from).toBeLessThanOrEqual(to);
          expect(from).toBeGreaterThanOrEqual(answer.spans[index - 1]?.[1] ?? 0);
          expect(tokens[index]).toContain(answer.text.slice(from, to));
        }
      }),
    );
  });
});
