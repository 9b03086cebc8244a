/**
 * One codestream -> stored values, in this thread. decode-pool.ts calls it inside a worker.
 *
 * The wasm builds are loaded directly and their output is distrusted: size, components and byte count must equal what the codestream's
 * header said, since a failed decode may come back without an exception. Source: PS3.5 8.2; packages @cornerstonejs/codec-*.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Codestream } from './codestream.ts';
import { ybrFullToRgb } from './colour.ts';
import { decodeExtended } from './jpeg-extended.ts';
import { decodeLossless } from './jpeg-lossless.ts';
import { segments } from './jpeg-markers.ts';
import type { PixelDescription } from './pixel-description.ts';
import { readCodestream } from './read-codestream.ts';
import { decodeRle } from './rle.ts';
import { interleaved, type StoredFrame, type StoredValues, valuesOf } from './stored.ts';
import type { Codec } from './transfer-syntax.ts';

/** Interleaved samples of 8 or 16 bits, little endian. */
interface Samples {
  readonly bytes: Uint8Array;
  readonly bits: 8 | 16 | 32;
}

/** A new object each time: a module makes it its own. */
const silent = (): WasmOptions => ({ print: () => undefined, printErr: () => undefined });

/** Modules of this thread; each is opened at its first use. */
const modules = {
  jpeg2000: once(async () => (await (await import('@cornerstonejs/codec-openjpeg/decodewasmjs')).default(silent())).J2KDecoder),
  htj2k: once(async () => (await (await import('@cornerstonejs/codec-openjph/wasmjs')).default(silent())).HTJ2KDecoder),
  'jpeg-ls': once(async () => (await import('@cornerstonejs/codec-charls/decodewasmjs')).default(silent())),
  jpeg: once(async () => (await (await import('@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs')).default(silent())).JPEGDecoder),
};

function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () => {
    opened ??= open();
    return opened;
  };
}

/** @throws pixel-damaged, pixel-unsupported */
export async function decodeCodestream(codec: Codec, bytes: Uint8Array, description: PixelDescription): Promise<StoredFrame> {
  const { rows, columns, samples, bitsStored } = description;
  if (codec === 'rle') {
    const values = valuesOf(decodeRle(bytes, description), description);
    return { rows, columns, samples, bitsStored, values: description.photometric.startsWith('YBR_FULL') ? ybrFullToRgb(values) : values };
  }
  const stream = readCodestream(bytes, codec, description);
  const decoded = await decodeStream(codec, stream);
  const expected = (rows * columns * samples * decoded.bits) / 8;
  if (decoded.bytes.length !== expected) {
    throw new WetreadError('pixel-damaged', `${codec}: found ${decoded.bytes.length} decoded bytes, expected ${expected}`);
  }
  const values = storedValues(decoded, stream, description);
  return { rows, columns, samples, bitsStored, values: isYbr(codec, stream, description) ? ybrFullToRgb(values) : values };
}

async function decodeStream(codec: Exclude<Codec, 'rle'>, stream: Codestream): Promise<Samples> {
  if (codec === 'jpeg-lossless') return samplesOf(decodeLossless(stream));
  if (codec === 'jpeg') return stream.precision === 8 ? decodeBaseline(stream) : samplesOf(decodeExtended(stream));
  if (codec === 'jpeg-ls') return decodeJpegLs(stream);
  const Decoder = await modules[codec]();
  return withDecoder(new Decoder(), codec, stream, stream.bytes);
}

function samplesOf(values: Uint16Array): Samples {
  return { bytes: new Uint8Array(values.buffer), bits: 16 };
}

async function decodeJpegLs(stream: Codestream): Promise<Samples> {
  const module = await modules['jpeg-ls']();
  const decoder = new module.JpegLSDecoder();
  let planar = false;
  const samples = withDecoder(decoder, 'jpeg-ls', stream, stream.bytes, module.getExceptionMessage, () => {
    planar = stream.components === 3 && decoder.getInterleaveMode() === 0;
  });
  if (!planar) return samples;
  const values: StoredValues = samples.bits === 8 ? samples.bytes : new Uint16Array(samples.bytes.buffer);
  const pixels = interleaved(values, stream.rows * stream.columns);
  return { bytes: new Uint8Array(pixels.buffer, pixels.byteOffset, pixels.byteLength), bits: samples.bits };
}

/**
 * libjpeg decides on its own whether colour was transformed; a marker that says "not transformed" makes it hand out the components as
 * they are, and isYbr decides by the file.
 */
async function decodeBaseline(stream: Codestream): Promise<Samples> {
  if (stream.process !== 0 && stream.process !== 1) {
    throw new WetreadError('pixel-unsupported', `JPEG: found process SOF${stream.process}, expected baseline or sequential`);
  }
  const Decoder = await modules.jpeg();
  return withDecoder(new Decoder(), 'jpeg', stream, stream.components === 3 ? withoutColourTransform(stream.bytes) : stream.bytes);
}

const adobeUntransformed = Uint8Array.of(0xff, 0xee, 0, 14, 0x41, 0x64, 0x6f, 0x62, 0x65, 0, 100, 0, 0, 0, 0, 0);

function withoutColourTransform(bytes: Uint8Array): Uint8Array {
  const parts = [bytes.subarray(0, 2), adobeUntransformed];
  let from = 2;
  for (const { marker, start, end } of segments(bytes, 2)) {
    if (marker !== 0xe0 && marker !== 0xee) continue;
    parts.push(bytes.subarray(from, start - 4));
    from = end;
  }
  return new Uint8Array(Buffer.concat([...parts, bytes.subarray(from)]));
}

/** Decodes, checks what the decoder says it did, copies the result out and frees the decoder. */
function withDecoder(
  decoder: WasmDecoder,
  codec: Codec,
  stream: Codestream,
  bytes: Uint8Array,
  messageOf?: (pointer: number) => string,
  look?: () => void,
): Samples {
  try {
    decoder.getEncodedBuffer(bytes.length).set(bytes);
    decoder.decode();
    look?.();
    const info = decoder.getFrameInfo();
    if (info.width !== stream.columns || info.height !== stream.rows || info.componentCount !== stream.components) {
      throw new WetreadError(
        'pixel-damaged',
        `${codec}: found ${info.height} x ${info.width} x ${info.componentCount} decoded, expected the header's size`,
      );
    }
    return { bytes: decoder.getDecodedBuffer().slice(), bits: info.bitsPerSample <= 8 ? 8 : 16 };
  } catch (thrown) {
    if (thrown instanceof WetreadError) throw thrown;
    // The builds throw a C++ exception's address as a number.
    const reason = typeof thrown === 'number' ? (messageOf?.(thrown) ?? 'the decoder refused it') : String(thrown);
    throw new WetreadError('pixel-damaged', `${codec}: ${reason}`, { cause: thrown });
  } finally {
    decoder.delete();
  }
}

/** Bits and sign by the data set; a codestream narrower than BitsAllocated has its values in the low bits. */
function storedValues(decoded: Samples, stream: Codestream, description: PixelDescription): StoredValues {
  const bitsStored = Math.min(description.bitsStored, decoded.bits);
  const highBit = stream.precision > bitsStored ? Math.min(description.highBit, decoded.bits - 1) : bitsStored - 1;
  return valuesOf(decoded.bytes, { ...description, bitsAllocated: decoded.bits, bitsStored, highBit });
}

/** A lossless or JPEG-LS stream knows nothing of colour: the data set's word counts. JPEG 2000's own transform is undone already. */
function isYbr(codec: Codec, stream: Codestream, { photometric }: PixelDescription): boolean {
  const coded = codec === 'jpeg' || codec === 'jpeg2000' || codec === 'htj2k' ? stream.colour : null;
  return stream.components === 3 && (coded ?? (photometric.startsWith('YBR_FULL') ? 'ybr' : 'rgb')) === 'ybr';
}
