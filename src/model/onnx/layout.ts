/**
 * One weight on its way from a checkpoint to the data file: read in pieces, laid out, converted to its form, written.
 *
 * Memory is bounded whatever the weight's size, as long as `read` honours ranges: a matrix is put together in memory up to 512 MiB and is
 * written in strips beyond, which asks the disk for many small writes.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Range } from '../checkpoint/tensors.ts';
import type { Form, HeadPadding, TensorNeed, Weight } from './graph.ts';
import { BLOCK, rowsOf, ZERO_POINT } from './stored-weights.ts';

/** How much is held at a time, in values. */
export interface Limits {
  /** Read in one piece. */
  readonly piece: number;
  /** Put together in memory. */
  readonly whole: number;
  /** Of what is written in strips, read in one piece: larger pieces make longer strips. */
  readonly strip: number;
}

const usualLimits: Limits = { piece: 2 ** 22, whole: 2 ** 27, strip: 2 ** 24 };

/** Values of a tensor by our name, f32 in the order of its shape; a reader that cannot read a range gives the whole tensor. */
export type ReadTensor = (name: string, range?: Range) => Promise<Float32Array>;

/** Where a weight's bytes go; `at` is counted from the weight's start, and what is not written stays zero. */
export interface Target {
  write(bytes: Uint8Array, at: number): Promise<void>;
  /** Of rows8: the scales. */
  writeScales(bytes: Uint8Array, at: number): Promise<void>;
}

/** A value that fp16 cannot hold: its largest is 65504. */
export class BeyondHalf extends Error {}
/** From here on rounding to fp16 gives infinity. */
const HALF_LIMIT = 65_520;

const product = (shape: readonly number[]): number => shape.reduce((total, dim) => total * dim, 1);

const bytesOf = (values: Float32Array | Float16Array): Uint8Array => new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** Bytes of a weight's values, and of its scales, in a form. */
export function storedBytes(weight: Weight, form: Form): { readonly values: number; readonly scales: number } {
  const size = product(weight.dims);
  if (form === 'rows8') {
    const { rows = 0, width = 0 } = rowsOf(weight) ?? {};
    return { values: rows * width, scales: ((rows * width) / BLOCK) * Float32Array.BYTES_PER_ELEMENT };
  }
  return { values: size * (form === 'f16' ? Float16Array.BYTES_PER_ELEMENT : Float32Array.BYTES_PER_ELEMENT), scales: 0 };
}

function check(values: Float32Array, name: string, from: number, form: Form): void {
  for (let i = 0; i < values.length; i++) {
    const value = values[i] ?? Number.NaN;
    if (!Number.isFinite(value))
      throw new WetreadError('checkpoint-tensors', `${name} holds ${value} at position ${from + i}, finite values expected`);
    if (form === 'f16' && Math.abs(value) >= HALF_LIMIT) throw new BeyondHalf(`${name} holds ${value} at position ${from + i}`);
  }
}

/** Rows of a tensor, checked; `row` counts from the tensor's first. */
interface Piece {
  readonly row: number;
  readonly rows: number;
  readonly values: Float32Array;
}

interface Source {
  readonly read: ReadTensor;
  readonly form: Form;
  readonly limits: Limits;
}

/** A tensor in pieces of whole rows, a multiple of `unit` rows each but the last. */
async function* pieces(
  { read, form, limits }: Source,
  tensor: TensorNeed,
  rowLength: number,
  unit: number,
  piece = limits.piece,
): AsyncGenerator<Piece> {
  const count = product(tensor.shape);
  const rows = count / rowLength;
  const step = Math.max(1, Math.floor(piece / rowLength / unit)) * unit;
  let whole: Float32Array | null = null;
  for (let row = 0; row < rows; row += step) {
    const range = { from: row * rowLength, to: Math.min(rows, row + step) * rowLength };
    const given: Float32Array = whole ?? (await read(tensor.name, range));
    if (given.length === count) whole = given;
    const values = whole === null ? given : whole.subarray(range.from, range.to);
    if (values.length !== range.to - range.from) {
      throw new WetreadError(
        'checkpoint-tensors',
        `${tensor.name} has ${given.length} values, ${count} expected (${tensor.shape.join(' x ')})`,
      );
    }
    check(values, tensor.name, range.from, form);
    yield { row, rows: values.length / rowLength, values };
  }
}

/** Where index `i` of an axis made of heads is after widening. */
function widened(i: number, heads: HeadPadding | undefined): number {
  if (heads === undefined) return i;
  const inside = i % heads.size;
  const half = heads.size / 2;
  return ((i - inside) / heads.size) * heads.padded + (inside < half ? inside : heads.padded / 2 + inside - half);
}

/** Length of an axis of whole heads after widening. */
function wide(length: number, heads: HeadPadding | undefined): number {
  return heads === undefined ? length : (length / heads.size) * heads.padded;
}

const TILE = 32;

/** Where [out, into] values go in a [.., width] matrix: its columns from `column` on. */
interface Columns {
  readonly out: number;
  readonly into: number;
  readonly column: number;
  readonly width: number;
  readonly heads: HeadPadding | undefined;
}

/** Read in tiles, so that both sides stay in the processor's cache. */
function transposeInto(target: Float32Array, source: Float32Array, place: Columns): void {
  const { out, into, column, width, heads } = place;
  const columns = Int32Array.from({ length: out }, (_, o) => column + widened(o, heads?.axis === 'out' ? heads : undefined));
  const rows = Float64Array.from({ length: into }, (_, i) => width * widened(i, heads?.axis === 'in' ? heads : undefined));
  for (let o0 = 0; o0 < out; o0 += TILE) {
    for (let i0 = 0; i0 < into; i0 += TILE) {
      const oEnd = Math.min(o0 + TILE, out);
      const iEnd = Math.min(i0 + TILE, into);
      for (let i = i0; i < iEnd; i++) {
        // Indices are inside the arrays: o < out, i < into, and the length of source was checked. An undefined one would write NaN.
        const row = rows[i] ?? Number.NaN;
        for (let o = o0; o < oEnd; o++) target[row + (columns[o] ?? 0)] = source[o * into + i] ?? Number.NaN;
      }
    }
  }
}

function converted(values: Float32Array, form: Form): Uint8Array {
  return bytesOf(form === 'f16' ? new Float16Array(values) : values);
}

/** The tensors as they are, one after the other. */
async function writeStored(source: Source, tensors: readonly TensorNeed[], heads: HeadPadding | undefined, target: Target): Promise<void> {
  const size = storedSize(source.form);
  const outer = heads?.axis === 'out' ? heads : undefined;
  let at = 0;
  for (const tensor of tensors) {
    for await (const { row, values } of pieces(source, tensor, 1, outer?.size ?? 1)) {
      const laid = outer === undefined ? values : new Float32Array(wide(values.length, outer));
      if (outer !== undefined) for (const [i, value] of values.entries()) laid[widened(i, outer)] = value;
      await target.write(converted(laid, source.form), (at + wide(row, outer)) * size);
    }
    at += wide(product(tensor.shape), outer);
  }
}

const storedSize = (form: Form): number => (form === 'f16' ? Float16Array.BYTES_PER_ELEMENT : Float32Array.BYTES_PER_ELEMENT);

/** Each [out, in] tensor as columns of one [in, width] matrix; a matrix that is larger than a piece is written in strips of its rows. */
async function writeTransposed(source: Source, weight: Weight, tensors: readonly TensorNeed[], target: Target): Promise<void> {
  const heads = weight.recipe.kind === 'computed' ? undefined : weight.recipe.heads;
  const outer = heads?.axis === 'out' ? heads : undefined;
  const width = tensors.reduce((sum, tensor) => sum + wide(tensor.shape[0] ?? 1, outer), 0);
  const size = storedSize(source.form);
  const { limits } = source;
  const whole = product(weight.dims) <= limits.whole ? new Float32Array(product(weight.dims)) : null;
  let at = 0;
  for (const tensor of tensors) {
    const [out = 1, into = 1] = tensor.shape;
    for await (const { row, rows, values } of pieces(
      source,
      tensor,
      into,
      outer?.size ?? 1,
      whole === null ? limits.strip : limits.piece,
    )) {
      const column = at + wide(row, outer);
      if (whole !== null) transposeInto(whole, values, { out: rows, into, column, width, heads });
      else await writeStrips(values, { out: rows, into, column, width, heads });
    }
    at += wide(out, outer);
  }
  if (whole !== null) await target.write(converted(whole, source.form), 0);

  async function writeStrips(values: Float32Array, place: Columns): Promise<void> {
    const columns = wide(place.out, outer);
    const height = wide(place.into, heads?.axis === 'in' ? heads : undefined);
    const strips = new Float32Array(height * columns);
    transposeInto(strips, values, { ...place, column: 0, width: columns });
    const bytes = converted(strips, source.form);
    for (let i = 0; i < height; i++) {
      await target.write(bytes.subarray(i * columns * size, (i + 1) * columns * size), (i * place.width + place.column) * size);
    }
  }
}

const STEPS = ZERO_POINT - 1;
const clamped = (steps: number): number => Math.max(-STEPS, Math.min(STEPS, steps));

/** 8-bit values around ZERO_POINT and the scale of each block, of rows of whole blocks. */
export function quantize(values: Float32Array): { readonly bytes: Uint8Array; readonly scales: Float32Array } {
  const bytes = new Uint8Array(values.length);
  const scales = new Float32Array(values.length / BLOCK);
  for (let block = 0; block < scales.length; block++) {
    const from = block * BLOCK;
    let most = 0;
    for (let i = from; i < from + BLOCK; i++) most = Math.max(most, Math.abs(values[i] ?? 0));
    const scale = Math.fround(most / STEPS);
    scales[block] = scale;
    if (scale === 0) bytes.fill(ZERO_POINT, from, from + BLOCK);
    // The scale of subnormal values is rounded so coarsely that a value may be more than STEPS of it.
    else for (let i = from; i < from + BLOCK; i++) bytes[i] = ZERO_POINT + clamped(Math.round((values[i] ?? 0) / scale));
  }
  return { bytes, scales };
}

/** [out, in] tensors one below the other, in 8-bit blocks. */
async function writeRows8(source: Source, weight: Weight, tensors: readonly TensorNeed[], target: Target): Promise<void> {
  const heads = weight.recipe.kind === 'computed' ? undefined : weight.recipe.heads;
  const [outer, inner] = [heads?.axis === 'out' ? heads : undefined, heads?.axis === 'in' ? heads : undefined];
  const width = rowsOf(weight)?.width ?? BLOCK;
  let at = 0;
  for (const tensor of tensors) {
    const [out = 1, into = 1] = tensor.shape;
    for await (const { row, rows, values } of pieces(source, tensor, into, outer?.size ?? 1)) {
      const isLaid = heads === undefined && into === width;
      const laid = isLaid ? values : new Float32Array(wide(rows, outer) * width);
      for (let o = 0; o < rows && !isLaid; o++) {
        for (let i = 0; i < into; i++) laid[widened(o, outer) * width + widened(i, inner)] = values[o * into + i] ?? Number.NaN;
      }
      const { bytes, scales } = quantize(laid);
      const first = at + wide(row, outer);
      await target.write(bytes, first * width);
      await target.writeScales(bytesOf(scales), ((first * width) / BLOCK) * Float32Array.BYTES_PER_ELEMENT);
    }
    at += wide(out, outer);
  }
}

/**
 * Reads, lays out and writes one weight.
 * @throws BeyondHalf when the form is f16 and cannot hold a value; checkpoint-tensors when a tensor has another number of values than its
 * shape says, or one that is not finite
 */
export async function writeWeight(weight: Weight, form: Form, read: ReadTensor, target: Target, limits = usualLimits): Promise<void> {
  const { recipe } = weight;
  const source = { read, form, limits };
  if (recipe.kind === 'computed') await target.write(converted(recipe.values(), form), 0);
  else if (form === 'rows8') await writeRows8(source, weight, recipe.tensors, target);
  else if (recipe.kind === 'stored') await writeStored(source, recipe.tensors, recipe.heads, target);
  else await writeTransposed(source, weight, recipe.tensors, target);
}
