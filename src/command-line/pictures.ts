/**
 * Files and folders for `ask`, by their content: DICOM, NIfTI, and whatever the picture reader reads.
 *
 * Of a stack (frames, slices) those that are asked for are shown; else all of it as one volume where the model takes one; else as many as
 * there are places, evenly spaced, and said.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { CtWindows } from '#domain/ct-windows.ts';
import { type Warning, WetreadError } from '#domain/errors.ts';
import type { ImageRef } from '#domain/study.ts';
import type { Part } from '#model/encoded.ts';
import { clipped, rangeOf, slicePicture } from '#model/nifti/display.ts';
import { isNifti, readNifti } from '#model/nifti/volume.ts';
import { readPicture } from '#model/picture-file.ts';
import type { AskedPicture } from '#prompt/asked.ts';
import { evenly, type SliceRule } from '#prompt/plan.ts';
import { dicomSource, folderSource, isDicom } from './dicom-source.ts';
import { refOfFile, type Source, type Window } from './source.ts';

export interface LoadRules {
  readonly window: Window | null;
  /** How the bundle wants CT shown; absent = in grey. */
  readonly ctWindows?: CtWindows | undefined;
  /** Which slices are shown of more than there are places; absent = the middles. */
  readonly sliceRule?: SliceRule | undefined;
  /** Numbers of the frames or slices to show of every stack; empty = by the rule above. */
  readonly frames: readonly number[];
  /** Slices to show of every stack; null = by the rule above. */
  readonly slices: number | null;
  readonly takesVolumes: boolean;
  readonly maxImages: number;
}

/** One image of the prompt. */
export interface LoadedImage extends AskedPicture {
  readonly part: Exclude<Part, { kind: 'text' }>;
  readonly ref: ImageRef;
  readonly file: string;
  /** "frame 3", "slice 12 of 40", "volume of 40 slices"; null = a picture by itself. */
  readonly place: string | null;
}

export interface Loaded {
  readonly images: readonly LoadedImage[];
  /** Modalities that the files name. */
  readonly modalities: readonly string[];
  readonly warnings: readonly Warning[];
}

/** Four figures, without an exponent. */
const figures = (value: number): string => String(Number(value.toPrecision(4)));

/** @throws pixel-damaged, pixel-unsupported, not-finite */
function niftiSource(path: string, bytes: Uint8Array, window: Window | null): Source {
  const nifti = readNifti(bytes);
  const { volume, plane } = nifti;
  const name = basename(path);
  const range = rangeOf(nifti, window);
  const orientation: Warning[] =
    plane === null
      ? [
          {
            code: 'orientation-unknown',
            message: `${name} does not say how it lies in the patient: shown as stored, left and right are not known.`,
          },
        ]
      : [];
  const shown = `${name}: values from ${figures(range.low)} to ${figures(range.high)} are shown (${range.origin}).`;
  const whole = `${name}: values are scaled from the lowest to the highest of the volume.`;
  const scaling = (message: string): Warning[] =>
    range.isGuess ? [{ code: 'window-guessed', message: `${message} For CT give --window CENTER/WIDTH.` }] : [];
  return {
    name,
    unit: 'slice',
    order: Array.from({ length: volume.depth }, (_, index) => index + 1),
    picture: async (number) => ({
      image: slicePicture(volume, number - 1, range),
      ref: refOfFile(path, number),
      facts: null,
      warnings: scaling(shown),
    }),
    volume: volume.depth < 2 ? null : async () => ({ volume: range.isGuess ? volume : clipped(volume, range), warnings: scaling(whole) }),
    warnings: orientation,
    modality: null,
  };
}

function pictureSource(path: string): Source {
  return {
    name: basename(path),
    unit: 'frame',
    order: [1],
    picture: async () => ({ image: await readPicture(path), ref: refOfFile(path, null), facts: null, warnings: [] }),
    volume: null,
    warnings: [],
    modality: null,
  };
}

/** Largest file that is read whole. */
const mostBytes = 2 ** 30;

/** The same error with the file's name in front: readers see bytes, and several files may be given. */
async function naming<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof WetreadError) || error.message.includes(name)) throw error;
    throw new WetreadError(error.code, `${name}: ${error.message}`, { cause: error, ...(error.hint === null ? {} : { hint: error.hint }) });
  }
}

async function openSource(path: string, { window, ctWindows, frames }: LoadRules): Promise<Source> {
  const windows = { ...(window === null ? {} : { window }), ctWindows };
  const isChosen = frames.length > 0;
  const found = await stat(path).catch((cause: unknown) => {
    throw new WetreadError('not-found', `${path}: no such file`, { cause });
  });
  if (found.isDirectory()) return await folderSource(path, windows, isChosen);
  if (found.size > mostBytes)
    throw new WetreadError('dicom-too-large', `${basename(path)}: found ${found.size} bytes, up to ${mostBytes} are read`);
  const bytes = await readFile(path);
  if (isDicom(bytes)) return dicomSource(path, bytes, windows, isChosen);
  return isNifti(bytes) ? niftiSource(path, bytes, window) : pictureSource(path);
}

/** Numbers of the pictures to show. @throws pixel-missing for a number that the stack does not have */
function chosenOf({ name, order, unit }: Source, rules: LoadRules, places: number): readonly number[] {
  const absent = rules.frames.find((number) => !order.includes(number));
  if (absent !== undefined) {
    throw new WetreadError(
      'pixel-missing',
      `${name}: found ${order.length === 1 ? 'one picture' : `${order.length} ${unit}s`}, expected ${unit} ${absent}`,
    );
  }
  return rules.frames.length > 0 ? rules.frames : evenly(order, Math.max(1, rules.slices ?? places), rules.sliceRule);
}

async function picturesOf(source: Source, numbers: readonly number[]): Promise<Loaded> {
  const { name, order, unit } = source;
  const images: LoadedImage[] = [];
  const warnings: Warning[] = [...source.warnings];
  for (const number of numbers) {
    const { image, ref, facts, warnings: own } = await source.picture(number);
    const slice = order.length > 1 ? { index: order.indexOf(number) + 1, of: order.length } : null;
    const place = slice === null ? null : unit === 'frame' ? `frame ${number}` : `slice ${number} of ${order.length}`;
    images.push({ part: { kind: 'image', image }, ref, facts, slice, file: name, place });
    warnings.push(...own);
  }
  if (numbers.length < order.length) {
    const chosen = numbers.length === 1 ? `1 of ${order.length} ${unit}s was` : `${numbers.length} of ${order.length} ${unit}s were`;
    warnings.push({ code: 'images-dropped', message: `${name}: ${chosen} shown (${numbers.join(', ')}).` });
  }
  return { images, warnings, modalities: source.modality === null ? [] : [source.modality] };
}

async function volumeOf(source: Source, open: NonNullable<Source['volume']>): Promise<Loaded> {
  const { volume, warnings } = await open();
  const [first = 1] = source.order;
  const { ref, facts } = await source.picture(first);
  const place = `volume of ${volume.depth} slices`;
  return {
    images: [{ part: { kind: 'volume', volume }, ref, facts, slice: null, file: source.name, place }],
    warnings: [...source.warnings, ...warnings],
    modalities: source.modality === null ? [] : [source.modality],
  };
}

/**
 * Every image of the prompt, in the order of the files.
 * @throws not-found, too-many-images, pixel-missing, and what the readers throw
 */
export async function loadImages(paths: readonly string[], rules: LoadRules): Promise<Loaded> {
  const sources: Source[] = [];
  for (const path of paths) sources.push(await naming(basename(path), () => openSource(path, rules)));
  const isWhole = ({ volume }: Source) => rules.takesVolumes && rules.frames.length === 0 && rules.slices === null && volume !== null;
  const stacks = sources.filter((source) => source.order.length > 1 && !isWhole(source));
  const places = stacks.length === 0 ? 1 : Math.floor((rules.maxImages - (sources.length - stacks.length)) / stacks.length);
  const loaded: Loaded[] = [];
  for (const source of sources) {
    const { volume, name } = source;
    const whole = isWhole(source) ? volume : null;
    const load = () => (whole === null ? picturesOf(source, chosenOf(source, rules, places)) : volumeOf(source, whole));
    loaded.push(await naming(name, load));
  }
  const images = loaded.flatMap((one) => one.images);
  if (images.length > rules.maxImages) {
    throw new WetreadError('too-many-images', `${images.length} images are to be shown, the bundle takes ${rules.maxImages}`, {
      hint: 'give fewer files, or choose with --slices or --frame',
    });
  }
  const warnings = new Map(loaded.flatMap((one) => one.warnings).map((warning) => [`${warning.code} ${warning.message}`, warning]));
  return { images, modalities: [...new Set(loaded.flatMap((one) => one.modalities))], warnings: [...warnings.values()] };
}
