/**
 * Stored values -> 8-bit grey: modality, padding, VOI, MONOCHROME1, in this order. Pure functions.
 *
 * Padding becomes background (black) whatever the polarity, because it lies far outside the air and is no part of the patient.
 * Source: PS3.3 C.11.1 (modality), C.11.2 (VOI), C.7.5.1.1.2 (padding), C.7.6.3.1.2 (MONOCHROME1).
 */
import { type LookupTable, lookUp } from './lookup-table.ts';
import type { StoredFrame, StoredValues } from './stored.ts';

export type Modality =
  | { readonly kind: 'linear'; readonly slope: number; readonly intercept: number }
  | { readonly kind: 'lut'; readonly lut: LookupTable };

/** `center` and `width` in units after the modality step. Width >= 1 for linear, > 0 for the others. */
export type Voi =
  | { readonly kind: 'linear' | 'linear-exact' | 'sigmoid'; readonly center: number; readonly width: number }
  | { readonly kind: 'lut'; readonly lut: LookupTable };

export interface Display {
  readonly modality: Modality;
  readonly voi: Voi;
  /** Stored values from low to high are padding; null = none. */
  readonly padding: Padding | null;
  /** MONOCHROME1 or PresentationLUTShape INVERSE: one inversion, after VOI. */
  readonly invert: boolean;
}

export interface Padding {
  readonly low: number;
  readonly high: number;
}

export function applyModality(modality: Modality, stored: number): number {
  return modality.kind === 'lut' ? lookUp(modality.lut, stored) : stored * modality.slope + modality.intercept;
}

/** Value after the modality step -> 0..1. */
export function applyVoi(voi: Voi, x: number): number {
  if (voi.kind === 'lut') return lookUp(voi.lut, x) / (2 ** voi.lut.bits - 1);
  const { center, width } = voi;
  if (voi.kind === 'sigmoid') return 1 / (1 + Math.exp((-4 * (x - center)) / width));
  const exact = voi.kind === 'linear-exact';
  const middle = exact ? center : center - 0.5;
  const span = exact ? width : width - 1;
  if (x <= middle - span / 2) return 0;
  if (x > middle + span / 2) return 1;
  return (x - middle) / span + 0.5;
}

/** One stored value -> 0..255. */
export function displayValue(display: Display, stored: number): number {
  if (isPadding(display.padding, stored)) return 0;
  const grey = Math.round(applyVoi(display.voi, applyModality(display.modality, stored)) * 255);
  return display.invert ? 255 - grey : grey;
}

export function isPadding(padding: Padding | null, stored: number): boolean {
  return padding !== null && stored >= padding.low && stored <= padding.high;
}

/** Largest span of stored values for which a table is made first; every 8- and 16-bit image falls under it. */
const tableSpan = 65536;

/** rows x columns grey values, rows first. */
export function displayGrey(frame: StoredFrame, display: Display): Uint8Array {
  const { values } = frame;
  const [low, high] = extent(values);
  const out = new Uint8Array(values.length);
  if (high - low >= tableSpan) {
    for (let i = 0; i < out.length; i++) out[i] = displayValue(display, values[i] ?? 0);
    return out;
  }
  const table = Uint8Array.from({ length: high - low + 1 }, (_, i) => displayValue(display, low + i));
  for (let i = 0; i < out.length; i++) out[i] = table[(values[i] ?? 0) - low] ?? 0;
  return out;
}

/** Colour needs no window: 16-bit samples keep their upper 8 bits. */
export function displayColour({ values, bitsStored }: StoredFrame): Uint8Array {
  if (bitsStored === 8 && values instanceof Uint8Array) return values;
  const scale = 255 / (2 ** bitsStored - 1);
  return Uint8Array.from(values, (value) => Math.round(value * scale));
}

/** Lowest and highest value; 0, 0 when there is none. */
export function extent(values: StoredValues): readonly [number, number] {
  let low = values[0] ?? 0;
  let high = low;
  for (let i = 1; i < values.length; i++) {
    const value = values[i] ?? 0;
    if (value < low) low = value;
    else if (value > high) high = value;
  }
  return [low, high];
}
