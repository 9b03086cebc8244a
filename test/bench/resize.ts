/** Resizing as Pillow does it, against sharp (libvips): another kernel with the same work; the ratio is ours / sharp's. */
import sharp from 'sharp';
import type { RawImage } from '#domain/answer.ts';
import { resize } from '#model/preprocess/resize.ts';

function median(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? Number.NaN;
}

const side = 2048;
const image: RawImage = {
  width: side,
  height: side,
  channels: 1,
  pixels: Uint8Array.from({ length: side * side }, (_, at) => (at * 31) % 251),
};
sharp.concurrency(1);
const ours: number[] = [];
const theirs: number[] = [];
for (let round = 0; round < 9; round += 1) {
  let start = performance.now();
  resize(image, 336, 336, 'bicubic');
  ours.push(performance.now() - start);
  start = performance.now();
  await sharp(image.pixels, { raw: { width: side, height: side, channels: 1 } })
    .resize(336, 336, { kernel: 'cubic' })
    .raw()
    .toBuffer();
  theirs.push(performance.now() - start);
}
const [own, peer] = [median(ours), median(theirs)];
process.stdout.write(
  `resize ${side} -> 336, bicubic: ${own.toFixed(1)} ms, sharp ${peer.toFixed(1)} ms, ratio ${(own / peer).toFixed(2)}\n`,
);
