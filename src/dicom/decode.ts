/**
 * Stored values of one frame of a file, whatever its transfer syntax: native data here, compressed data in the worker threads.
 *
 * Source: PS3.5 annex A.
 */
import { WetreadError } from '#domain/errors.ts';
import { type DecodePool, openDecodePool } from './decode-pool.ts';
import { encapsulatedFrame } from './frames.ts';
import { checkDecoders, type DecoderCheck } from './known-answers.ts';
import { describePixels } from './pixel-description.ts';
import type { DicomFile } from './read.ts';
import { nativeFrame, type StoredFrame, storedOfNative } from './stored.ts';
import { codecFor, isNative } from './transfer-syntax.ts';

/** The process's workers; idle ones do not keep it alive. */
const pool = openDecodePool();

/** Every known answer through the workers, as frames of files go. For the start of a service; a worker refuses what fails by itself. */
export function checkWorkers(workers: Pick<DecodePool, 'decode'> = pool): Promise<readonly DecoderCheck[]> {
  return checkDecoders((codec, bytes, description) => workers.decode(codec, bytes, description));
}

/**
 * @param frame 1-based
 * @throws pixel-missing, pixel-damaged, pixel-unsupported, transfer-syntax-unsupported, dicom-truncated, dicom-malformed, dicom-too-large
 */
export async function storedFrame(file: DicomFile, frame: number): Promise<StoredFrame> {
  const { header, pixelData, transferSyntax } = file;
  const description = describePixels(header);
  if (pixelData === null) throw new WetreadError('pixel-missing', 'image: found no PixelData');
  if (!Number.isInteger(frame) || frame < 1 || frame > description.frames) {
    throw new WetreadError('pixel-missing', `image: found ${description.frames} frames, expected frame ${frame}`);
  }
  if (pixelData.kind === 'encapsulated') {
    const codec = codecFor(transferSyntax);
    const codestream = encapsulatedFrame(pixelData.bytes, header, description.frames, frame - 1, codec);
    return await pool.decode(codec, codestream, description);
  }
  if (!isNative(transferSyntax)) {
    throw new WetreadError('dicom-malformed', `PixelData: found a native value with transfer syntax ${transferSyntax}, expected fragments`);
  }
  return storedOfNative(nativeFrame(pixelData.bytes, description, frame - 1), description, header.bigEndian, pixelData.swapped);
}
