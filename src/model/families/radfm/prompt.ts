/**
 * A RadFM prompt: no roles, no system text; each image is `<image>`, one indexed token per visual row, `</image>`.
 *
 * The authors' tokenizer drops the white space beside an image's tokens and encodes each text between images by itself, with a dummy prefix of
 * its own; BOS is put in front. Rows are counted through all images of the prompt.
 * Source: chaoyi-wu/RadFM, Quick_demo/test.py (get_tokenizer, combine_and_preprocess); transformers 4.28.1 tokenization_utils.py.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Manifest, Template } from '../../bundle-manifest.ts';
import type { EncodedPart, EncodedPrompt, Part, RawVolume } from '../../encoded.ts';
import { outputSize } from '../../preprocess/processor.ts';
import { pythonSpace } from '../../python-space.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { commonDepth, encodePicture, encodeVolume } from './preprocess.ts';

/** The one form: what stands around images and text is nothing. */
export const template: Template = { name: 'raw', before: '', after: '', strip: false, specialTokens: true };

/** BOS and EOS as the authors set them after loading, whatever the tokenizer's files say. */
export const bosId = 1;
export const eosId = 2;

const leading = new RegExp(`^${pythonSpace}+`);
const trailing = new RegExp(`${pythonSpace}+$`);
const imageToken = /<\/?image\d*>/g;

/** A record's text must not hold an image's tokens or special ones: they are removed until none is left. */
function withoutReserved(text: string, special: readonly string[]): string {
  let clean = text;
  for (let before = ''; before !== clean; ) {
    before = clean;
    clean = clean.replaceAll(imageToken, '');
    for (const token of special) clean = clean.replaceAll(token, '');
  }
  return clean;
}

/** Texts and images in turn: texts[0], image 0, texts[1], .. */
function pieces(parts: readonly Part[], special: readonly string[]): string[] {
  const texts = [''];
  for (const part of parts) {
    if (part.kind === 'text') texts.push((texts.pop() ?? '') + part.text);
    else texts.push('');
  }
  return texts.map((text) => withoutReserved(text, special));
}

function encodeText(manifest: Manifest, tokenizer: Tokenizer, parts: readonly Part[]): Omit<EncodedPrompt, 'images'> {
  const { visualTokens } = manifest.sizes;
  const open = manifest.prompt.placeholder.id;
  const special = tokenizer.special.filter((token) => token !== '');
  const texts = pieces(parts, special);
  const encoded: EncodedPart[] = [];
  const inputIds: number[] = [];
  let ids = [bosId];
  let text = '';
  for (const [index, piece] of texts.entries()) {
    if (index > 0) {
      const rows = Array.from({ length: visualTokens }, (_, row) => (index - 1) * visualTokens + row);
      encoded.push({ kind: 'tokens', ids: [...ids, open] }, { kind: 'image', image: index - 1 });
      inputIds.push(...ids, open, ...rows.map((row) => open + 2 + row));
      text += `<image>${rows.map((row) => `<image${row}>`).join('')}</image>`;
      ids = [open + 1];
    }
    const after = index === 0 ? piece : piece.replace(leading, '');
    ids.push(...tokenizer.encode(index === texts.length - 1 ? after : after.replace(trailing, ''), false));
    text += piece;
  }
  encoded.push({ kind: 'tokens', ids });
  return { text, parts: encoded, inputIds: [...inputIds, ...ids] };
}

function checkLimits({ name, limits }: Manifest, images: number, rows: number): void {
  if (images > limits.maxImages) {
    throw new WetreadError('too-many-images', `the prompt has ${images} images, the bundle ${name} takes ${limits.maxImages}`);
  }
  if (rows < limits.contextTokens) return;
  throw new WetreadError(
    'prompt-too-long',
    `the prompt has ${rows} tokens, the bundle ${name} takes ${limits.contextTokens} with the answer`,
    {
      hint: 'shorten the history or choose fewer images',
    },
  );
}

/** Side and depth of every image of a prompt. @throws bundle-invalid, pixel-unsupported when the position table has no row for the depth */
function commonSize(manifest: Manifest, volumes: readonly RawVolume[]): { readonly side: number; readonly depth: number } {
  const size = outputSize(manifest.processor);
  if (manifest.depth === undefined || size === null)
    throw new WetreadError('bundle-invalid', 'bundle.json says neither depth nor size of images');
  const { step, most } = manifest.depth;
  const depth = commonDepth(
    volumes.map((volume) => volume.depth),
    step,
  );
  if (depth <= most) return { side: size.height, depth };
  throw new WetreadError('pixel-unsupported', `the deepest volume asks for ${depth} slices, the model has positions for ${most}`);
}

/**
 * A prompt with pictures and volumes as the engine runs it.
 * @throws too-many-images, prompt-too-long (with both numbers), pixel-damaged, pixel-unsupported, not-finite
 */
export function encodeRadfm(manifest: Manifest, tokenizer: Tokenizer, parts: readonly Part[]): EncodedPrompt {
  const shown = parts.filter((part) => part.kind !== 'text');
  const encoded = encodeText(manifest, tokenizer, parts);
  checkLimits(manifest, shown.length, encoded.inputIds.length);
  const { side, depth } = commonSize(
    manifest,
    shown.flatMap((part) => (part.kind === 'volume' ? [part.volume] : [])),
  );
  const images = shown.map((part) =>
    part.kind === 'image' ? encodePicture(part.image, manifest.processor, depth) : encodeVolume(part.volume, side, depth),
  );
  return { ...encoded, images };
}
