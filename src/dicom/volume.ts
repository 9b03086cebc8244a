/**
 * Puts the slices of a series into geometric order and says whether they form a volume.
 *
 * Order is by position along the slices' normal, never by InstanceNumber, SliceLocation or name; spacing is the difference of
 * positions, never SliceThickness. What is refused as a volume may still be shown as single images.
 * Source: PS3.3 C.7.6.2.1.1; the limits are our own.
 */
import { type ErrorCode, type Warning, WetreadError } from '#domain/errors.ts';
import { frameHeaders } from './functional-groups.ts';
import type { Header } from './header.ts';

export interface Arrangement {
  /** Indices into the given headers. Geometric where every slice has a position and one orientation, else by InstanceNumber. */
  readonly order: readonly number[];
  /** Null = not a volume. */
  readonly volume: { readonly spacingMm: number; readonly warnings: readonly Warning[] } | null;
  /** Why it is no volume: series-duplicate-slice, series-missing-slice or series-irregular. Null for a volume and for a single image. */
  readonly refusal: WetreadError | null;
}

type Vector = readonly [number, number, number];

/** What a header says of where an image lies, without the bytes of the file that it came from. */
export interface Place {
  readonly instanceNumber: number | null;
  /** ImagePositionPatient in mm and ImageOrientationPatient; null where one is not said, or cannot be meant. */
  readonly position: Vector | null;
  readonly row: Vector;
  readonly column: Vector;
  readonly imageType: readonly string[];
  /** What the images of one grid have in common, as text. */
  readonly grid: Readonly<Record<GridKeyword, string>>;
}

const gridKeywords = ['FrameOfReferenceUID', 'Rows', 'Columns', 'PixelSpacing'] as const;
type GridKeyword = (typeof gridKeywords)[number];

interface Slice {
  readonly index: number;
  readonly position: Vector;
  readonly row: Vector;
  readonly column: Vector;
  readonly normal: Vector;
}

/** Two positions nearer than this (mm) are the same. */
const sameMm = 0.01;

/**
 * Where each frame of an object lies. Frames of an object without functional groups have no place of their own: the one that stands in the
 * header cannot be that of all.
 * @throws dicom-malformed, dicom-too-large
 */
export function placesOf(header: Header): readonly Place[] {
  const frames = frameHeaders(header);
  const alike = frames.length > 1 && header.items('PerFrameFunctionalGroupsSequence').length === 0;
  return frames.map((frame) => ({ ...placeOf(frame), ...(alike ? { position: null } : {}) }));
}

function placeOf(header: Header): Place {
  const [x, y, z] = header.numbers('ImagePositionPatient');
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = header.numbers('ImageOrientationPatient');
  return {
    instanceNumber: header.label('InstanceNumber'),
    position: x === undefined || y === undefined || z === undefined ? null : [x, y, z],
    row: [a, b, c],
    column: [d, e, f],
    imageType: header.texts('ImageType'),
    grid: {
      FrameOfReferenceUID: header.text('FrameOfReferenceUID') ?? '',
      Rows: String(header.number('Rows')),
      Columns: String(header.number('Columns')),
      // Spacing counts as equal within about 1e-3.
      PixelSpacing: header
        .numbers('PixelSpacing')
        .map((mm) => mm.toPrecision(3))
        .join(' '),
    },
  };
}

/** @param places one per image of one series, every frame of a multi-frame object by itself */
export function arrangeSeries(places: readonly Place[]): Arrangement {
  const byNumber = places.map((_, index) => index).sort((a, b) => instanceNumber(places[a]) - instanceNumber(places[b]) || a - b);
  if (places.length < 2) return { order: byNumber, volume: null, refusal: null };
  const slices = places.flatMap((place, index) => sliceOf(place, index) ?? []);
  const first = slices[0];
  if (first === undefined || slices.length < places.length) {
    return {
      order: byNumber,
      volume: null,
      refusal: refusal(`${places.length - slices.length} of ${places.length} images without position`, 'all'),
    };
  }
  const mixed = mixture(places, slices);
  if (mixed?.orientation) return { order: byNumber, volume: null, refusal: mixed.error };
  const sorted = slices
    .map((slice) => ({ slice, at: dot(slice.position, first.normal) }))
    .sort((a, b) => a.at - b.at || a.slice.index - b.slice.index);
  const order = sorted.map(({ slice }) => slice.index);
  if (mixed !== null) return { order, volume: null, refusal: mixed.error };
  const steps = sorted.slice(1).map(({ slice, at }, i) => ({
    mm: at - (sorted[i]?.at ?? 0),
    lateralMm: lateral(sorted[i]?.slice.position ?? slice.position, slice.position, first.normal),
  }));
  const judged = judge(steps);
  return judged instanceof WetreadError ? { order, volume: null, refusal: judged } : { order, volume: judged, refusal: null };
}

function instanceNumber(place: Place | undefined): number {
  return place?.instanceNumber ?? Number.MAX_SAFE_INTEGER;
}

/** Null without a position, or with row and column that are no unit vectors across each other. */
function sliceOf({ position, row, column }: Place, index: number): Slice | null {
  const normal: Vector = [
    row[1] * column[2] - row[2] * column[1],
    row[2] * column[0] - row[0] * column[2],
    row[0] * column[1] - row[1] * column[0],
  ];
  return position === null || Math.abs(dot(normal, normal) - 1) > 0.01 ? null : { index, position, row, column, normal };
}

/** Images that cannot be one grid: other orientation, frame of reference, size or pixel spacing, localizers, mosaics. */
function mixture(
  places: readonly Place[],
  slices: readonly Slice[],
): { readonly orientation: boolean; readonly error: WetreadError } | null {
  const first = slices[0];
  if (first === undefined) return null;
  if (slices.some(({ row, column }) => dot(row, first.row) < 0.9999 || dot(column, first.column) < 0.9999)) {
    return { orientation: true, error: refusal('several orientations', 'one') };
  }
  const odd = places.flatMap(({ imageType }) => imageType).find((type) => type === 'LOCALIZER' || type === 'MOSAIC');
  if (odd !== undefined) return { orientation: false, error: refusal(`${odd} images`, 'slices') };
  for (const keyword of gridKeywords) {
    const values = new Set(places.map(({ grid }) => grid[keyword]));
    if (values.size > 1) return { orientation: false, error: refusal(`${values.size} values of ${keyword}`, 'one') };
  }
  return null;
}

function judge(steps: readonly { readonly mm: number; readonly lateralMm: number }[]): NonNullable<Arrangement['volume']> | WetreadError {
  const sizes = steps.map(({ mm }) => mm).sort((a, b) => a - b);
  const median = sizes[Math.floor(sizes.length / 2)] ?? 0;
  const duplicates = sizes.filter((mm) => mm < sameMm).length;
  if (duplicates > 0) return refusal(`${duplicates} positions that occur twice`, 'each once', 'series-duplicate-slice');
  const spread = ((sizes.at(-1) ?? 0) - (sizes[0] ?? 0)) / median;
  if (spread > 0.05) return gapOf(steps, median);
  const shift = Math.max(...steps.map(({ lateralMm }) => lateralMm));
  if (shift > Math.max(0.02, 0.05 * median)) return refusal(`a shift of ${shift.toFixed(2)} mm across the normal (gantry tilt)`, 'none');
  const warnings =
    spread > 0.01 ? [{ code: 'spacing-uneven', message: `The slices' spacing varies by ${(spread * 100).toFixed(1)} %.` }] : [];
  return { spacingMm: median, warnings };
}

/** Every step near a whole multiple of the smallest regular one: slices are missing. Anything else is uneven. */
function gapOf(steps: readonly { readonly mm: number }[], median: number): WetreadError {
  const multiples = steps.map(({ mm }) => mm / median);
  const missing = multiples.reduce((sum, multiple) => sum + Math.round(multiple) - 1, 0);
  if (multiples.every((multiple) => Math.round(multiple) >= 1 && Math.abs(multiple - Math.round(multiple)) <= 0.05)) {
    return refusal(`gaps for ${missing} slices at a spacing of ${median.toFixed(2)} mm`, 'none', 'series-missing-slice');
  }
  return refusal(`uneven spacing around ${median.toFixed(2)} mm`, 'at most 5 % difference');
}

function refusal(found: string, expected: string, code: ErrorCode = 'series-irregular'): WetreadError {
  return new WetreadError(code, `series as a volume: found ${found}, expected ${expected}`, {
    hint: 'its images may still be shown one by one',
  });
}

function dot(a: Vector, b: Vector): number {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

/** Length of the part of b - a across the normal, in mm. */
function lateral(a: Vector, b: Vector, normal: Vector): number {
  const step: Vector = [b[0] - a[0], b[1] - a[1], b[2] - a[2]];
  const along = dot(step, normal);
  return Math.hypot(step[0] - along * normal[0], step[1] - along * normal[1], step[2] - along * normal[2]);
}
