/**
 * DICOM for `ask`: a file, single or multi-frame, or a folder that holds one series.
 *
 * Frames and slices with positions are put into geometric order, as the service does; a duplicate or missing one refuses the stack. Values of
 * a volume are those that are displayed, window included.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type PictureOptions, pictureOf } from '#dicom/picture.ts';
import { type DicomFile, readPart10, uidsOf } from '#dicom/read.ts';
import { arrangeSeries, type Place, placesOf } from '#dicom/volume.ts';
import { type Warning, WetreadError } from '#domain/errors.ts';
import type { Picture } from '#domain/picture.ts';
import type { RawVolume } from '#model/encoded.ts';
import type { Source, SourcePicture } from './source.ts';

/** "DICM" at byte 128 (PS3.10 7.1). */
export function isDicom(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(128, 132)).toString('latin1') === 'DICM';
}

function sourcePicture({ width, height, channels, pixels, ref, warnings, ...facts }: Picture): SourcePicture {
  const { modality, view, bodyPart, date } = facts;
  return { image: { width, height, channels, pixels }, ref, facts: { modality, view, bodyPart, date }, warnings };
}

interface Stack {
  readonly name: string;
  readonly unit: Source['unit'];
  readonly places: readonly Place[];
  readonly modality: string | null;
  /** @param index of `places` */
  readonly picture: (index: number) => Promise<Picture>;
}

function warned(refusal: WetreadError): Warning {
  return { code: refusal.code, message: `${refusal.message}; its images are shown one by one, not as a volume.` };
}

/** Displayed grey of all pictures. @throws series-irregular when they differ in size, pixel-unsupported for colour */
async function volumeOf({ name, picture }: Stack, order: readonly number[]): Promise<{ volume: RawVolume; warnings: Warning[] }> {
  const first = await picture(order[0] ?? 0);
  const { width, height } = first;
  const values = new Float32Array(order.length * width * height);
  const warnings: Warning[] = [];
  for (const [at, index] of order.entries()) {
    const slice = at === 0 ? first : await picture(index);
    if (slice.channels !== 1) throw new WetreadError('pixel-unsupported', `${name}: a volume of colour pictures; grey ones are read`);
    if (slice.width !== width || slice.height !== height)
      throw new WetreadError('series-irregular', `${name}: slices of ${width} x ${height} and of ${slice.width} x ${slice.height} pixels`);
    values.set(slice.pixels, at * width * height);
    warnings.push(...slice.warnings);
  }
  return { volume: { depth: order.length, width, height, values }, warnings };
}

/**
 * @param isChosen pictures are asked for by number, so that their order and gaps do not matter
 * @throws series-duplicate-slice, series-missing-slice
 */
function sourceOf(stack: Stack, isChosen: boolean): Source {
  const { name, unit, places, modality, picture } = stack;
  const common = { name, unit, modality, picture: async (number: number) => sourcePicture(await picture(number - 1)) };
  const plain: Source = { ...common, order: places.map((_, index) => index + 1), volume: null, warnings: [] };
  const hasPlaces = places.some(({ position }) => position !== null);
  if (places.length < 2 || isChosen || (unit === 'frame' && !hasPlaces)) return plain;
  const { order, volume, refusal } = arrangeSeries(places);
  if (refusal !== null && refusal.code !== 'series-irregular') {
    throw new WetreadError(refusal.code, `${name}: ${refusal.message}`, {
      cause: refusal,
      hint: `choose single ones with --frame, 1 to ${places.length}`,
    });
  }
  return {
    ...common,
    order: order.map((index) => index + 1),
    volume: volume === null ? null : () => volumeOf(stack, order),
    warnings: refusal === null ? (volume?.warnings ?? []) : [warned(refusal)],
  };
}

/** The window that a person asks for, else the windows that the bundle wants for CT, else each file's own. */
export type WindowOptions = Pick<PictureOptions, 'window' | 'ctWindows'>;

/** @throws what readPart10 throws, pixel-missing for an object without pixels, series-* for frames that do not fit together */
export function dicomSource(path: string, bytes: Uint8Array, windows: WindowOptions, isChosen: boolean): Source {
  const file = readPart10(bytes);
  const places = placesOf(file.header);
  return sourceOf(
    {
      name: basename(path),
      unit: 'frame',
      places,
      modality: file.header.text('Modality'),
      picture: (index) => pictureOf(file, { frame: places.length > 1 ? index + 1 : null, ...windows }),
    },
    isChosen,
  );
}

/**
 * A folder's DICOM files as one series; other files are left out, with a warning.
 * @throws request-malformed when there is none or more than one series, series-* when the slices do not fit together
 */
export async function folderSource(path: string, windows: WindowOptions, isChosen: boolean): Promise<Source> {
  const entries = (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name);
  const files: DicomFile[] = [];
  for (const name of entries.sort()) {
    const bytes = await readFile(join(path, name));
    if (isDicom(bytes)) files.push(readPart10(bytes));
  }
  const series = new Set(files.map(({ header }) => uidsOf(header).series));
  const name = basename(path);
  if (series.size !== 1) {
    const found =
      files.length === 0 ? 'no DICOM file in the folder itself' : `${files.length} DICOM files of ${series.size} series in the folder`;
    throw new WetreadError('request-malformed', `${name}: found ${found}, expected those of one series`, {
      hint: 'give the files one by one, or a folder for each series',
    });
  }
  const slices = files.flatMap((file) =>
    placesOf(file.header).map((place, at, all) => ({ file, place, frame: all.length > 1 ? at + 1 : null })),
  );
  const others = entries.length - files.length;
  const source = sourceOf(
    {
      name,
      unit: 'slice',
      places: slices.map(({ place }) => place),
      modality: files[0]?.header.text('Modality') ?? null,
      picture: (index) => pictureAt(slices, index, windows),
    },
    isChosen,
  );
  const message = `${name}: ${others} ${others === 1 ? 'file that is' : 'files that are'} no DICOM file left out.`;
  return others === 0 ? source : { ...source, warnings: [...source.warnings, { code: 'files-left-out', message }] };
}

async function pictureAt(
  slices: readonly { readonly file: DicomFile; readonly frame: number | null }[],
  index: number,
  windows: WindowOptions,
): Promise<Picture> {
  const slice = slices[index];
  if (slice === undefined) throw new WetreadError('internal', `the folder has no slice ${index + 1}`);
  return await pictureOf(slice.file, { frame: slice.frame, ...windows });
}
