/**
 * Beam search: several continuations grow side by side, and the best of all their next steps are kept.
 *
 * The rule `length-averaged`: sums of log-probabilities are compared by their mean per token, at every step. A beam that came to a stop stays
 * among the others with the mean that it has, and may be pushed out by them; nothing is set aside. The search ends when all beams have stopped
 * or the limit is reached. So it is not the beam search of the transformers library, and finds other answers.
 * Source: tjvsonsbeek/open-ended-medical-vqa, utils.generate_beam.
 */
import { WetreadError } from '#domain/errors.ts';
import { mayStand } from './answer-rules.ts';
import type { Cache, Decoder, Rows, Surroundings } from './decoder.ts';
import type { GenerateOptions } from './engine.ts';
import { bestIds } from './log-softmax.ts';

/** What has been written so far, best first in a result. */
export interface Beam {
  readonly tokens: readonly number[];
  /** Natural log of each token's probability. */
  readonly logProbs: readonly number[];
  /** Mean of logProbs: what beams are compared by. */
  readonly mean: number;
  readonly isStopped: boolean;
}

/** A beam with the cache that its last token is not in yet. */
interface Growing extends Beam {
  readonly cache: Cache;
}

interface Start {
  readonly cache: Cache;
  /** The prompt's last row. */
  readonly last: Rows;
  readonly around: Surroundings;
}

function grown(beam: Growing, cache: Cache, id: number, logProb: number, stops: ReadonlySet<number>): Growing {
  const logProbs = [...beam.logProbs, logProb];
  const mean = logProbs.reduce((sum, value) => sum + value, 0) / logProbs.length;
  return { tokens: [...beam.tokens, id], logProbs, mean, isStopped: stops.has(id), cache };
}

/**
 * @returns `count` beams, fewer where fewer tokens may be chosen; best first
 * @throws not-finite when no logit of a step is a number
 */
export async function searchBeams(decoder: Decoder, start: Start, count: number, options: GenerateOptions): Promise<readonly Beam[]> {
  const { vocabSize } = decoder.sizes;
  const limit = Math.min(options.tokenizerSize, vocabSize);
  const stops = new Set(options.stopIds);
  let beams: readonly Growing[] = [{ tokens: [], logProbs: [], mean: 0, isStopped: false, cache: start.cache }];
  for (let length = 0; length < options.maxNewTokens && beams.some((beam) => !beam.isStopped); length++) {
    const candidates: Growing[] = [];
    for (const beam of beams) {
      if (beam.isStopped) {
        candidates.push(beam);
        continue;
      }
      const rows = length === 0 ? start.last : await decoder.embed(beam.tokens.slice(-1));
      const { cache, logits } = await decoder.step(beam.cache, rows, [0], start.around);
      const next = bestIds(logits, 0, vocabSize, limit, mayStand(options, length), count);
      if (next.length === 0 || next.some(({ logProb }) => !Number.isFinite(logProb))) {
        throw new WetreadError('not-finite', `logits of new token ${length + 1} are no finite numbers`);
      }
      for (const { id, logProb } of next) candidates.push(grown(beam, cache, id, logProb, stops));
    }
    // A stable sort: of equals the one of the better beam before.
    beams = candidates.sort((a, b) => b.mean - a.mean).slice(0, count);
    options.onStep?.();
  }
  return beams.map(({ tokens, logProbs, mean, isStopped }) => ({ tokens, logProbs, mean, isStopped }));
}
