/** A prompt of the llava family as the engine runs it, within the bundle's limits: too much is an error, never a cut. */
import type { PromptPart } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../../bundle-manifest.ts';
import type { EncodedPrompt } from '../../encoded.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { encodeImage } from './preprocess.ts';
import { encodeText } from './prompt.ts';

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
  const images = parts.flatMap((part) => (part.kind === 'image' ? [part.image] : []));
  if (images.length > limits.maxImages) {
    throw new WetreadError(
      'too-many-images',
      `the prompt has ${images.length} images, the bundle ${manifest.name} takes ${limits.maxImages}`,
    );
  }
  const encoded = encode();
  const rows = encoded.parts.reduce((sum, part) => sum + (part.kind === 'tokens' ? part.ids.length : sizes.visualTokens), 0);
  if (rows >= limits.contextTokens) {
    throw new WetreadError(
      'prompt-too-long',
      `the prompt has ${rows} rows, the bundle ${manifest.name} takes fewer than ${limits.contextTokens}`,
      {
        hint: 'give it less history or fewer images',
      },
    );
  }
  return { ...encoded, images: images.map((image) => encodeImage(image, manifest.processor)) };
}

/** Text with the template around it, images as tensors. @throws too-many-images, prompt-too-long */
export function encodeLlava(manifest: Manifest, tokenizer: Tokenizer, parts: readonly PromptPart[]): EncodedPrompt {
  return encodeInterleaved(manifest, parts, () => encodeText(manifest, tokenizer, parts));
}
