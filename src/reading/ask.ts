/**
 * The prompts of a draft on the engine: each answer with what its sentences depend on, one after the other, as one list of statements.
 *
 * An answer to a question says nothing without the question, so its sentences carry it; the guard sees the answer alone.
 */
import { type Attributed, attribute } from '#attribution/attribute.ts';
import { codeOf, type Warning, WetreadError } from '#domain/errors.ts';
import type { Picture } from '#domain/picture.ts';
import type { Attribution, Statement } from '#domain/statement.ts';
import { imageKey } from '#domain/study.ts';
import { thresholdOn } from '#model/threshold.ts';
import { type Prompt, partsOf } from '#prompt/prompt.ts';
import { answeredWords } from '#report/words.ts';
import type { Reader } from './bundles.ts';

/** Of a reader, what asking takes. */
export interface Answerer extends Pick<Reader, 'task'> {
  readonly bundle: { readonly manifest: Pick<Reader['bundle']['manifest'], 'attribution' | 'limits' | 'numberType'> };
  readonly device: Pick<Reader['device'], 'ask' | 'score' | 'release'> & { readonly info: Pick<Reader['device']['info'], 'provider'> };
}

export interface Question {
  readonly prompt: Prompt;
  /** Null = the prompt asks for a report. */
  readonly question: string | null;
}

export interface Asked {
  /** Numbered through; the model's words alone. */
  readonly statements: readonly Statement[];
  /** The question of each statement. */
  readonly questions: readonly (string | null)[];
  readonly attribution: Attribution;
  readonly warnings: readonly Warning[];
}

/**
 * A question without an answer is said, and the others stand; nothing said at all is no draft.
 * @throws answer-empty, answer-too-long, answer-repeats and what the engine throws
 */
export async function askAll(
  reader: Answerer,
  asked: readonly Question[],
  pictures: readonly Picture[],
  now: () => number,
): Promise<Asked> {
  const budgetMs = reader.bundle.manifest.attribution.budgetMs / asked.length;
  const answers: (Answered & { readonly question: string | null })[] = [];
  const unanswered: Warning[] = [];
  for (const { prompt, question } of asked) {
    try {
      answers.push({ question, ...(await askOne(reader, prompt, pictures, budgetMs, now)) });
    } catch (error) {
      if (question === null || codeOf(error) !== 'answer-empty') throw error;
      unanswered.push({ code: 'question-unanswered', message: `The model had no answer to: ${question}` });
    }
  }
  const [start] = answers;
  if (start === undefined) throw new WetreadError('answer-empty', `the model had no answer to any of ${asked.length} questions`);
  const said = answers.flatMap(({ statements, question }) => statements.map((statement) => ({ statement, question })));
  const lines = [...new Set(answers.map(({ attribution }) => attribution.line))];
  return {
    statements: said.map(({ statement }, index) => ({ ...statement, number: index + 1 })),
    questions: said.map(({ question }) => question),
    attribution: { ...start.attribution, line: lines.join(' ') },
    warnings: [
      ...(start.question === null ? [] : [onlyAnswers(asked.length)]),
      ...unanswered,
      ...answers.flatMap(({ warnings }) => warnings),
    ],
  };
}

/** The statements with the questions that they answer. */
export function withQuestions(statements: readonly Statement[], { questions }: Pick<Asked, 'questions'>): readonly Statement[] {
  return statements.map((statement, index) => {
    const question = questions[index] ?? null;
    return question === null ? statement : { ...statement, text: answeredWords(question, statement.text) };
  });
}

function onlyAnswers(count: number): Warning {
  const asked = count === 1 ? 'one question' : `${count} questions`;
  return {
    code: 'questions-only',
    message: `This model writes no report: it was asked ${asked} about the images, and nothing else was looked for.`,
  };
}

type Answered = Pick<Attributed, 'statements' | 'attribution' | 'warnings'>;

async function askOne(
  { device, bundle, task }: Answerer,
  prompt: Prompt,
  pictures: readonly Picture[],
  timeBudgetMs: number,
  now: () => number,
): Promise<Answered> {
  const { manifest } = bundle;
  const { answer, promptId } = await device.ask({ parts: partsOf(prompt.segments), task: task.name, maxNewTokens: null });
  try {
    // A note says that nobody knows where such an answer ends: it was given as many tokens as it has.
    if (answer.stop === 'length' && answer.note === undefined)
      throw new WetreadError('answer-too-long', `the model did not come to an end within ${manifest.limits.maxNewTokens} tokens`);
    if (answer.stop === 'repetition') throw new WetreadError('answer-repeats', 'the model repeats itself');
    const attributed = await attribute({
      scorer: (keep, nullImage) => device.score(promptId, keep, nullImage),
      answer,
      images: prompt.images.map(({ ref }) => ref),
      threshold: thresholdOn(manifest, device.info.provider),
      citeWithoutThreshold: manifest.attribution.citeUncalibrated,
      timeBudgetMs,
      now,
      resolve: (ref) => pictures.some((picture) => imageKey(picture.ref) === imageKey(ref)),
    });
    if (attributed.statements.length === 0) throw new WetreadError('answer-empty', 'the answer has no sentence');
    const noted = answer.note === undefined ? [] : [{ code: 'answer-note', message: answer.note }];
    return { ...attributed, warnings: [...noted, ...attributed.warnings] };
  } finally {
    await device.release(promptId);
  }
}
