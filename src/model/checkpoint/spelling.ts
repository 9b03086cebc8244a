/**
 * Our names of tensors in the authors' spelling, and back to values. Where queries, keys and values lie in one tensor, one under the other, it
 * is taken apart: torch.nn.MultiheadAttention's `in_proj_weight` and `in_proj_bias`, GPT-2's `c_attn`, CLIPCap's `to_keys_values`.
 */
import type { TensorNeed } from '../onnx/graph.ts';
import type { Range, TensorSource } from './tensors.ts';

/** [our part of a name, the authors'], applied in this order. */
export type Spelling = readonly (readonly [RegExp, string | ((...groups: string[]) => string)])[];

/** The authors' name of one of our tensors. */
export function spelt(ours: string, spelling: Spelling): string {
  return spelling.reduce(
    (name, [from, to]) =>
      typeof to === 'string' ? name.replace(from, to) : name.replace(from, (_, ...groups) => to(...groups.map(String))),
    ours,
  );
}

/** [the authors' name, what lies in it in this order]. */
const packings: readonly (readonly [RegExp, readonly string[]])[] = [
  [/\.(in_proj_|c_attn\.)(weight|bias)$/, ['q', 'k', 'v']],
  [/\.to_keys_values\.weight$/, ['k', 'v']],
];

interface Share {
  readonly part: number;
  readonly of: number;
}

/** Which share of a packed tensor is ours; null = all of a tensor. */
function shareOf(ours: string, theirs: string): Share | null {
  for (const [pattern, letters] of packings) {
    const part = letters.findIndex((letter) => ours.includes(`.${letter}_proj.`));
    if (pattern.test(theirs) && part >= 0) return { part, of: letters.length };
  }
  return null;
}

/** The authors' names of all needs, with the shapes that they must have. */
export function expectedShapes(needs: Iterable<TensorNeed>, spelling: Spelling): Map<string, readonly number[]> {
  const expected = new Map<string, readonly number[]>();
  for (const { name, shape } of needs) {
    const theirs = spelt(name, spelling);
    const share = shareOf(name, theirs);
    const [rows = 1, ...rest] = shape;
    expected.set(theirs, share === null ? shape : [rows * share.of, ...rest]);
  }
  return expected;
}

/** Values by our name. The packed tensor read last is kept: its parts are asked for one after the other. */
export function speltReader(source: TensorSource, spelling: Spelling): (ours: string, range?: Range) => Promise<Float32Array> {
  let last: { readonly name: string; readonly values: Float32Array } | null = null;
  return async (ours, range) => {
    const theirs = spelt(ours, spelling);
    const share = shareOf(ours, theirs);
    if (share === null) return await source.readF32(theirs, range);
    if (last?.name !== theirs) last = { name: theirs, values: await source.readF32(theirs) };
    const length = last.values.length / share.of;
    return last.values.slice(share.part * length, (share.part + 1) * length);
  };
}
