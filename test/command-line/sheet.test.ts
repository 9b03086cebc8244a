import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { contactSheet, hasFonts, type SheetImage } from '../../src/command-line/sheet.ts';
import { temporaryFolder } from '../model/folder.ts';

const grey = (value: number) => ({ width: 8, height: 8, channels: 1 as const, pixels: new Uint8Array(64).fill(value) });
const image = (value: number, share: number | null): SheetImage => ({
  picture: grey(value),
  file: 'a.png',
  about: 'CT',
  share,
  shares: [share],
});

async function pixelAt(png: Uint8Array, x: number, y: number): Promise<number[]> {
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  return [...data.subarray((y * info.width + x) * info.channels, (y * info.width + x) * info.channels + 3)];
}

/** Pixels of a bar's blue on the row of the answer's bar, by image. */
async function barLengths(png: Uint8Array): Promise<[number, number]> {
  const lengths: [number, number] = [0, 0];
  const { data, info } = await sharp(png).raw().toBuffer({ resolveWithObject: true });
  for (let x = 0; x < info.width; x++) {
    const at = ((40 + 280 + 45) * info.width + x) * info.channels;
    if (data[at] === 0x1b && data[at + 1] === 0x6c) lengths[x < 16 + 280 ? 0 : 1]++;
  }
  return lengths;
}

test('every image is there as it was given, with a bar as long as its share', async () => {
  const png = await contactSheet({
    title: 'bundle 1',
    images: [image(200, 0.75), image(90, 0.25)],
    statements: [{ number: 1, text: 'The heart <is> "large" & clear.\u0000', words: 'depends on image 1' }],
    notes: ['A note.'],
  });
  expect(await pixelAt(png, 16 + 140, 40 + 140)).toEqual([200, 200, 200]);
  expect(await pixelAt(png, 16 + 280 + 16 + 140, 40 + 140)).toEqual([90, 90, 90]);
  const [first, second] = await barLengths(png);
  expect([first, second].every((length) => length > 30)).toBe(true);
  expect(first / second).toBeCloseTo(3, 1);
});

test('a share that was not measured has no bar; many images and long names fit', async () => {
  const images = Array.from({ length: 9 }, () => ({ ...image(50, null), file: 'long '.repeat(60) }));
  const png = await contactSheet({ title: 't'.repeat(500), images, statements: [], notes: ['word '.repeat(300), 'w'.repeat(900)] });
  expect(await barLengths(png)).toEqual([0, 0]);
  expect((await sharp(png).metadata()).width).toBe(4 * 296 + 16);
});

test('a machine without fonts is told from one with', async () => {
  const none = join(await temporaryFolder(), 'fonts.conf');
  await writeFile(none, '<?xml version="1.0"?><fontconfig><dir>/nowhere</dir></fontconfig>');
  const script = `import { hasFonts } from ${JSON.stringify(resolve(import.meta.dirname, '../../src/command-line/sheet.ts'))}; console.log(await hasFonts());`;
  const asked = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: { ...process.env, FONTCONFIG_FILE: none },
  });
  expect(asked.stdout.trim()).toBe('false');
  expect(typeof (await hasFonts())).toBe('boolean');
});
