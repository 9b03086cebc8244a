/** Answers that a small model seldom gives: without a sentence, without an end, of a guessed length. The engine here says what it is told to. */
import { expect, test } from 'vitest';
import type { Answer } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import { buildPrompt } from '#prompt/prompt.ts';
import { defaultWording } from '#prompt/wording.ts';
import { type Answerer, askAll, withQuestions } from '#reading/ask.ts';
import { study } from '../gather/fixtures.ts';
import { evidence, picture } from '../prompt/fixtures.ts';

type Given = Partial<Answer> & Pick<Answer, 'text'>;

const pictures = [picture('1.2.1', 1)];
const limits = { maxImages: 1, tokenBudget: 0, countTokens: () => 0 };
const prompt = buildPrompt({ evidence: evidence(study('1.2.1')), pictures, slices: new Map(), wording: defaultWording, limits });

/** One answer after the other; '' is what the engine refuses. */
function answerer(answers: readonly Given[]): Answerer {
  const left = [...answers];
  return {
    task: { name: 'vqa_open', wording: defaultWording, questions: [] },
    bundle: {
      manifest: {
        attribution: { threshold: null, citeUncalibrated: true, budgetMs: 1000 },
        limits: { maxImages: 1, contextTokens: 9, maxNewTokens: 9 },
        numberType: 'fp32',
      },
    },
    device: {
      info: { provider: 'cpu' },
      ask: async () => {
        const given = left.shift() ?? { text: '' };
        if (given.text === '') throw new WetreadError('answer-empty', 'no text');
        const answer: Answer = {
          tokens: [1],
          spans: [[0, given.text.length]],
          logProbs: [-1],
          stop: 'stop',
          promptTokens: 1,
          images: 1,
          ...given,
        };
        return { answer, promptId: 'p', promptText: null, inputIds: [] };
      },
      score: async (_, keep) => [keep[0] ? -1 : -2],
      release: async () => undefined,
    },
  };
}

const ask = (answers: readonly Given[], questions: readonly (string | null)[]) =>
  askAll(
    answerer(answers),
    questions.map((question) => ({ prompt, question })),
    pictures,
    () => 0,
  );

test('a report without a sentence is no draft', async () => {
  await expect(ask([{ text: '\u0000 ...' }], [null])).rejects.toMatchObject({
    code: 'answer-empty',
    message: 'the answer has no sentence',
  });
});

test('a report that does not end is no draft', async () => {
  await expect(ask([{ text: 'Clear.', stop: 'length' }], [null])).rejects.toMatchObject({ code: 'answer-too-long' });
});

test('an answer of a guessed length is one, with what must be known of it', async () => {
  const { statements, warnings } = await ask([{ text: 'effusion', stop: 'length', note: 'Its length is a guess.' }], ['What is it?']);
  expect(statements).toMatchObject([{ number: 1, text: 'effusion', dependence: 'depends' }]);
  expect(warnings).toContainEqual({ code: 'answer-note', message: 'Its length is a guess.' });
});

test('a question without an answer is said, and the others are numbered through with their questions', async () => {
  const asked = await ask([{ text: 'Yes. Two.' }, { text: '' }, { text: 'left' }], ['A nodule?', 'Which?', 'Where?']);
  expect(withQuestions(asked.statements, asked).map(({ number, text }) => [number, text])).toEqual([
    [1, 'Question: A nodule? Answer: Yes.'],
    [2, 'Question: A nodule? Answer: Two.'],
    [3, 'Question: Where? Answer: left'],
  ]);
  expect(asked.warnings.map(({ code }) => code)).toEqual(['questions-only', 'question-unanswered']);
  expect(asked.warnings[1]?.message).toContain('Which?');
});

test('no answer to any question is no draft', async () => {
  await expect(ask([], ['A nodule?', 'Where?'])).rejects.toMatchObject({ code: 'answer-empty' });
});
