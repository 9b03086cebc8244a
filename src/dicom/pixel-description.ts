/**
 * How the pixels of an object are laid out, checked before anything is allocated.
 *
 * Everything that wetread does not read is refused here by name, so that no later step guesses. Source: PS3.3 C.7.6.3, PS3.5 8.1.1.
 */
import { WetreadError } from '#domain/errors.ts';
import { mostFrames } from '#domain/study.ts';
import type { Header } from './header.ts';

/** Samples of one frame; a mammogram of 5624 x 4096 has 23 million. */
const maxFrameSamples = 128 * 1024 * 1024;

export interface PixelDescription {
  readonly rows: number;
  readonly columns: number;
  readonly samples: 1 | 3;
  readonly bitsAllocated: 8 | 16 | 32;
  readonly bitsStored: number;
  readonly highBit: number;
  readonly signed: boolean;
  readonly photometric: Photometric;
  /** True = one plane per sample (native data only). */
  readonly planar: boolean;
  readonly frames: number;
}

const photometrics = ['MONOCHROME1', 'MONOCHROME2', 'PALETTE COLOR', 'RGB', 'YBR_FULL', 'YBR_FULL_422', 'YBR_RCT', 'YBR_ICT'] as const;
type Photometric = (typeof photometrics)[number];

/**
 * @throws pixel-missing when the object has no image, pixel-unsupported for float, 1-bit and other forms,
 * dicom-malformed for contradictions, dicom-too-large
 */
export function describePixels(header: Header): PixelDescription {
  if (header.has('FloatPixelData') || header.has('DoubleFloatPixelData')) unsupported('FloatPixelData, expected integer pixel data');
  if (!header.has('Rows'))
    throw new WetreadError('pixel-missing', `${header.text('Modality') ?? 'object'}: found no Rows, expected an image`);
  const photometric = photometricOf(header);
  const samples = required(header, 'SamplesPerPixel');
  const colour = !photometric.startsWith('MONOCHROME') && photometric !== 'PALETTE COLOR';
  if (samples !== (colour ? 3 : 1)) malformed(`SamplesPerPixel ${samples} with ${photometric}`, colour ? '3' : '1');
  const bitsAllocated = required(header, 'BitsAllocated');
  if (bitsAllocated !== 8 && bitsAllocated !== 16 && bitsAllocated !== 32)
    unsupported(`BitsAllocated ${bitsAllocated}, expected 8, 16 or 32`);
  const bitsStored = required(header, 'BitsStored');
  const highBit = header.number('HighBit') ?? bitsStored - 1;
  if (bitsStored < 1 || highBit >= bitsAllocated || highBit + 1 < bitsStored) {
    malformed(`BitsStored ${bitsStored} and HighBit ${highBit}`, `bits within the ${bitsAllocated} allocated`);
  }
  const description: PixelDescription = {
    rows: required(header, 'Rows'),
    columns: required(header, 'Columns'),
    samples: colour ? 3 : 1,
    bitsAllocated,
    bitsStored,
    highBit,
    signed: required(header, 'PixelRepresentation') === 1,
    photometric,
    planar: colour && header.number('PlanarConfiguration') === 1,
    frames: framesOf(header),
  };
  checkSize(description);
  return description;
}

/** Frames of an object, 1 where it does not say. @throws dicom-malformed, dicom-too-large */
export function framesOf(header: Header): number {
  const frames = header.number('NumberOfFrames') ?? 1;
  if (frames < 1) malformed(`${frames} frames`, 'at least one');
  if (frames > mostFrames) throw new WetreadError('dicom-too-large', `image: found ${frames} frames, expected at most ${mostFrames}`);
  return frames;
}

function checkSize({ rows, columns, samples, frames, photometric, bitsAllocated }: PixelDescription): void {
  if (rows < 1 || columns < 1) malformed(`${rows} x ${columns} pixels`, 'at least one of each');
  if (rows * columns * samples > maxFrameSamples) {
    throw new WetreadError(
      'dicom-too-large',
      `image: found ${frames} frames of ${rows} x ${columns} x ${samples}, expected at most ${maxFrameSamples} samples`,
    );
  }
  if (photometric.startsWith('YBR') && bitsAllocated !== 8) unsupported(`${photometric} with ${bitsAllocated} bits, expected 8`);
}

function photometricOf(header: Header): Photometric {
  const text = header.text('PhotometricInterpretation');
  const found = photometrics.find((one) => one === text);
  return found ?? unsupported(`PhotometricInterpretation ${text ?? 'absent'}, expected one of ${photometrics.join(', ')}`);
}

function required(
  header: Header,
  keyword: 'Rows' | 'Columns' | 'SamplesPerPixel' | 'BitsAllocated' | 'BitsStored' | 'PixelRepresentation',
): number {
  return header.number(keyword) ?? malformed(`no ${keyword}`, 'a number');
}

function unsupported(found: string): never {
  throw new WetreadError('pixel-unsupported', `image: found ${found}`, { hint: 'the archive may offer another form of this image' });
}

function malformed(found: string, expected: string): never {
  throw new WetreadError('dicom-malformed', `image: found ${found}, expected ${expected}`);
}
