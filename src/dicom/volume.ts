/**
 * Puts the slices of a series into geometric order and says whether they form a volume.
 *
 * Order is by position along the slices' normal, never by InstanceNumber, SliceLocation or name; spacing is the difference of
 * positions, never SliceThickness. What is refused as a volume may still be shown as single images.
 * Source: PS3.3 C.7.6.2.1.1; the limits are our own.
 */
import { type ErrorCode, type Warning, WetreadError } from '#domain/errors.ts';
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

interface Slice {
  readonly index: number;
  readonly position: Vector;
  readonly row: Vector;
  readonly column: Vector;
  readonly normal: Vector;
}

/** Two positions nearer than this (mm) are the same. */
const sameMm = 0.01;

/** @param headers one per image of one series; for a multi-frame object one frameHeader per frame */
export function arrangeSeries(headers: readonly Header[]): Arrangement {
  const byNumber = headers.map((_, index) => index).sort((a, b) => instanceNumber(headers[a]) - instanceNumber(headers[b]) || a - b);
  if (headers.length < 2) return { order: byNumber, volume: null, refusal: null };
  const slices = headers.flatMap((header, index) => sliceOf(header, index) ?? []);
  const first = slices[0];
  if (first === undefined || slices.length < headers.length) {
    return {
      order: byNumber,
      volume: null,
      refusal: refusal(`${headers.length - slices.length} of ${headers.length} images without position`, 'all'),
    };
  }
  const mixed = mixture(headers, slices);
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

function instanceNumber(header: Header | undefined): number {
  return header?.label('InstanceNumber') ?? Number.MAX_SAFE_INTEGER;
}

function sliceOf(header: Header, index: number): Slice | null {
  const [x, y, z] = header.numbers('ImagePositionPatient');
  const [a, b, c, d, e, f] = header.numbers('ImageOrientationPatient');
  if (x === undefined || y === undefined || z === undefined || d === undefined || e === undefined || f === undefined) return null;
  if (a === undefined || b === undefined || c === undefined) return null;
  const row: Vector = [a, b, c];
  const column: Vector = [d, e, f];
  const normal: Vector = [b * f - c * e, c * d - a * f, a * e - b * d];
  return Math.abs(dot(normal, normal) - 1) > 0.01 ? null : { index, position: [x, y, z], row, column, normal };
}

/** Images that cannot be one grid: other orientation, frame of reference, size or pixel spacing, localizers, mosaics. */
function mixture(
  headers: readonly Header[],
  slices: readonly Slice[],
): { readonly orientation: boolean; readonly error: WetreadError } | null {
  const first = slices[0];
  if (first === undefined) return null;
  if (slices.some(({ row, column }) => dot(row, first.row) < 0.9999 || dot(column, first.column) < 0.9999)) {
    return { orientation: true, error: refusal('several orientations', 'one') };
  }
  const odd = headers.flatMap((header) => header.texts('ImageType')).find((type) => type === 'LOCALIZER' || type === 'MOSAIC');
  if (odd !== undefined) return { orientation: false, error: refusal(`${odd} images`, 'slices') };
  for (const keyword of ['FrameOfReferenceUID', 'Rows', 'Columns', 'PixelSpacing'] as const) {
    const values = new Set(headers.map((header) => gridValue(header, keyword)));
    if (values.size > 1) return { orientation: false, error: refusal(`${values.size} values of ${keyword}`, 'one') };
  }
  return null;
}

/** Spacing counts as equal within about 1e-3. */
function gridValue(header: Header, keyword: 'FrameOfReferenceUID' | 'Rows' | 'Columns' | 'PixelSpacing'): string {
  if (keyword === 'PixelSpacing')
    return header
      .numbers(keyword)
      .map((mm) => mm.toPrecision(3))
      .join(' ');
  return keyword === 'FrameOfReferenceUID' ? (header.text(keyword) ?? '') : String(header.number(keyword));
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
