/** A NIfTI file written field by field, for tests of the reader: versions 1 and 2, both byte orders. */

export interface NiftiFile {
  readonly version: 1 | 2;
  readonly littleEndian: boolean;
  readonly dim: readonly number[];
  readonly datatype: number;
  readonly bitpix: number;
  /** Stored values, first axis fastest. */
  readonly values: readonly number[];
  readonly slope?: number;
  readonly intercept?: number;
  readonly display?: readonly [number, number];
  readonly pixdim?: readonly number[];
  readonly voxOffset?: number;
  readonly magic?: string;
  /** Code and quaternion. */
  readonly qform?: readonly [number, number, number, number];
  /** Code and three rows of four. */
  readonly sform?: { readonly code: number; readonly rows: readonly (readonly number[])[] };
}

type Writer = (view: DataView, at: number, value: number, little: boolean) => void;

export const writers: Readonly<Record<number, { readonly bits: number; readonly write: Writer }>> = {
  2: { bits: 8, write: (view, at, value) => view.setUint8(at, value) },
  4: { bits: 16, write: (view, at, value, little) => view.setInt16(at, value, little) },
  8: { bits: 32, write: (view, at, value, little) => view.setInt32(at, value, little) },
  16: { bits: 32, write: (view, at, value, little) => view.setFloat32(at, value, little) },
  64: { bits: 64, write: (view, at, value, little) => view.setFloat64(at, value, little) },
  256: { bits: 8, write: (view, at, value) => view.setInt8(at, value) },
  512: { bits: 16, write: (view, at, value, little) => view.setUint16(at, value, little) },
  768: { bits: 32, write: (view, at, value, little) => view.setUint32(at, value, little) },
  1024: { bits: 64, write: (view, at, value, little) => view.setBigInt64(at, BigInt(value), little) },
  1280: { bits: 64, write: (view, at, value, little) => view.setBigUint64(at, BigInt(value), little) },
};

const places = {
  1: {
    dim: 40,
    datatype: 70,
    bitpix: 72,
    pixdim: 76,
    offset: 108,
    slope: 112,
    max: 124,
    qform: 252,
    sform: 254,
    quatern: 256,
    srow: 280,
    magic: 344,
  },
  2: {
    dim: 16,
    datatype: 12,
    bitpix: 14,
    pixdim: 104,
    offset: 168,
    slope: 176,
    max: 192,
    qform: 344,
    sform: 348,
    quatern: 352,
    srow: 400,
    magic: 4,
  },
} as const;

/** The header and the values behind it. */
export function niftiBytes(file: NiftiFile): Uint8Array {
  const { version, littleEndian: little } = file;
  const at = places[version];
  const length = version === 1 ? 348 : 540;
  const start = file.voxOffset ?? length + 4;
  const { bits, write } = writers[file.datatype] ?? { bits: file.bitpix, write: () => undefined };
  const bytes = new Uint8Array(Math.max(start, length) + (file.values.length * bits) / 8);
  const view = new DataView(bytes.buffer);
  const real = (place: number, index: number, value: number) =>
    version === 1 ? view.setFloat32(place + 4 * index, value, little) : view.setFloat64(place + 8 * index, value, little);
  const whole = (place: number, index: number, value: number) =>
    version === 1 ? view.setInt16(place + 2 * index, value, little) : view.setBigInt64(place + 8 * index, BigInt(value), little);
  const code = (place: number, value: number) =>
    version === 1 ? view.setInt16(place, value, little) : view.setInt32(place, value, little);
  view.setInt32(0, length, little);
  for (const [index, value] of [file.dim.length, ...file.dim].entries()) whole(at.dim, index, value);
  view.setInt16(at.datatype, file.datatype, little);
  view.setInt16(at.bitpix, file.bitpix, little);
  for (const [index, value] of (file.pixdim ?? [1, 1, 1, 1]).entries()) real(at.pixdim, index, value);
  if (version === 1) view.setFloat32(at.offset, start, little);
  else view.setBigInt64(at.offset, BigInt(start), little);
  real(at.slope, 0, file.slope ?? 0);
  real(at.slope, 1, file.intercept ?? 0);
  for (const [index, value] of (file.display ?? [0, 0]).toReversed().entries()) real(at.max, index, value);
  if (file.qform !== undefined) {
    const [form, ...quaternion] = file.qform;
    code(at.qform, form);
    for (const [index, value] of quaternion.entries()) real(at.quatern, index, value);
  }
  if (file.sform !== undefined) {
    code(at.sform, file.sform.code);
    for (const [index, value] of file.sform.rows.flat().entries()) real(at.srow, index, value);
  }
  const magic = file.magic ?? (version === 1 ? 'n+1\0' : 'n+2\0\r\n\x1a\n');
  for (const [index, character] of [...magic].entries()) bytes[at.magic + index] = character.charCodeAt(0);
  for (const [index, value] of file.values.entries()) write(view, start + (index * bits) / 8, value, little);
  return bytes;
}
