/** Picture files for `ask`: a DICOM file by its own windowing rules, any other by the picture reader. */
import { open, readFile } from 'node:fs/promises';
import { pictureOf } from '#dicom/picture.ts';
import { readPart10 } from '#dicom/read.ts';
import type { RawImage } from '#domain/answer.ts';
import { readPicture } from '#model/picture-file.ts';

/** "DICM" at byte 128 (PS3.10 7.1). */
async function isDicom(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 128);
    return bytesRead === 4 && buffer.toString('latin1') === 'DICM';
  } finally {
    await file.close();
  }
}

export async function loadPictures(path: string): Promise<RawImage[]> {
  if (!(await isDicom(path))) return [await readPicture(path)];
  const file = readPart10(await readFile(path));
  const frames = file.header.number('NumberOfFrames') ?? 1;
  const pictures: RawImage[] = [];
  for (let frame = 1; frame <= frames; frame += 1) {
    const { width, height, channels, pixels } = await pictureOf(file, { frame: frames > 1 ? frame : null });
    pictures.push({ width, height, channels, pixels });
  }
  return pictures;
}
