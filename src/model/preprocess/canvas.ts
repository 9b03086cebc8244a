/**
 * Steps that move a picture's pixels without changing them: grey to RGB, padding to a square, cropping the centre.
 * Source: LLaVA mm_utils.expand2square; transformers image_transforms.center_crop; torchvision CenterCrop.
 */

import type { RawImage } from '#domain/answer.ts';
import { roundHalfEven } from '#domain/ct-windows.ts';

/** Three equal channels of a grey picture; RGB is returned as it is. */
export function toRgb(image: RawImage): RawImage {
  if (image.channels === 3) return image;
  const pixels = new Uint8Array(image.pixels.length * 3);
  for (let i = 0; i < image.pixels.length; i++) pixels.fill(image.pixels[i] ?? 0, 3 * i, 3 * i + 3);
  return { ...image, channels: 3, pixels };
}

/** `image` with its top left corner at (left, top) of a canvas, which may be smaller or larger; `fill` has one value per channel. */
function place(image: RawImage, left: number, top: number, width: number, height: number, fill: readonly number[]): RawImage {
  const { channels } = image;
  const pixels = new Uint8Array(width * height * channels);
  if (fill.some((value) => value !== 0)) for (let i = 0; i < pixels.length; i++) pixels[i] = fill[i % channels] ?? 0;
  const fromX = Math.max(0, -left);
  const toX = Math.min(image.width, width - left);
  for (let y = Math.max(0, -top); y < Math.min(image.height, height - top); y++) {
    const start = (y * image.width + fromX) * channels;
    pixels.set(image.pixels.subarray(start, (y * image.width + toX) * channels), ((y + top) * width + fromX + left) * channels);
  }
  return { width, height, channels, pixels };
}

/** A square of the longer edge, the picture in the middle (rounded down), the rest in `color`. */
export function padToSquare(image: RawImage, color: readonly [number, number, number]): RawImage {
  if (image.width === image.height) return image;
  const rgb = toRgb(image);
  const side = Math.max(rgb.width, rgb.height);
  return place(rgb, Math.floor((side - rgb.width) / 2), Math.floor((side - rgb.height) / 2), side, side, color);
}

/** `floor` is HF's rule, `half-even` torchvision's: they differ by a pixel where (size - crop) is 3 mod 4. */
export type CropRounding = 'floor' | 'half-even';

/** The middle of a picture; where it is smaller than the crop, raw zeros are added. */
export function centerCrop(image: RawImage, width: number, height: number, rounding: CropRounding): RawImage {
  const offset = (size: number, crop: number) => (rounding === 'floor' ? Math.floor((size - crop) / 2) : roundHalfEven((size - crop) / 2));
  return place(image, -offset(image.width, width), -offset(image.height, height), width, height, [0, 0, 0]);
}
