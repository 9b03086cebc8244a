/**
 * Our names of tensors in the authors' spelling, and back to values. torch.nn.MultiheadAttention stores queries, keys and values in one
 * `in_proj_weight` or `in_proj_bias`, in this order: it is taken apart where a spelling leads to it.
 */
import type { TensorNeed } from '../onnx/graph.ts';
import type { TensorSource } from './tensors.ts';

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

const parts = ['q', 'k', 'v'] as const;
const packed = /\.in_proj_(weight|bias)$/;

/** Which third of a packed tensor is ours; null = all of a tensor. */
function thirdOf(ours: string, theirs: string): number | null {
  const part = parts.findIndex((letter) => ours.includes(`.${letter}_proj.`));
  return packed.test(theirs) && part >= 0 ? part : null;
}

/** The authors' names of all needs, with the shapes that they must have. */
export function expectedShapes(needs: Iterable<TensorNeed>, spelling: Spelling): Map<string, readonly number[]> {
  const expected = new Map<string, readonly number[]>();
  for (const { name, shape } of needs) {
    const theirs = spelt(name, spelling);
    const [rows = 1, ...rest] = shape;
    expected.set(theirs, thirdOf(name, theirs) === null ? shape : [parts.length * rows, ...rest]);
  }
  return expected;
}

/** Values by our name. The packed tensor read last is kept: its parts are asked for one after the other. */
export function speltReader(source: TensorSource, spelling: Spelling): (ours: string) => Promise<Float32Array> {
  let last: { readonly name: string; readonly values: Float32Array } | null = null;
  return async (ours) => {
    const theirs = spelt(ours, spelling);
    const third = thirdOf(ours, theirs);
    if (third === null) return await source.readF32(theirs);
    if (last?.name !== theirs) last = { name: theirs, values: await source.readF32(theirs) };
    const length = last.values.length / parts.length;
    return last.values.slice(third * length, (third + 1) * length);
  };
}
