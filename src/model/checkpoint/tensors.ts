/**
 * The door of every checkpoint reader: tensors by the authors' names, read one at a time, so that memory stays bounded by the largest.
 */
export interface TensorSource {
  readonly names: readonly string[];
  info(name: string): { readonly dtype: string; readonly shape: readonly number[] };
  /** values converted to f32, row-major */
  readF32(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}
