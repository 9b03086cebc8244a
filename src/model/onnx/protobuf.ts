/**
 * The part of the protobuf wire format that an ONNX model needs, for writing only.
 *
 * A message is an array of byte pieces that are joined once; fields are (number << 3 | wire type) varints.
 * Negative int64 values are ten-byte two's complement varints.
 * Source: protobuf.dev/programming-guides/encoding.
 */

/** One encoded field of a message; a message is its fields joined. */
export type Field = Uint8Array;

const WIRE_VARINT = 0;
const WIRE_BYTES = 2;
const WIRE_FIXED32 = 5;

function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 127n);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 128);
  } while (rest !== 0n);
  return bytes;
}

/** Joins fields into one message. */
export function message(fields: readonly Field[]): Uint8Array {
  const joined = new Uint8Array(fields.reduce((length, field) => length + field.length, 0));
  let at = 0;
  for (const field of fields) {
    joined.set(field, at);
    at += field.length;
  }
  return joined;
}

/** int32, int64, enum or bool field. */
export function integerField(number: number, value: number | bigint): Field {
  return Uint8Array.from([...varint(number * 8 + WIRE_VARINT), ...varint(value)]);
}

/** bytes or embedded message field. */
export function bytesField(number: number, value: Uint8Array): Field {
  const head = [...varint(number * 8 + WIRE_BYTES), ...varint(value.length)];
  const field = new Uint8Array(head.length + value.length);
  field.set(head, 0);
  field.set(value, head.length);
  return field;
}

/** string field, UTF-8. */
export function textField(number: number, value: string): Field {
  return bytesField(number, new TextEncoder().encode(value));
}

/** Embedded message field. */
export function messageField(number: number, fields: readonly Field[]): Field {
  return bytesField(number, message(fields));
}

/** float field, IEEE 754 single precision, little end first. */
export function floatField(number: number, value: number): Field {
  const field = new Uint8Array([...varint(number * 8 + WIRE_FIXED32), 0, 0, 0, 0]);
  new DataView(field.buffer).setFloat32(field.length - 4, value, true);
  return field;
}

/** Packed repeated int64 field. */
export function packedIntegersField(number: number, values: readonly number[]): Field {
  return bytesField(number, Uint8Array.from(values.flatMap((value) => varint(value))));
}
