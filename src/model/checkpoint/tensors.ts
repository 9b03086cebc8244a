/**
 * The door of every checkpoint reader: tensors by the authors' names, read one at a time and in pieces, so that memory does not grow with them.
 */

/** Values of a tensor from index `from` up to `to`, row-major. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export interface TensorSource {
  readonly names: readonly string[];
  info(name: string): { readonly dtype: string; readonly shape: readonly number[] };
  /** Values converted to f32, row-major. With `range` those of the range, or all where the reader cannot tell them apart before. */
  readF32(name: string, range?: Range): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Exactly the values of `range`, whatever the reader gives. */
export async function readRange(source: Pick<TensorSource, 'readF32'>, name: string, { from, to }: Range): Promise<Float32Array> {
  const values = await source.readF32(name, { from, to });
  return values.length === to - from ? values : values.subarray(from, to);
}
