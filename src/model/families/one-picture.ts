/** Models that were trained on one picture and one question: neither more pictures nor none. */
import type { PromptPart, RawImage } from '#domain/answer.ts';
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../bundle-manifest.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { withoutMarks } from './templates.ts';

/** @throws architecture-unsupported when the importer asks for more */
export function checkOneImage(maxImages: number | undefined): void {
  if (maxImages === undefined || maxImages === 1) return;
  throw new WetreadError('architecture-unsupported', `limits.maxImages is ${maxImages}; the model takes one picture with a question`);
}

/**
 * The picture and the text of a prompt, the tokenizer's marks taken out of the text.
 * @throws too-many-images for more than one picture, and request-malformed for none: the model was never asked without
 */
export function pictureAndText(
  { name }: Manifest,
  tokenizer: Tokenizer,
  parts: readonly PromptPart[],
): { readonly image: RawImage; readonly text: string } {
  const images = parts.flatMap((part) => (part.kind === 'image' ? [part.image] : []));
  const [image] = images;
  if (images.length > 1) throw new WetreadError('too-many-images', `the prompt has ${images.length} images, the bundle ${name} takes 1`);
  if (image === undefined) throw new WetreadError('request-malformed', `the prompt has no image, the bundle ${name} takes 1`);
  const marks = tokenizer.special.filter((mark) => mark !== '');
  return { image, text: parts.map((part) => (part.kind === 'text' ? withoutMarks(part.text, marks) : '')).join('') };
}
