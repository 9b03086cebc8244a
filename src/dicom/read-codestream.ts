/**
 * Reads the header of a codestream and holds it against the data set before any decoder sees it.
 *
 * The decoders believe their input: a forged size allocates gigabytes, a cut stream gives a full-size wrong image without an error.
 */
import { WetreadError } from '#domain/errors.ts';
import { type Codestream, damaged } from './codestream.ts';
import { endOfCodestream } from './frames.ts';
import { readJpeg } from './jpeg-header.ts';
import { readJpeg2000 } from './jpeg2000-header.ts';
import type { PixelDescription } from './pixel-description.ts';
import type { Codec } from './transfer-syntax.ts';

/**
 * Most samples that a byte can stand for: a DCT block of 64 takes two bits at least (one component of several may be whole, the others
 * halved), a lossless sample one bit. The others can be empty for blank images: there the ratio is one that no image of a patient has.
 */
const samplesPerByte: Readonly<Record<Exclude<Codec, 'rle'>, number>> = {
  jpeg: 256 * 3,
  'jpeg-lossless': 8,
  'jpeg-ls': 4096,
  jpeg2000: 4096,
  htj2k: 4096,
};
/** Below this many samples a blank image may be as short as it likes. */
const blankSamples = 16 * 1024 * 1024;

/** Both headers may claim a huge frame together: the memory for it is taken for what the bytes can hold only. */
function checkHeld(codec: Exclude<Codec, 'rle'>, { bytes, rows, columns, components }: Codestream): void {
  const claimed = rows * columns * components;
  const exact = codec === 'jpeg' || codec === 'jpeg-lossless';
  const most = bytes.length * samplesPerByte[codec];
  if (claimed > (exact ? most : Math.max(most, blankSamples))) damaged(codec, `${bytes.length} bytes for ${claimed} samples`, 'more');
}

/** @throws pixel-damaged when it contradicts the data set or has no end, pixel-unsupported for forms that no decoder here reads */
export function readCodestream(bytes: Uint8Array, codec: Exclude<Codec, 'rle'>, description: PixelDescription): Codestream {
  const end = endOfCodestream(bytes);
  if (end === null)
    throw new WetreadError('pixel-damaged', `${codec}: found no end marker in ${bytes.length} bytes, expected a whole codestream`);
  const whole = bytes.subarray(0, end);
  const stream = codec === 'jpeg2000' || codec === 'htj2k' ? readJpeg2000(whole) : readJpeg(whole);
  const { rows, columns, samples, bitsAllocated } = description;
  if (stream.rows !== rows || stream.columns !== columns || stream.components !== samples) {
    damaged(codec, `${stream.rows} x ${stream.columns} x ${stream.components}`, `${rows} x ${columns} x ${samples} as the data set says`);
  }
  if (stream.precision < 1 || stream.precision > bitsAllocated) damaged(codec, `${stream.precision} bits`, `at most ${bitsAllocated}`);
  checkHeld(codec, stream);
  return stream;
}
