/** Small image files of every kind that `ask` reads, and the command run in this process. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { writePart10 } from '#dicom/write.ts';
import { type AskFlags, runAsk } from '../../src/command-line/ask-run.ts';
import { type NiftiFile, niftiBytes } from '../model/nifti/writer.ts';

const ctClass = '1.2.840.10008.5.1.4.1.1.2';
const side = 16;

/** A pattern with contrast that differs by `seed`. */
const pattern = (seed: number) => Array.from({ length: side * side }, (_, i) => ((i * (7 + seed) + (i >> 4) * 31) % 251) * 8);

export async function png(folder: string, name: string, seed: number): Promise<string> {
  const path = join(folder, name);
  const pixels = Uint8Array.from(pattern(seed), (value) => value / 8);
  await sharp(pixels, { raw: { width: side, height: side, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toFile(path);
  return path;
}

/** CT slices at `z` mm, in one file (frames without positions) or one file each. */
function ctBytes(number: number, z: number | null, frames: number, modality = 'CT'): Uint8Array {
  const values = Array.from({ length: frames }, (_, frame) => pattern(number + frame)).flat();
  return writePart10(
    {
      SpecificCharacterSet: 'ISO_IR 192',
      SOPClassUID: ctClass,
      SOPInstanceUID: `2.25.3${number}`,
      StudyInstanceUID: '2.25.1',
      SeriesInstanceUID: '2.25.2',
      StudyDate: '20260102',
      Modality: modality,
      BodyPartExamined: 'CHEST',
      InstanceNumber: String(number),
      SamplesPerPixel: 1,
      PhotometricInterpretation: 'MONOCHROME2',
      Rows: side,
      Columns: side,
      BitsAllocated: 16,
      BitsStored: 12,
      HighBit: 11,
      PixelRepresentation: 0,
      WindowCenter: 1000,
      WindowWidth: 2000,
      ...(frames > 1 ? { NumberOfFrames: String(frames) } : {}),
      ...(z === null ? {} : { ImagePositionPatient: [0, 0, z], ImageOrientationPatient: [1, 0, 0, 0, 1, 0], PixelSpacing: [1, 1] }),
      PixelData: [Uint16Array.from(values).buffer],
      _vrMap: { PixelData: 'OW' },
    },
    { sopClass: ctClass, sopInstance: `2.25.3${number}`, transferSyntax: '1.2.840.10008.1.2.1' },
  );
}

/** One picture, or `frames` of them in one file. */
export async function dicom(folder: string, name: string, frames = 1, modality = 'CT'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, ctBytes(1, null, frames, modality));
  return path;
}

/** A folder with a slice at each of `places`, numbered against the order of their places. */
export async function series(folder: string, name: string, places: readonly number[]): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  for (const [index, z] of places.entries()) await writeFile(join(path, `${index}.dcm`), ctBytes(places.length - index, z, 1));
  return path;
}

/** `depth` axial slices of signed numbers. */
export async function nifti(folder: string, name: string, depth: number, change: Partial<NiftiFile> = {}): Promise<string> {
  const path = join(folder, name);
  const values = Array.from({ length: depth }, (_, slice) => pattern(slice).map((value) => value - 1000)).flat();
  const rows = [
    [-1, 0, 0, 0],
    [0, -1, 0, 0],
    [0, 0, 1, 0],
  ];
  const file: NiftiFile = {
    version: 1,
    littleEndian: true,
    dim: [side, side, depth],
    datatype: 4,
    bitpix: 16,
    values,
    sform: { code: 1, rows },
  };
  await writeFile(path, niftiBytes({ ...file, ...change }));
  return path;
}

export interface Run {
  readonly out: string;
  /** How often the answer grew. */
  readonly writes: number;
  readonly warnings: readonly string[];
  readonly progress: readonly string[];
  readonly json: readonly unknown[];
}

/** What the command writes and warns of, but for this machine's fonts. @throws as the command */
export async function run(bundle: string, flags: Partial<AskFlags>): Promise<Run> {
  const [out, warnings, progress, json]: [string[], string[], string[], unknown[]] = [[], [], [], []];
  await runAsk(
    { bundle, device: 'cpu', threads: 1, option: [], frame: [], ...flags },
    {
      write: (text) => out.push(text),
      warn: (line) => {
        if (!line.startsWith('sheet-without-fonts')) warnings.push(line);
      },
      progress: (line) => progress.push(line),
      json: (value) => json.push(value),
    },
  );
  return { out: out.join(''), writes: out.length, warnings, progress, json };
}
