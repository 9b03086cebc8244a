/**
 * Stored values of one frame of a file, whatever its transfer syntax.
 *
 * Source: PS3.5 annex A.
 */
import { WetreadError } from '#domain/errors.ts';
import { describePixels } from './pixel-description.ts';
import type { DicomFile } from './read.ts';
import { nativeFrame, type StoredFrame, storedOfNative } from './stored.ts';

/**
 * @param frame 1-based
 * @throws pixel-missing, pixel-unsupported, transfer-syntax-unsupported, dicom-truncated, dicom-malformed, dicom-too-large
 */
export async function storedFrame(file: DicomFile, frame: number): Promise<StoredFrame> {
  const description = describePixels(file.header);
  if (file.pixelData === null) throw new WetreadError('pixel-missing', 'image: found no PixelData');
  if (!Number.isInteger(frame) || frame < 1 || frame > description.frames) {
    throw new WetreadError('pixel-missing', `image: found ${description.frames} frames, expected frame ${frame}`);
  }
  if (file.pixelData.kind === 'encapsulated') {
    throw new WetreadError('transfer-syntax-unsupported', `transfer syntax: found ${file.transferSyntax}, expected an uncompressed one`);
  }
  const bytes = nativeFrame(file.pixelData.bytes, description, frame - 1);
  return storedOfNative(bytes, description, file.header.bigEndian, file.pixelData.swapped);
}
