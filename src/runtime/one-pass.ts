/**
 * Answers that are read off the prompt's own rows in one pass, as a masked language model gives them: each row names its own token.
 *
 * How many rows the answer has is part of the prompt. Where nobody knows it, several prompts are read and the one whose tokens are likeliest on
 * average is kept: that is a guess, and it is said.
 */
import { WetreadError } from '#domain/errors.ts';
import type { EncodedPrompt } from '#model/encoded.ts';
import { mayStand } from './answer-rules.ts';
import type { Decoder, Rows } from './decoder.ts';
import type { Engine, Generated, GenerateOptions, Prepared } from './engine.ts';
import { bestId, logProbability } from './log-softmax.ts';

/** The likeliest token of each of `answerRows`. `stop` is `stop`: the rows are as many as was asked for. */
export async function readRows(decoder: Decoder, rows: Rows, answerRows: readonly number[], options: GenerateOptions): Promise<Generated> {
  const { vocabSize } = decoder.sizes;
  const { logits } = await decoder.step(decoder.emptyCache(), rows, answerRows);
  const limit = Math.min(options.tokenizerSize, vocabSize);
  const tokens = answerRows.map((_, row) => bestId(logits, row, vocabSize, limit, mayStand(options, row)));
  const bad = tokens.findIndex((id) => id < 0);
  if (bad >= 0) throw new WetreadError('not-finite', `no logit of answer row ${bad + 1} is a number`);
  return { tokens, logProbs: tokens.map((id, row) => logProbability(logits, row, vocabSize, id)), stop: 'stop' };
}

/** Natural log-probability of each of `tokens` at its row. @throws internal when there are other numbers of them */
export async function scoreRows(
  decoder: Decoder,
  rows: Rows,
  answerRows: readonly number[],
  tokens: readonly number[],
): Promise<readonly number[]> {
  if (tokens.length !== answerRows.length) {
    throw new WetreadError('internal', `${tokens.length} tokens are to be scored, the prompt has ${answerRows.length} rows for them`);
  }
  const { logits } = await decoder.step(decoder.emptyCache(), rows, answerRows);
  return tokens.map((id, row) => logProbability(logits, row, decoder.sizes.vocabSize, id));
}

export interface Guess {
  readonly prepared: Prepared;
  readonly generated: Generated;
  /** null where one length was possible from the start. */
  readonly note: string | null;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Reads a prompt with each of `lengths` rows for the answer and keeps the likeliest; its tokens are told to `onToken` then. A length for which
 * the prompt has no room ends the search. A guessed answer stops by `length`: nothing says that it was at its end.
 *
 * @param lengths one = the form of the answer says it; of several, those beyond options.maxNewTokens are left out, the first never
 * @param encode the prompt with that many rows for the answer
 * @throws prompt-too-long when not even the first length fits; what the engine throws
 */
export async function guessLength(
  engine: Engine,
  lengths: readonly number[],
  encode: (length: number) => EncodedPrompt,
  options: GenerateOptions,
): Promise<Guess> {
  const tried: number[] = [];
  let best: { readonly prepared: Prepared; readonly generated: Generated } | null = null;
  for (const [index, length] of lengths.entries()) {
    if (index > 0 && length > options.maxNewTokens) continue;
    const encoded = fitting(() => encode(length), best !== null);
    if (encoded === null) break;
    const prepared = await engine.prepare(encoded, 0);
    // The pictures are the same ones in every form of the prompt.
    for (const [key, rows] of best?.prepared.features ?? []) prepared.features.set(key, rows);
    const generated = await engine.generate(prepared, options);
    tried.push(length);
    if (best === null || mean(generated.logProbs) > mean(best.generated.logProbs)) best = { prepared, generated };
  }
  if (best === null) throw new WetreadError('internal', 'no length of answer was tried');
  for (const id of best.generated.tokens) options.onToken?.(id);
  if (lengths.length === 1) return { ...best, note: null };
  const { length } = best.generated.tokens;
  const note = `The length of this answer, ${length} of the ${tried.join(', ')} tokens that were tried, is a guess: the model does not say where an answer ends.`;
  return { prepared: best.prepared, generated: { ...best.generated, stop: 'length' }, note };
}

/** null for a prompt that became too long by its answer's rows alone. */
function fitting(encode: () => EncodedPrompt, isLonger: boolean): EncodedPrompt | null {
  try {
    return encode();
  } catch (error) {
    if (isLonger && error instanceof WetreadError && error.code === 'prompt-too-long') return null;
    throw error;
  }
}
