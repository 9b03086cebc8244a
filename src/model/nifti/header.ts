/**
 * Header of a NIfTI-1 or NIfTI-2 file (.nii): sizes, kind of value, scaling and the two transforms, in either byte order.
 *
 * Every number is checked before it is used, so a damaged header costs a coded error and no memory. Three dimensions are read; further ones
 * may be there with size 1. Source: nifti1.h, nifti2.h (NIfTI Data Format Working Group).
 */
import { WetreadError } from '#domain/errors.ts';

/** Bytes that the longer of the two headers takes. */
export const headerBytes = 540;

/** Voxels of the largest volume that is read: 1 GiB as 32-bit floats. */
const mostVoxels = 2 ** 28;

type Reader = (view: DataView, offset: number, littleEndian: boolean) => number;

interface ValueKind {
  readonly name: string;
  readonly bytes: number;
  /** null = a kind that is not read. */
  readonly read: Reader | null;
}

const kinds: Readonly<Record<number, ValueKind>> = {
  1: { name: 'one bit', bytes: 0, read: null },
  2: { name: 'uint8', bytes: 1, read: (view, at) => view.getUint8(at) },
  4: { name: 'int16', bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  8: { name: 'int32', bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  16: { name: 'float32', bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  32: { name: 'complex64', bytes: 8, read: null },
  64: { name: 'float64', bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  128: { name: 'RGB', bytes: 3, read: null },
  256: { name: 'int8', bytes: 1, read: (view, at) => view.getInt8(at) },
  512: { name: 'uint16', bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  768: { name: 'uint32', bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  1024: { name: 'int64', bytes: 8, read: (view, at, little) => Number(view.getBigInt64(at, little)) },
  1280: { name: 'uint64', bytes: 8, read: (view, at, little) => Number(view.getBigUint64(at, little)) },
  1536: { name: 'float128', bytes: 16, read: null },
  1792: { name: 'complex128', bytes: 16, read: null },
  2048: { name: 'complex256', bytes: 32, read: null },
  2304: { name: 'RGBA', bytes: 4, read: null },
};

export type Triple = readonly [number, number, number];

export interface NiftiHeader {
  readonly littleEndian: boolean;
  /** Voxels along the first, second and third axis; the first runs fastest in the file. */
  readonly size: Triple;
  readonly read: Reader;
  readonly valueBytes: number;
  /** First byte of the values. */
  readonly start: number;
  /** Bytes that a whole file has. */
  readonly fileBytes: number;
  /** value = stored * slope + intercept. */
  readonly slope: number;
  readonly intercept: number;
  /** Range that the file asks to be displayed, in values after scaling; null = it does not. */
  readonly display: { readonly low: number; readonly high: number } | null;
  /** Voxel sizes as stored; their unit is not needed here. */
  readonly spacing: Triple;
  /** Columns of the 3x3 part that takes a voxel's step along each axis to RAS (right, anterior, superior); null = the file does not say. */
  readonly axes: readonly [Triple, Triple, Triple] | null;
}

/** Where each field of a version lies, and how wide its numbers are. */
interface Layout {
  readonly bytes: number;
  readonly dim: number;
  readonly datatype: number;
  readonly bitpix: number;
  readonly pixdim: number;
  readonly voxOffset: number;
  readonly slope: number;
  readonly intercept: number;
  readonly calMax: number;
  readonly calMin: number;
  readonly qformCode: number;
  readonly sformCode: number;
  readonly quatern: number;
  readonly srow: number;
  readonly real: { readonly bytes: number; readonly read: Reader };
  readonly whole: { readonly bytes: number; readonly read: Reader };
  readonly code: Reader;
  readonly offset: Reader;
}

const int16: Reader = (view, at, little) => view.getInt16(at, little);
const int32: Reader = (view, at, little) => view.getInt32(at, little);
const int64: Reader = (view, at, little) => Number(view.getBigInt64(at, little));
const float32: Reader = (view, at, little) => view.getFloat32(at, little);
const float64: Reader = (view, at, little) => view.getFloat64(at, little);

const layouts: Readonly<Record<1 | 2, Layout>> = {
  1: {
    bytes: 348,
    dim: 40,
    datatype: 70,
    bitpix: 72,
    pixdim: 76,
    voxOffset: 108,
    slope: 112,
    intercept: 116,
    calMax: 124,
    calMin: 128,
    qformCode: 252,
    sformCode: 254,
    quatern: 256,
    srow: 280,
    real: { bytes: 4, read: float32 },
    whole: { bytes: 2, read: int16 },
    code: int16,
    offset: float32,
  },
  2: {
    bytes: 540,
    dim: 16,
    datatype: 12,
    bitpix: 14,
    pixdim: 104,
    voxOffset: 168,
    slope: 176,
    intercept: 184,
    calMax: 192,
    calMin: 200,
    qformCode: 344,
    sformCode: 348,
    quatern: 352,
    srow: 400,
    real: { bytes: 8, read: float64 },
    whole: { bytes: 8, read: int64 },
    code: int32,
    offset: int64,
  },
};

function damaged(what: string): WetreadError {
  return new WetreadError('pixel-damaged', `NIfTI header: ${what}`);
}

function unsupported(what: string): WetreadError {
  return new WetreadError('pixel-unsupported', `NIfTI: ${what}`);
}

/** Version and byte order by the first number, which is the header's length; null = no NIfTI (nor Analyze) file. */
export function niftiForm(bytes: Uint8Array): { readonly version: 1 | 2; readonly littleEndian: boolean } | null {
  if (bytes.byteLength < 4) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const littleEndian of [true, false]) {
    const length = view.getInt32(0, littleEndian);
    if (length === layouts[1].bytes) return { version: 1, littleEndian };
    if (length === layouts[2].bytes) return { version: 2, littleEndian };
  }
  return null;
}

/** @throws pixel-damaged, pixel-unsupported */
function checkMagic(bytes: Uint8Array, version: 1 | 2): void {
  const at = version === 1 ? 344 : 4;
  const magic = Buffer.from(bytes.subarray(at, at + (version === 1 ? 4 : 8))).toString('latin1');
  if (magic === (version === 1 ? 'n+1\0' : 'n+2\0\r\n\x1a\n')) return;
  if (magic.startsWith('ni1') || magic.startsWith('ni2'))
    throw unsupported('header and values in two files (.hdr, .img); one file (.nii) is read');
  if (version === 1 && magic === '\0\0\0\0') throw unsupported('an Analyze 7.5 header, which says nothing of orientation');
  throw damaged(`the mark at byte ${at} is ${JSON.stringify(magic)}; a file changed by a text transfer looks so`);
}

interface Fields {
  real(at: number, index?: number): number;
  whole(at: number, index?: number): number;
  code(at: number): number;
  readonly layout: Layout;
  readonly offset: number;
}

function fieldsOf(bytes: Uint8Array, layout: Layout, little: boolean): Fields {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    layout,
    real: (at, index = 0) => layout.real.read(view, at + index * layout.real.bytes, little),
    whole: (at, index = 0) => layout.whole.read(view, at + index * layout.whole.bytes, little),
    code: (at) => layout.code(view, at, little),
    offset: layout.offset(view, layout.voxOffset, little),
  };
}

/** @throws pixel-damaged, pixel-unsupported for a series of volumes and for more voxels than are read */
function sizeOf({ whole, layout }: Fields): Triple {
  const count = whole(layout.dim);
  if (!Number.isInteger(count) || count < 1 || count > 7) throw damaged(`${count} dimensions, 1 to 7 expected`);
  const sizes = Array.from({ length: count }, (_, axis) => whole(layout.dim, axis + 1));
  const bad = sizes.find((size) => !Number.isSafeInteger(size) || size < 1);
  if (bad !== undefined) throw damaged(`a dimension of ${bad} voxels in ${sizes.join(' x ')}`);
  if (sizes.slice(3).some((size) => size > 1))
    throw unsupported(`${count} dimensions (${sizes.join(' x ')}): a series of volumes; one volume of three dimensions is read`);
  const [columns = 1, rows = 1, slices = 1] = sizes;
  if (columns * rows * slices > mostVoxels) throw unsupported(`${sizes.join(' x ')} voxels, up to ${mostVoxels} are read`);
  return [columns, rows, slices];
}

/** @throws pixel-damaged, pixel-unsupported */
function kindOf(datatype: number, bitpix: number): { readonly read: Reader; readonly bytes: number } {
  const kind = Object.hasOwn(kinds, datatype) ? kinds[datatype] : undefined;
  if (kind === undefined) throw damaged(`datatype ${datatype} is none of the format's`);
  const { name, read, bytes } = kind;
  if (read === null) throw unsupported(`values of the kind ${name} (datatype ${datatype}); whole and real numbers are read`);
  if (bitpix !== 8 * bytes) throw damaged(`${bitpix} bits a voxel, ${8 * bytes} expected for ${name}`);
  return { read, bytes };
}

/** Slope 0, or one that is no number, means that values are stored as they are. */
function scalingOf({ real, layout }: Fields): { readonly slope: number; readonly intercept: number } {
  const slope = real(layout.slope);
  if (slope === 0 || !Number.isFinite(slope)) return { slope: 1, intercept: 0 };
  const intercept = real(layout.intercept);
  if (!Number.isFinite(intercept)) throw damaged(`scl_inter is ${intercept} where scl_slope is ${slope}`);
  return { slope, intercept };
}

/** Columns of the rotation that a unit quaternion stands for, times the voxel sizes; qfac turns the third axis. */
function quaternionAxes({ real, layout }: Fields, spacing: Triple): readonly [Triple, Triple, Triple] {
  let [b, c, d] = [real(layout.quatern), real(layout.quatern, 1), real(layout.quatern, 2)];
  const square = 1 - (b * b + c * c + d * d);
  // Rounded to single precision, b, c and d may be a little longer than 1.
  if (!(square > -1e-4)) throw damaged(`the quaternion (${b}, ${c}, ${d}) is longer than 1`);
  const a = square < 1e-7 ? 0 : Math.sqrt(square);
  if (a === 0) {
    const length = Math.hypot(b, c, d);
    [b, c, d] = [b / length, c / length, d / length];
  }
  const [dx, dy, dz] = spacing;
  const third = real(layout.pixdim) < 0 ? -dz : dz;
  return [
    [(a * a + b * b - c * c - d * d) * dx, 2 * (b * c + a * d) * dx, 2 * (b * d - a * c) * dx],
    [2 * (b * c - a * d) * dy, (a * a + c * c - b * b - d * d) * dy, 2 * (c * d + a * b) * dy],
    [2 * (b * d + a * c) * third, 2 * (c * d - a * b) * third, (a * a + d * d - b * b - c * c) * third],
  ];
}

/** The sform's axes where it is set, else the qform's, as other readers choose. @throws pixel-damaged for one that cannot be a transform */
function axesOf(fields: Fields, spacing: Triple): NiftiHeader['axes'] {
  const { layout, code, real } = fields;
  const row = (index: number, column: number) => real(layout.srow, 4 * index + column);
  const column = (axis: number): Triple => [row(0, axis), row(1, axis), row(2, axis)];
  const axes = code(layout.sformCode) > 0 ? ([column(0), column(1), column(2)] as const) : null;
  const found = axes ?? (code(layout.qformCode) > 0 ? quaternionAxes(fields, spacing) : null);
  if (found === null) return null;
  if (!found.flat().every(Number.isFinite)) throw damaged('a transform to the patient with a value that is no finite number');
  return found;
}

function displayOf({ real, layout }: Fields): NiftiHeader['display'] {
  const [low, high] = [real(layout.calMin), real(layout.calMax)];
  return Number.isFinite(low) && Number.isFinite(high) && high > low ? { low, high } : null;
}

/**
 * @param bytes the file's beginning, `headerBytes` of it or all there is
 * @throws pixel-damaged (cut off, impossible numbers), pixel-unsupported (other kinds, a series of volumes, too many voxels)
 */
export function readNiftiHeader(bytes: Uint8Array): NiftiHeader {
  const form = niftiForm(bytes);
  if (form === null) throw damaged('it begins with the length of neither version');
  const layout = layouts[form.version];
  if (bytes.byteLength < layout.bytes) throw damaged(`the file ends after ${bytes.byteLength} bytes, the header has ${layout.bytes}`);
  checkMagic(bytes, form.version);
  const fields = fieldsOf(bytes, layout, form.littleEndian);
  const size = sizeOf(fields);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = kindOf(int16(view, layout.datatype, form.littleEndian), int16(view, layout.bitpix, form.littleEndian));
  // 0 is written where nothing but the four bytes of the extension flag follows the header.
  const start = fields.offset === 0 ? layout.bytes + 4 : fields.offset;
  if (!Number.isSafeInteger(start) || start < layout.bytes || start > 2 ** 30) throw damaged(`values begin at byte ${start}`);
  const step = (axis: number) => Math.abs(fields.real(layout.pixdim, axis));
  const spacing: Triple = [step(1), step(2), step(3)];
  return {
    littleEndian: form.littleEndian,
    size,
    read: kind.read,
    valueBytes: kind.bytes,
    start,
    fileBytes: start + size[0] * size[1] * size[2] * kind.bytes,
    ...scalingOf(fields),
    display: displayOf(fields),
    spacing,
    axes: axesOf(fields, spacing),
  };
}
