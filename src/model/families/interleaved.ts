/** Pictures among texts, each with the same number of rows, within the bundle's limits: too much is an error, never a cut. */
import type { PromptPart, RawImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../bundle-manifest.ts';
import type { EncodedImage, EncodedPrompt } from '../encoded.ts';
import { rowsInPrompt } from '../onnx/sizes.ts';
import { frame, normalize, type Processor } from '../preprocess/processor.ts';

/** [1, 3, height, width] f32; the black null is a raw 0 in the whole square, padding included. */
export function encodeImage(image: RawImage, processor: Processor): EncodedImage {
  const { final } = frame(image, processor);
  return {
    data: normalize(final, processor),
    shape: [1, 3, final.height, final.width],
    black: processor.mean.map((mean, channel) => (0 - mean) / (processor.std[channel] ?? 1)),
  };
}

/**
 * A text's ids with images in their places, within the bundle's limits, and the images as tensors.
 * @param encode the family's own order of ids
 * @throws too-many-images, prompt-too-long (with both numbers)
 */
export function encodeInterleaved(
  manifest: Manifest,
  parts: readonly PromptPart[],
  encode: () => Omit<EncodedPrompt, 'images'>,
): EncodedPrompt {
  const { limits, sizes } = manifest;
  const images = parts.filter((part) => part.kind === 'image');
  const asked = images.filter((part) => part.isFixed !== true).length;
  if (asked > limits.maxImages) {
    throw new WetreadError('too-many-images', `the prompt has ${asked} images, the bundle ${manifest.name} takes ${limits.maxImages}`);
  }
  const encoded = encode();
  const rows = encoded.parts.reduce((sum, part) => sum + (part.kind === 'tokens' ? part.ids.length : rowsInPrompt(sizes)), 0);
  if (rows >= limits.contextTokens) {
    throw new WetreadError(
      'prompt-too-long',
      `the prompt has ${rows} rows, the bundle ${manifest.name} takes fewer than ${limits.contextTokens}`,
      {
        hint: 'give it less history or fewer images',
      },
    );
  }
  const tensors = images.map(({ image, isFixed }) => ({
    ...encodeImage(image, manifest.processor),
    ...(isFixed === true ? { isFixed } : {}),
  }));
  return { ...encoded, images: tensors };
}
