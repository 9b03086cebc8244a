/**
 * Weights for a tiny checkpoint of any family with an autoregressive decoder, so that it draws noise from its seed and yet answers: from any
 * prompt it writes one given sequence of tokens and ends, for a draft must come of it. What the images add is noise around that.
 *
 * The token table says which token follows: x = E[last] survives the quiet blocks, and E[next] · G · x is largest, with G diagonal. Token k
 * of the sequence has a 1 in the dimensions k - 1 and k and one of its own, where G is negative so that no token follows itself; G grows
 * along the sequence, so that none goes back. That is symmetric in both tables, so a tied head takes G from the last norm.
 */
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';

export interface Answering {
  /** Token tables: by their whole names, of equal values. */
  readonly tables: readonly string[];
  /** null = tied to the table. */
  readonly head: string | null;
  /** Weight of the norm before the head. */
  readonly lastNorm: string;
  /** What ends a decoder block's part, before it is added to the rest. */
  readonly quiet: RegExp;
  /** Ids that differ from each other; the last one ends the answer and is one of the stop ids. */
  readonly answer: readonly number[];
  /** What a norm has that changes nothing, where it is not 1: authors who store weight - 1 have 0. */
  readonly one?: (name: string) => number;
}

/** Normal numbers from a seed: xorshift32 and Box-Muller. */
function gaussian(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1;
  const uniform = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return ((state >>> 0) + 1) / 2 ** 32;
  };
  for (let i = 0; i < 16; i++) uniform();
  return () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
}

/** Of a quiet block's output: what a late token of the sequence gains by noise must stay below what its place gives. */
const quietness = 0.01;
const size = 2;

/** What token `id` has in `dimension`, and G there. */
function codes(answer: readonly number[]): { of: (id: number, dimension: number) => number; g: (dimension: number) => number } {
  const steps = answer.length + 1;
  const places = new Map(answer.map((id, index) => [id, index + 1]));
  return {
    of(id, dimension) {
      const place = places.get(id) ?? 0;
      const marks = place === 0 ? [0, steps] : [place - 1, place, steps + place];
      return marks.includes(dimension) ? size : 0;
    },
    g(dimension) {
      // Every other token leads to the first one, and the first one must not lead back to so many.
      if (dimension < steps) return dimension === 0 ? 1 : 2 + dimension / 3;
      return dimension < 2 * steps ? -3 - steps / 3 : 0.1;
    },
  };
}

type Value = (row: number, column: number) => number;

/** The tensor's name and shape with values by row and by place in the row. */
function filled({ name, shape }: NamedTensor, value: Value): NamedTensor {
  const count = shape.reduce((product, one) => product * one, 1);
  const columns = count / (shape[0] ?? 1);
  return { name, shape, values: Float32Array.from({ length: count }, (_, i) => value(Math.floor(i / columns), i % columns)) };
}

/** Norms that change nothing, no biases, and noise by fan-in for the rest. */
function noisy(tensor: NamedTensor, gauss: () => number, one: number, scale: number): NamedTensor {
  const { name, shape } = tensor;
  if (shape.length < 2) return filled(tensor, () => (/(weight|running_var)$/.test(name) ? one : 0));
  const fanIn = shape.slice(1).reduce((product, each) => product * each, 1);
  return filled(tensor, () => (scale * gauss()) / Math.sqrt(fanIn));
}

/** The same names and shapes with random values, for a file without the decoder. */
export function noise(tensors: readonly NamedTensor[], seed: number): NamedTensor[] {
  const gauss = gaussian(seed);
  return tensors.map((tensor) => noisy(tensor, gauss, 1, 1));
}

/** The same names and shapes with values of this kind. @throws when the hidden size cannot hold the answer */
export function answering(tensors: readonly NamedTensor[], seed: number, how: Answering): NamedTensor[] {
  const { of, g } = codes(how.answer);
  const gauss = gaussian(seed);
  const missing = [...how.tables, how.lastNorm, how.head].filter((name) => name !== null && !tensors.some((one) => one.name === name));
  if (missing.length > 0) throw new Error(`the checkpoint has no ${missing.join(', ')}`);
  return tensors.map((tensor) => {
    const { name, shape } = tensor;
    if (how.tables.includes(name)) {
      if ((shape[1] ?? 0) < 2 * how.answer.length + 2) throw new Error(`${how.answer.length} tokens need more than ${shape[1]} dimensions`);
      return filled(tensor, of);
    }
    if (name === how.head) return filled(tensor, (row, column) => g(column) * of(row, column) + 0.02 * gauss());
    const one = how.one?.(name) ?? 1;
    if (name === how.lastNorm) return filled(tensor, (row) => (how.head === null ? g(row) - 1 : 0) + one);
    return noisy(tensor, gauss, one, how.quiet.test(name) ? quietness : 1);
  });
}

/** "The c is noral? The pist": pieces of the SentencePiece model of golden/llava/original-llama-bin2, none twice, none that ends a prompt. */
export const llamaSentences = [284, 265, 278, 282, 267, 264, 325, 283, 260, 272, 281];
