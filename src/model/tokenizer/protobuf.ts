/**
 * Just enough of the protobuf wire format to read a SentencePiece model: a message is a list of (field number, value).
 * Source: protobuf.dev, "Encoding". Groups (deprecated) are refused.
 */
import { WetreadError } from '#domain/errors.ts';

/** A varint as a number (exact below 2^53), a fixed 32- or 64-bit value as its bytes, or a length-delimited value as its bytes. */
export interface Field {
  readonly number: number;
  readonly value: number | Uint8Array;
}

/** Fields of one message in file order. @throws tokenizer-unsupported when the bytes are no message */
export function* readFields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw damaged('ends inside a number');
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw damaged('has a number that is too long');
  };
  const take = (length: number) => {
    if (at + length > bytes.byteLength) throw damaged('names more bytes than it has');
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.byteLength) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === 0) yield { number, value: varint() };
    else if (wire === 1) yield { number, value: take(8) };
    else if (wire === 2) yield { number, value: take(varint()) };
    else if (wire === 5) yield { number, value: take(4) };
    else throw damaged(`has wire type ${wire}`);
  }
}

function damaged(what: string): WetreadError {
  return new WetreadError('tokenizer-unsupported', `the SentencePiece model ${what}: it is truncated or no SentencePiece model`);
}
