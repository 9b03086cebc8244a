/**
 * Stored values of a frame: what the bytes mean before any rescale.
 *
 * Bits outside BitsStored are no data (overlays or rubbish live there) and the sign comes from PixelRepresentation, never from a
 * codestream. Samples come out interleaved whatever PlanarConfiguration says; YBR becomes RGB. Source: PS3.5 8.1.1, PS3.3 C.7.6.3.1.
 */
import { WetreadError } from '#domain/errors.ts';
import { ybrFull422ToRgb, ybrFullToRgb } from './colour.ts';
import type { PixelDescription } from './pixel-description.ts';

export type StoredValues = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

/** rows x columns x samples, rows first, samples interleaved. */
export interface StoredFrame {
  readonly rows: number;
  readonly columns: number;
  readonly samples: 1 | 3;
  readonly bitsStored: number;
  readonly values: StoredValues;
}

/** Bytes of one native frame. */
function nativeFrameBytes({ rows, columns, samples, bitsAllocated, photometric }: PixelDescription): number {
  return photometric === 'YBR_FULL_422' ? rows * columns * 2 : (rows * columns * samples * bitsAllocated) / 8;
}

/**
 * Cuts one frame (0-based) out of native pixel data. A missing pad byte after an odd length is accepted, a missing value is not.
 * @throws dicom-truncated, dicom-malformed when there are more frames than declared
 */
export function nativeFrame(bytes: Uint8Array, description: PixelDescription, frame: number): Uint8Array {
  const size = nativeFrameBytes(description);
  const expected = size * description.frames;
  if (bytes.length < expected) {
    throw new WetreadError(
      'dicom-truncated',
      `PixelData: found ${bytes.length} bytes, expected ${expected} for ${description.frames} frames`,
    );
  }
  if (bytes.length >= expected + size && bytes.length > expected + 1) {
    throw new WetreadError(
      'dicom-malformed',
      `PixelData: found ${bytes.length} bytes, expected ${expected} for ${description.frames} frames`,
    );
  }
  return bytes.subarray(frame * size, (frame + 1) * size);
}

/** Native frame -> stored values. @param swapped 8-bit samples whose words are big endian */
export function storedOfNative(bytes: Uint8Array, description: PixelDescription, bigEndian: boolean, swapped: boolean): StoredFrame {
  const { rows, columns, samples, bitsStored, photometric } = description;
  const ordered = bigEndian && description.bitsAllocated > 8 ? reversed(bytes, description.bitsAllocated / 8) : bytes;
  const plain = swapped && description.bitsAllocated === 8 ? reversed(ordered, 2) : ordered;
  if (photometric === 'YBR_FULL_422') {
    if (columns % 2 !== 0) throw new WetreadError('dicom-malformed', `YBR_FULL_422: found ${columns} columns, expected an even number`);
    return { rows, columns, samples, bitsStored, values: ybrFull422ToRgb(plain) };
  }
  const raw = valuesOf(plain, description);
  const values = description.planar ? interleaved(raw, rows * columns) : raw;
  return { rows, columns, samples, bitsStored, values: photometric === 'YBR_FULL' ? ybrFullToRgb(values) : values };
}

/** Little endian samples -> typed values with BitsStored and sign applied. */
export function valuesOf(bytes: Uint8Array, { bitsAllocated, bitsStored, highBit, signed }: PixelDescription): StoredValues {
  const own = bytes.slice(); // Typed arrays need aligned memory, and the file's must stay as it is.
  const count = own.length / (bitsAllocated / 8);
  const values = typed(own.buffer, count, bitsAllocated, signed);
  if (bitsStored === bitsAllocated) return values;
  // Shifting left and back by 32-bit numbers drops the bits above HighBit and those below the lowest stored bit, and extends the sign.
  const left = 31 - highBit;
  const right = 32 - bitsStored;
  for (let i = 0; i < count; i++) {
    const shifted = (values[i] ?? 0) << left;
    values[i] = signed ? shifted >> right : shifted >>> right;
  }
  return values;
}

function typed(buffer: ArrayBuffer, count: number, bits: 8 | 16 | 32, signed: boolean): StoredValues {
  if (bits === 8) return signed ? new Int8Array(buffer, 0, count) : new Uint8Array(buffer, 0, count);
  if (bits === 16) return signed ? new Int16Array(buffer, 0, count) : new Uint16Array(buffer, 0, count);
  return signed ? new Int32Array(buffer, 0, count) : new Uint32Array(buffer, 0, count);
}

function reversed(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    const source = i - (i % size) + (size - 1 - (i % size));
    out[i] = bytes[source] ?? bytes[i] ?? 0; // A last odd byte has no partner.
  }
  return out;
}

/** Planes R, G, B -> pixels RGB. */
export function interleaved(planes: StoredValues, pixels: number): StoredValues {
  const out = planes.slice();
  for (let i = 0; i < pixels; i++) {
    for (let sample = 0; sample < 3; sample++) out[i * 3 + sample] = planes[sample * pixels + i] ?? 0;
  }
  return out;
}
