/**
 * A NIfTI file (.nii, .nii.gz, versions 1 and 2) as one volume of real values in the radiologist's view.
 *
 * A compressed file is inflated to what its header announces and not a byte further. A file of another length than announced is refused, and
 * so is a value that is no finite number: half a volume must not look like a whole one.
 */
import { constants, gunzipSync } from 'node:zlib';
import { WetreadError } from '#domain/errors.ts';
import type { RawVolume } from '../encoded.ts';
import { headerBytes, type NiftiHeader, niftiForm, readNiftiHeader } from './header.ts';
import { type Plane, type View, viewOf } from './orientation.ts';

export interface NiftiVolume {
  /** Values after scl_slope and scl_inter. */
  readonly volume: RawVolume;
  /** null = the file does not say how its axes lie in the patient. */
  readonly plane: Plane | null;
  /** Range that the file asks to be displayed. */
  readonly display: NiftiHeader['display'];
}

/** Compressed bytes that hold the header: deflate never needs more than it is given plus a block's frame. */
const headerPrefix = 8192;
/** Deflate's best is about 1032 : 1. */
const mostInflation = 1040;

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** The beginning of what a gzip file holds; shorter than the header where the file is damaged or short. */
function inflatedStart(bytes: Uint8Array): Uint8Array {
  try {
    const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: headerPrefix * mostInflation };
    return gunzipSync(bytes.subarray(0, headerPrefix), options).subarray(0, headerBytes);
  } catch (cause) {
    throw new WetreadError('pixel-damaged', 'gzip: the beginning cannot be inflated', { cause });
  }
}

/** Whether the content is NIfTI's, plain or compressed; nothing else that is read here is a gzip file. */
export function isNifti(bytes: Uint8Array): boolean {
  return isGzip(bytes) || niftiForm(bytes) !== null;
}

/** @throws pixel-damaged when the file holds more or less than its header announces */
function contentOf(bytes: Uint8Array): { readonly header: NiftiHeader; readonly content: Uint8Array } {
  const compressed = isGzip(bytes);
  const header = readNiftiHeader(compressed ? inflatedStart(bytes) : bytes);
  const content = compressed ? inflated(bytes, header.fileBytes) : bytes;
  if (content.byteLength === header.fileBytes) return { header, content };
  const sizes = header.size.join(' x ');
  throw new WetreadError(
    'pixel-damaged',
    `NIfTI: the file has ${content.byteLength} bytes, its header announces ${header.fileBytes} (${sizes} voxels of ${header.valueBytes} bytes from byte ${header.start})`,
    { hint: content.byteLength < header.fileBytes ? 'the file is cut off: copy it again' : 'header and values do not belong together' },
  );
}

function inflated(bytes: Uint8Array, most: number): Uint8Array {
  // Memory follows the announced size; what so few compressed bytes cannot hold is not asked for.
  if (most > bytes.byteLength * mostInflation) {
    throw new WetreadError(
      'pixel-damaged',
      `NIfTI: ${bytes.byteLength} compressed bytes cannot hold the ${most} that its header announces`,
      {
        hint: 'the file is cut off: copy it again',
      },
    );
  }
  try {
    return gunzipSync(bytes, { maxOutputLength: most });
  } catch (cause) {
    const tooLarge = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE';
    const what = tooLarge ? `holds more than the ${most} bytes that its header announces` : 'is cut off or damaged';
    throw new WetreadError('pixel-damaged', `NIfTI: the compressed file ${what}`, { cause });
  }
}

/** @throws not-finite */
function valuesOf(header: NiftiHeader, content: Uint8Array, view: View): RawVolume {
  const { size, read, valueBytes, start, littleEndian, slope, intercept } = header;
  const [depth, height, width] = [size[view.slices.axis], size[view.rows.axis], size[view.columns.axis]];
  const strides = [valueBytes, valueBytes * size[0], valueBytes * size[0] * size[1]] as const;
  /** Where index 0 of the display's axis lies, and the step to the next. */
  const walk = ({ axis, reversed }: View['slices']) => ({
    first: reversed ? (size[axis] - 1) * strides[axis] : 0,
    step: reversed ? -strides[axis] : strides[axis],
  });
  const [slices, rows, columns] = [walk(view.slices), walk(view.rows), walk(view.columns)];
  const data = new DataView(content.buffer, content.byteOffset, content.byteLength);
  const values = new Float32Array(depth * height * width);
  let at = 0;
  for (let slice = 0; slice < depth; slice++) {
    for (let row = 0; row < height; row++) {
      let byte = start + slices.first + slice * slices.step + rows.first + row * rows.step + columns.first;
      for (let column = 0; column < width; column++, byte += columns.step)
        values[at++] = read(data, byte, littleEndian) * slope + intercept;
    }
  }
  const bad = values.findIndex((value) => !Number.isFinite(value));
  if (bad < 0) return { depth, height, width, values };
  const place = `slice ${Math.floor(bad / (height * width)) + 1}, row ${(Math.floor(bad / width) % height) + 1}, column ${(bad % width) + 1}`;
  throw new WetreadError('not-finite', `NIfTI: the value at ${place} is ${values[bad]}, a finite number expected`, {
    hint: 'replace the background by a number, such as the lowest one',
  });
}

/**
 * @param bytes the whole file
 * @throws pixel-damaged, pixel-unsupported, not-finite
 */
export function readNifti(bytes: Uint8Array): NiftiVolume {
  const { header, content } = contentOf(bytes);
  const view = viewOf(header);
  return { volume: valuesOf(header, content, view), plane: view.plane, display: header.display };
}
