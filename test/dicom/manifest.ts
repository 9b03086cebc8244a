/** The manifest of the reference images, and the comparison of a file's stored values with its oracle. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { storedFrame } from '#dicom/decode.ts';
import { type DicomFile, readPart10 } from '#dicom/read.ts';
import { sharedPath } from '../setup/require.ts';

const entry = z.object({
  path: z.string(),
  seriesUID: z.string().nullish(),
  oracle: z
    .object({
      sha256: z.string(),
      min: z.number(),
      max: z.number(),
      mean: z.number(),
      tolerance: z.number(),
      meanTolerance: z.number().optional(),
      paletteSha256: z.string().optional(),
    })
    .optional(),
});
const manifest = z.object({
  dicom: z.array(entry),
  series: z.array(
    z.object({
      folder: z.string(),
      seriesUID: z.string().nullable(),
      modality: z.string().nullable(),
      instances: z.number(),
      volume: z.string(),
    }),
  ),
});

export type Entry = z.infer<typeof entry>;

export function readManifest(): z.infer<typeof manifest> {
  return manifest.parse(JSON.parse(readFileSync(sharedPath('data/manifest.json'), 'utf8')));
}

export function readShared(path: string): DicomFile {
  return readPart10(readFileSync(sharedPath('data', path)));
}

/** What the stored values of all frames are, in the form that the manifest's `about` defines. */
async function digestOf(file: DicomFile): Promise<{ sha256: string; min: number; max: number; mean: number }> {
  const frames = file.header.number('NumberOfFrames') ?? 1;
  const hash = createHash('sha256');
  let [min, max, sum, count] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0];
  for (let frame = 1; frame <= frames; frame++) {
    const { values } = await storedFrame(file, frame);
    const wide = Int32Array.from(values);
    hash.update(new Uint8Array(wide.buffer));
    for (const value of values) {
      if (value < min) min = value;
      if (value > max) max = value;
      sum += value;
    }
    count += values.length;
  }
  return { sha256: hash.digest('hex'), min, max, mean: sum / count };
}

/** 'equal' by digest, 'within' the tolerance where the manifest allows one (its extremes and its mean are what it gives), else the difference in words. */
export async function compare(file: DicomFile, { oracle }: Entry): Promise<string> {
  const found = await digestOf(file);
  if (oracle === undefined) return 'no oracle';
  if (found.sha256 === oracle.sha256) return 'equal';
  const { tolerance } = oracle;
  const near =
    tolerance > 0 &&
    Math.abs(found.min - oracle.min) <= tolerance &&
    Math.abs(found.max - oracle.max) <= tolerance &&
    Math.abs(found.mean - oracle.mean) <= (oracle.meanTolerance ?? 0.5);
  return near ? 'within' : `different: min ${found.min}, max ${found.max}, mean ${found.mean}, expected ${JSON.stringify(oracle)}`;
}
