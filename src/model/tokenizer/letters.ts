/** The letters by which a choice is answered, as tokens. */
import type { Tokenizer } from './tokenizer.ts';

/** Options of the questions that models of choice were trained on. */
export const letters = ['A', 'B', 'C', 'D'] as const;

/**
 * Id of a letter that follows a blank, as an answer does its prompt: in SentencePiece's vocabularies that is another piece than the letter
 * inside a word. null where the tokenizer has no such piece: the answer cannot be that letter.
 */
export function letterId(tokenizer: Tokenizer, letter: string): number | null {
  return tokenizer.idOf(`▁${letter}`);
}
