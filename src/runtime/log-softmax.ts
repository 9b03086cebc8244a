/** Probabilities of one row of logits, in double precision on the host, because sums over 50,000 f32 exponentials lose digits. */

/** Natural log of the probability of `id` among all `vocab` entries of row `row`. Not finite when a logit of the row is not. */
export function logProbability(logits: Float32Array, row: number, vocab: number, id: number): number {
  const start = row * vocab;
  let largest = Number.NEGATIVE_INFINITY;
  for (let i = start; i < start + vocab; i++) {
    const value = logits[i] ?? Number.NaN;
    // A comparison with NaN is false: test for it, or it would be passed over.
    if (value > largest || Number.isNaN(value)) largest = value;
  }
  let sum = 0;
  for (let i = start; i < start + vocab; i++) sum += Math.exp((logits[i] ?? Number.NaN) - largest);
  return (logits[start + id] ?? Number.NaN) - largest - Math.log(sum);
}

/** The id of the largest logit of row `row` among ids below `limit` that `may` be chosen; the first of equals, -1 where none is a number. */
export function bestId(logits: Float32Array, row: number, vocab: number, limit: number, may: (id: number) => boolean): number {
  let best = -1;
  let largest = Number.NEGATIVE_INFINITY;
  for (let id = 0; id < limit; id++) {
    const value = logits[row * vocab + id] ?? Number.NaN;
    if (value > largest && may(id)) {
      largest = value;
      best = id;
    }
  }
  return best;
}

/**
 * The `count` largest logits of row `row` among ids below `limit` that `may` be chosen, largest first, the first of equals first, with their
 * natural log-probabilities among all `vocab` entries (not finite when a logit of the row is not). Empty where none is a number.
 */
export function bestIds(
  logits: Float32Array,
  row: number,
  vocab: number,
  limit: number,
  may: (id: number) => boolean,
  count: number,
): readonly { readonly id: number; readonly logProb: number }[] {
  const best: { readonly id: number; readonly value: number }[] = [];
  for (let id = 0; id < limit; id++) {
    const value = logits[row * vocab + id] ?? Number.NaN;
    const least = best.length < count ? Number.NEGATIVE_INFINITY : (best.at(-1)?.value ?? Number.NEGATIVE_INFINITY);
    if (!(value > least) || !may(id)) continue;
    const at = best.findIndex((other) => value > other.value);
    best.splice(at < 0 ? best.length : at, 0, { id, value });
    if (best.length > count) best.pop();
  }
  const [first] = best;
  if (first === undefined) return [];
  const rest = logProbability(logits, row, vocab, first.id) - first.value;
  return best.map(({ id, value }) => ({ id, logProb: value + rest }));
}
