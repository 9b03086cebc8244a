/** The one door to the prompts of all families: pictures, volumes, and answers that have their rows in the prompt. */
import { WetreadError } from '#domain/errors.ts';
import type { Manifest } from '../bundle-manifest.ts';
import type { EncodedPrompt, Part } from '../encoded.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { familyOf } from './registry.ts';

/** Whether the bundle takes a volume as one image. */
export function takesVolumes({ family }: Pick<Manifest, 'family'>): boolean {
  return familyOf(family).encodeVolumes !== undefined;
}

/**
 * @param masks rows for the answer, where the family reads it in one pass; null = it is written after the prompt
 * @throws pixel-unsupported for a volume where the family reads pictures; too-many-images, prompt-too-long
 */
export function encodePrompt(manifest: Manifest, tokenizer: Tokenizer, parts: readonly Part[], masks: number | null): EncodedPrompt {
  const family = familyOf(manifest.family);
  const pictures = parts.filter((part) => part.kind !== 'volume');
  if (pictures.length === parts.length) {
    if (masks !== null && family.encodeMasked !== undefined) return family.encodeMasked(manifest, tokenizer, pictures, masks);
    return family.encode(manifest, tokenizer, pictures);
  }
  if (family.encodeVolumes !== undefined) return family.encodeVolumes(manifest, tokenizer, parts);
  throw new WetreadError('pixel-unsupported', `the prompt has a volume, ${family.name} reads pictures`, {
    hint: 'give some of its slices instead',
  });
}
