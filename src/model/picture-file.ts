/**
 * Picture files for the command line and parity, as PIL opens them: EXIF orientation and colour profiles are ignored, alpha is dropped
 * without compositing, a palette is looked up, 1 bit becomes 0 and 255. Grey of 16 bit stays 16 bit: a rule must be chosen.
 */
import sharp from 'sharp';
import type { RawImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import { grayTo8Bit } from './preprocess/gray.ts';

export type PictureFile =
  | { readonly depth: 8; readonly image: RawImage }
  | { readonly depth: 16; readonly width: number; readonly height: number; readonly values: Uint16Array };

const maxPixels = 100_000_000;

/** @throws pixel-damaged when the file is no picture, pixel-unsupported for other kinds than grey and RGB */
export async function readPictureFile(path: string): Promise<PictureFile> {
  try {
    const file = sharp(path, { ignoreIcc: true, limitInputPixels: maxPixels, failOn: 'error' });
    const { space, depth } = await file.metadata();
    if (space === 'grey16' || (space === 'b-w' && depth === 'ushort')) {
      const { data, info } = await file.toColourspace('grey16').raw({ depth: 'ushort' }).toBuffer({ resolveWithObject: true });
      const words = new Uint16Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
      const values = info.channels === 1 ? words : words.filter((_, i) => i % info.channels === 0);
      return { depth: 16, width: info.width, height: info.height, values };
    }
    if (space === 'cmyk') throw new WetreadError('pixel-unsupported', `${path}: a CMYK picture; grey and RGB are read`);
    // Without being told, sharp writes grey as three equal channels.
    const picture = space === 'b-w' ? file.toColourspace('b-w') : file;
    const { data, info } = await picture.raw().toBuffer({ resolveWithObject: true });
    return { depth: 8, image: withoutAlpha(info.width, info.height, info.channels, data) };
  } catch (cause) {
    if (cause instanceof WetreadError) throw cause;
    throw new WetreadError('pixel-damaged', `${path}: no picture that can be read`, { cause });
  }
}

function withoutAlpha(width: number, height: number, found: number, data: Uint8Array): RawImage {
  if (found < 1 || found > 4) throw new WetreadError('pixel-unsupported', `a picture of ${found} channels; grey and RGB are read`);
  const channels = found <= 2 ? 1 : 3;
  const pixels = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < channels; c++) pixels[i * channels + c] = data[i * found + c] ?? 0;
  return { width, height, channels, pixels };
}

/** As readPictureFile; 16-bit grey is stretched from its lowest to its highest value. */
export async function readPicture(path: string): Promise<RawImage> {
  const file = await readPictureFile(path);
  return file.depth === 8 ? file.image : grayTo8Bit(file.width, file.height, file.values, 'minmax');
}
