/**
 * Stored numbers to f32. Files are little-endian, and so is every machine that onnxruntime runs on; the readers refuse big-endian files.
 * bfloat16 is the upper half of an f32; 64-bit values lose digits beyond f32, which no weight of a published model needs.
 */
import { WetreadError } from '#domain/errors.ts';

/** Number types by their safetensors names. */
export type NumberType = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

export const bytesOf: Readonly<Record<NumberType, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

export function isNumberType(text: string): text is NumberType {
  return Object.hasOwn(bytesOf, text);
}

/** Values of `bytes` as f32; the bytes may be reused as the result's memory. @throws checkpoint-unreadable when they are no whole number of values */
export function toF32(type: NumberType, bytes: Uint8Array<ArrayBuffer>): Float32Array {
  if (bytes.byteLength % bytesOf[type] !== 0) {
    throw new WetreadError('checkpoint-unreadable', `${bytes.byteLength} bytes are no whole number of ${type} values`);
  }
  // Typed arrays need an offset that is a multiple of their element: a view into a larger buffer is copied first.
  const aligned = bytes.byteOffset % bytesOf[type] === 0 ? bytes : bytes.slice();
  const { buffer, byteOffset, byteLength } = aligned;
  const count = byteLength / bytesOf[type];
  switch (type) {
    case 'F32':
      return new Float32Array(buffer, byteOffset, count);
    case 'F64':
      return new Float32Array(new Float64Array(buffer, byteOffset, count));
    case 'F16':
      return new Float32Array(new Float16Array(buffer, byteOffset, count));
    case 'BF16':
      return fromBf16(new Uint16Array(buffer, byteOffset, count));
    case 'I64':
      return Float32Array.from(new BigInt64Array(buffer, byteOffset, count), Number);
    case 'I32':
      return new Float32Array(new Int32Array(buffer, byteOffset, count));
    case 'I16':
      return new Float32Array(new Int16Array(buffer, byteOffset, count));
    case 'I8':
      return new Float32Array(new Int8Array(buffer, byteOffset, count));
    case 'U8':
    case 'BOOL':
      return new Float32Array(aligned);
  }
}

function fromBf16(values: Uint16Array): Float32Array {
  const bits = new Uint32Array(values.length);
  for (let i = 0; i < values.length; i++) bits[i] = (values[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}
