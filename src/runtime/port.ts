/**
 * The door to an inference library: load a graph, run it, give memory back. The engine is written once on it.
 *
 * Values are opaque (`OrtValue`), so that an implementation may keep them where the provider has them: a present goes back in as a past
 * without being looked at. `read` is the only way to the numbers.
 */

export type Provider = 'cpu' | 'webgpu' | 'cuda';

export type TensorData = Float32Array | BigInt64Array | Int32Array;

/** A tensor that the library can take; rows first. */
export interface OrtValue {
  readonly dims: readonly number[];
  /** f32 values. @throws internal when the element type is another one. */
  read(): Float32Array;
}

export interface OrtSession {
  /**
   * Computes only what `fetches` names.
   *
   * @throws internal with the library's words when an input is missing or has another shape than the graph says
   */
  run(feeds: Readonly<Record<string, OrtValue>>, fetches: readonly string[]): Promise<Readonly<Record<string, OrtValue>>>;
  /** Gives the session's memory back; later runs fail. */
  release(): Promise<void>;
}

export interface OrtRuntime {
  readonly provider: Provider;
  /** f32, i64 or i32 by the kind of array; the memory is not copied and must not change while it is in use. */
  value(data: TensorData, dims: readonly number[]): OrtValue;
  /**
   * @param path a graph file; its data file lies beside it
   * @throws bundle-invalid when the graph or its data cannot be read
   * @throws device-unavailable when the provider does not start
   */
  load(path: string): Promise<OrtSession>;
}
