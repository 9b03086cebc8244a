/** A picture of the sandbox's PACS for viewers: the display rules of #dicom, as PNG or JPEG. Never what the model sees. */
import sharp from 'sharp';
import { pictureOf } from '#dicom/picture.ts';
import type { Render } from './retrieve.ts';

/** @throws what pictureOf throws */
export const renderPicture: Render = async (file, frame, type) => {
  const { pixels, width, height, channels } = await pictureOf(file, { frame });
  const image = sharp(pixels, { raw: { width, height, channels } });
  return type === 'image/png' ? image.png().toBuffer() : image.jpeg({ quality: 90 }).toBuffer();
};
