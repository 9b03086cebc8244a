/**
 * A contact sheet: every image of a prompt as the model saw it, with its share of the answer and of each statement, as one PNG.
 *
 * Words are drawn by the fonts of this machine. Without any, every letter is the same box; `hasFonts` says so.
 */
import sharp, { type OverlayOptions } from 'sharp';
import type { RawImage } from '#domain/answer.ts';
import type { Manifest } from '#model/bundle-manifest.ts';
import type { Part, RawVolume } from '#model/encoded.ts';
import { frame } from '#model/preprocess/processor.ts';

export interface SheetImage {
  readonly picture: RawImage;
  readonly file: string;
  /** What else is known of it, e.g. "slice 3 of 40, CT". */
  readonly about: string;
  /** Share of the whole answer, 0..1; null = none was measured. */
  readonly share: number | null;
  /** Share of each statement, in their order. */
  readonly shares: readonly (number | null)[];
}

export interface Sheet {
  readonly title: string;
  readonly images: readonly SheetImage[];
  readonly statements: readonly { readonly number: number; readonly text: string; readonly words: string }[];
  /** Sentences below all: method, and what it does not say. */
  readonly notes: readonly string[];
}

const tile = 280;
const gap = 16;
const line = 18;
const mostColumns = 4;
/** Mean width of a letter at this font size, a little on the safe side. */
const letter = 6.6;

/** Slices of a volume in three rows of three. */
function mosaic({ depth, height, width, values }: RawVolume): RawImage {
  const picked = Array.from({ length: 9 }, (_, at) => Math.floor(((at + 0.5) * depth) / 9));
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const pixels = new Uint8Array(9 * height * width);
  for (const [at, slice] of picked.entries()) {
    const [top, left] = [Math.floor(at / 3) * height, (at % 3) * width];
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const value = values[(slice * height + row) * width + column] ?? low;
        pixels[(top + row) * 3 * width + left + column] = high > low ? Math.round((255 * (value - low)) / (high - low)) : 0;
      }
    }
  }
  return { width: 3 * width, height: 3 * height, channels: 1, pixels };
}

/** After crop, padding and resize, where the bundle's processor says them; a picture at a size of its own as it is, a volume by nine slices. */
export function seenPicture(manifest: Manifest, part: Exclude<Part, { kind: 'text' }>): RawImage {
  if (part.kind === 'volume') return mosaic(part.volume);
  return manifest.patches === undefined ? frame(part.image, manifest.processor).final : part.image;
}

function escaped(text: string): string {
  const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  // XML has no place for control characters.
  return text.replace(/[\p{Cc}\uFFFE\uFFFF]/gu, ' ').replace(/[&<>"]/g, (character) => entities[character] ?? '');
}

function cut(text: string, width: number): string {
  const most = Math.floor(width / letter);
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

function wrapped(text: string, width: number): readonly string[] {
  const most = Math.floor(width / letter);
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= most) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word.length > most ? `${word.slice(0, most - 1)}…` : word);
  }
  return lines;
}

function text(x: number, y: number, words: string, style = ''): string {
  return `<text x="${x}" y="${y}" ${style}>${escaped(words)}</text>`;
}

const percent = (share: number) => `${Math.round(100 * share)} %`;

/** A share as a bar with its figure; an unmeasured one as a line of its own kind. */
function bar(x: number, y: number, name: string, share: number | null, height: number): string {
  const [start, length] = [x + 60, tile - 110];
  const drawn =
    share === null
      ? text(start, y + height - 1, 'not measured', 'class="dim"')
      : `<rect x="${start}" y="${y}" width="${length}" height="${height}" fill="#e4e7ea"/><rect x="${start}" y="${y}" width="${Math.round(length * share)}" height="${height}" fill="#1b6ca8"/>${text(x + tile, y + height - 1, percent(share), 'text-anchor="end"')}`;
  return text(x, y + height - 1, name) + drawn;
}

/** Lines under a picture: its name, what is known of it, the whole answer's bar, a bar for each statement. */
function underneath(image: SheetImage, number: number, x: number, y: number): string {
  const rows = image.shares.map((share, at) => bar(x, y + 62 + at * line, `${at + 1}`, share, 10));
  return [
    text(x, y + 16, cut(`${number}  ${image.file}`, tile), 'font-weight="bold"'),
    text(x, y + 33, cut(image.about, tile), 'class="dim"'),
    bar(x, y + 40, 'answer', image.share, 11),
    ...rows,
  ].join('');
}

/** Whether this machine can draw letters: without a font two different ones look alike. */
export async function hasFonts(): Promise<boolean> {
  const drawn = (letters: string) =>
    sharp(Buffer.from(`<svg xmlns="http://www.w3.org/2000/svg" width="24" height="24">${text(2, 20, letters, 'font-size="20"')}</svg>`))
      .raw()
      .toBuffer();
  const [one, other] = await Promise.all([drawn('1'), drawn('8')]);
  return !one.equals(other);
}

async function thumbnail({ pixels, width, height, channels }: RawImage): Promise<Buffer> {
  const image = sharp(pixels, { raw: { width, height, channels } });
  return await image
    .resize(tile, tile, { fit: 'contain', background: { r: 24, g: 24, b: 24 } })
    .toColourspace('srgb')
    .png()
    .toBuffer();
}

/** @returns PNG */
export async function contactSheet({ title, images, statements, notes }: Sheet): Promise<Uint8Array> {
  const columns = Math.max(1, Math.min(mostColumns, images.length));
  const width = Math.max(columns, 2) * (tile + gap) + gap;
  const block = tile + 66 + statements.length * line + gap;
  const head = 40;
  const rows = Math.ceil(images.length / columns);
  const place = (index: number) => ({ x: gap + (index % columns) * (tile + gap), y: head + Math.floor(index / columns) * block });
  const words: string[] = [text(gap, 26, cut(title, width - 2 * gap), 'font-weight="bold" font-size="14"')];
  const overlays: OverlayOptions[] = [];
  for (const [index, image] of images.entries()) {
    const { x, y } = place(index);
    overlays.push({ input: await thumbnail(image.picture), left: x, top: y });
    words.push(underneath(image, index + 1, x, y + tile));
  }
  let y = head + rows * block + line;
  for (const { number, text: said, words: verdict } of statements) {
    for (const [at, part] of wrapped(`${number}  ${said}`, width - 2 * gap).entries()) {
      words.push(text(at === 0 ? gap : gap + 20, y, part));
      y += line;
    }
    words.push(text(gap + 20, y, verdict, 'class="dim"'));
    y += line + 4;
  }
  for (const note of notes.flatMap((one) => wrapped(one, width - 2 * gap))) {
    words.push(text(gap, y, note, 'class="dim"'));
    y += line;
  }
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" font-family="sans-serif" font-size="12" fill="#1a1d20"><style>.dim{fill:#5c6670}</style>${words.join('')}</svg>`;
  const canvas = sharp({ create: { width, height: y, channels: 3, background: '#ffffff' } });
  return await canvas
    .composite([...overlays, { input: Buffer.from(svg), left: 0, top: 0 }])
    .png({ compressionLevel: 9, palette: false })
    .toBuffer();
}
