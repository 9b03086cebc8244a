/** A picture as a PNG or JPEG file, for viewers and the review page. Never model input: that is Picture.pixels. */
import sharp from 'sharp';
import type { Picture } from '#domain/picture.ts';

/** PNG keeps the pixels as they are; JPEG is written at quality 90. */
export async function renderPicture(
  picture: Pick<Picture, 'pixels' | 'width' | 'height' | 'channels'>,
  type: 'image/png' | 'image/jpeg',
): Promise<Uint8Array> {
  const { pixels, width, height, channels } = picture;
  const image = sharp(pixels, { raw: { width, height, channels } });
  const plain = channels === 1 ? image.toColourspace('b-w') : image;
  return type === 'image/png' ? await plain.png().toBuffer() : await plain.jpeg({ quality: 90 }).toBuffer();
}
