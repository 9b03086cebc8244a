/**
 * LoRA pairs merged into their weights: W' = W + (alpha / rank) * B A. What is given on is a source without pairs, under the base's names.
 *
 * A pair lies beside its weight as `X.lora_A.weight` and `X.lora_B.weight`, in newer files with an adapter's name before `.weight`, and the
 * weight is `X.weight` or `X.base_layer.weight`. The rank is A's first dimension; alpha is in no tensor. Sums are taken in double precision
 * and rounded once. Source: huggingface/peft tuners/lora (0.2 to 0.17), get_delta_weight.
 */
import { WetreadError } from '#domain/errors.ts';
import { refuseMisfit } from './misfit.ts';
import type { TensorSource } from './tensors.ts';

interface Pair {
  /** The weight's own name in the file. */
  readonly base: string;
  readonly down: string;
  readonly up: string;
}

const form = /^(.*)\.lora_([AB])(?:\.([^.]+))?\.weight$/;
const wrapped = '.base_layer.';

/** Layer -> adapter's name ('' in old files) -> its two tensors. */
function adapters(names: readonly string[]): Map<string, Map<string, { A?: string; B?: string }>> {
  const layers = new Map<string, Map<string, { A?: string; B?: string }>>();
  for (const name of names) {
    const [, layer, side, adapter = ''] = form.exec(name) ?? [];
    if (layer === undefined || (side !== 'A' && side !== 'B')) continue;
    const own = layers.get(layer) ?? new Map<string, { A?: string; B?: string }>();
    own.set(adapter, { ...own.get(adapter), [side]: name });
    layers.set(layer, own);
  }
  return layers;
}

/** Pairs by the name that the merged weight will have. */
function pairsOf(source: Pick<TensorSource, 'names' | 'info'>): Map<string, Pair> {
  const there = new Set(source.names);
  const pairs = new Map<string, Pair>();
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const [layer, own] of adapters(source.names)) {
    if (own.size > 1)
      throw new WetreadError('checkpoint-tensors', `${layer} has ${own.size} LoRA adapters (${[...own.keys()].join(', ')}); one is merged`);
    const [adapter = '', sides = {}] = [...own][0] ?? [];
    const named = (side: 'A' | 'B') => sides[side] ?? `${layer}.lora_${side}${adapter === '' ? '' : `.${adapter}`}.weight`;
    const base = [`${layer}.weight`, `${layer}.base_layer.weight`].find((name) => there.has(name)) ?? `${layer}.weight`;
    const pair = { base, down: named('A'), up: named('B') };
    const absent = [pair.base, pair.down, pair.up].filter((name) => !there.has(name));
    missing.push(...absent);
    if (absent.length === 0) misshapen.push(...misfits(source, pair));
    pairs.set(`${layer}.weight`, pair);
  }
  refuseMisfit({ missing, misshapen, extra: [] });
  return pairs;
}

/** A is [rank, in], B [out, rank] of a weight [out, in]. */
function misfits(source: Pick<TensorSource, 'info'>, { base, down, up }: Pair): string[] {
  const { shape } = source.info(base);
  const [out = 0, into = 0] = shape;
  const rank = source.info(down).shape[0] ?? 0;
  return [[down, [rank, into]] as const, [up, [out, rank]] as const].flatMap(([name, expected]) => {
    const found = source.info(name).shape;
    return found.join() === expected.join() && shape.length === 2 && rank > 0
      ? []
      : [`${name} is [${found.join(', ')}], [${expected.join(', ')}] expected beside ${base} [${shape.join(', ')}]`];
  });
}

/** base [out, in] + factor * up [out, rank] down [rank, in], in place. */
function addProduct(base: Float32Array, down: Float32Array, up: Float32Array, rank: number, factor: number): void {
  const into = down.length / rank;
  const row = new Float64Array(into);
  for (let o = 0; o * into < base.length; o++) {
    row.fill(0);
    for (let r = 0; r < rank; r++) {
      const scale = factor * (up[o * rank + r] ?? Number.NaN);
      for (let i = 0; i < into; i++) row[i] = (row[i] ?? 0) + scale * (down[r * into + i] ?? Number.NaN);
    }
    for (let i = 0; i < into; i++) base[o * into + i] = (base[o * into + i] ?? Number.NaN) + (row[i] ?? 0);
  }
}

/**
 * @param alpha the authors' lora_alpha: the factor is alpha / rank
 * @throws checkpoint-tensors naming halves without the other, pairs without a weight, and shapes that do not fit
 */
export function mergeLora(source: TensorSource, alpha: number): TensorSource {
  const pairs = pairsOf(source);
  /** Name without the wrapper that newer versions put around a weight, and around the bias beside it. */
  const theirs = new Map(
    source.names.filter((name) => !form.test(name)).map((name): [string, string] => [name.replace(wrapped, '.'), name]),
  );
  const stored = (name: string) => theirs.get(name) ?? name;
  return {
    names: [...theirs.keys()],
    info: (name) => source.info(stored(name)),
    async readF32(name, range) {
      const pair = pairs.get(name);
      if (pair === undefined) return await source.readF32(stored(name), range);
      const rank = source.info(pair.down).shape[0] ?? 1;
      const base = Float32Array.from(await source.readF32(pair.base));
      addProduct(base, await source.readF32(pair.down), await source.readF32(pair.up), rank, alpha / rank);
      return base;
    },
    close: () => source.close(),
  };
}
