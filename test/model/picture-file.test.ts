import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import { expect, test } from 'vitest';
import { readPicture, readPictureFile } from '#model/picture-file.ts';
import { temporaryFolder } from './folder.ts';

const folder = await temporaryFolder();

/** A 2 x 1 picture of raw values. */
function raw(channels: 1 | 2 | 3 | 4, values: readonly number[]): Sharp {
  return sharp(Uint8Array.from(values), { raw: { width: 2, height: 1, channels } });
}

test('alpha is dropped without compositing: a transparent pixel shows its hidden colour', async () => {
  const path = join(folder, 'alpha.png');
  await raw(4, [10, 20, 30, 0, 40, 50, 60, 255]).png().toFile(path);
  expect(await readPicture(path)).toMatchObject({ width: 2, height: 1, channels: 3, pixels: Uint8Array.of(10, 20, 30, 40, 50, 60) });
});

test('grey stays one channel', async () => {
  const path = join(folder, 'grey.png');
  await raw(1, [7, 255]).toColourspace('b-w').png().toFile(path);
  expect(await readPicture(path)).toEqual({ width: 2, height: 1, channels: 1, pixels: Uint8Array.of(7, 255) });
});

test('the orientation of EXIF is ignored, as PIL ignores it', async () => {
  const path = join(folder, 'turned.jpg');
  await raw(3, [10, 20, 30, 40, 50, 60]).withMetadata({ orientation: 6 }).jpeg().toFile(path);
  expect(await readPicture(path)).toMatchObject({ width: 2, height: 1, channels: 3 });
});

test('16-bit grey keeps its values until a rule is chosen; the shell stretches it', async () => {
  const path = join(folder, 'deep.png');
  await sharp(Uint16Array.of(100, 4100), { raw: { width: 2, height: 1, channels: 1 } })
    .toColourspace('grey16')
    .png()
    .toFile(path);
  expect(await readPictureFile(path)).toMatchObject({ depth: 16, values: Uint16Array.of(100, 4100) });
  expect((await readPicture(path)).pixels).toEqual(Uint8Array.of(0, 255));
});

test('CMYK is refused: its fourth channel is no alpha', async () => {
  const path = join(folder, 'cmyk.jpg');
  await raw(3, [10, 20, 30, 40, 50, 60]).toColourspace('cmyk').jpeg().toFile(path);
  await expect(readPicture(path)).rejects.toMatchObject({ code: 'pixel-unsupported' });
});

test('a damaged or truncated file is pixel-damaged', async () => {
  const path = join(folder, 'damaged.png');
  await writeFile(path, 'no picture');
  await expect(readPicture(path)).rejects.toMatchObject({ code: 'pixel-damaged' });
  const whole = await sharp(
    Uint8Array.from({ length: 4096 }, (_, i) => (i * 97) % 256),
    { raw: { width: 64, height: 64, channels: 1 } },
  )
    .png()
    .toBuffer();
  await writeFile(path, whole.subarray(0, whole.length >> 1));
  await expect(readPicture(path)).rejects.toMatchObject({ code: 'pixel-damaged' });
});
