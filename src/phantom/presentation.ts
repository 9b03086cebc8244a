/**
 * How a synthetic film is stored and windowed: polarity and window of its header, and the display that follows from them.
 *
 * A twelfth of the films is MONOCHROME1, as some detectors write it; shown they look the same. Source: PS3.3 C.11.2, C.8.11.3.
 */
import type { Display } from '#dicom/display.ts';
import type { StoredFrame } from '#dicom/stored.ts';
import type { Film } from './film.ts';
import { randomOf } from './random.ts';

export interface Presentation {
  readonly photometric: 'MONOCHROME1' | 'MONOCHROME2';
  readonly center: number;
  readonly width: number;
  readonly stored: StoredFrame;
  /** What the pixel rules of the dicom room make of such a header. */
  readonly display: Display;
}

const highest = 4095;

export function presentationOf(film: Film, seed: string): Presentation {
  const random = randomOf(`presentation ${seed}`);
  const inverted = random.chance(1 / 12);
  const low = random.integer(0, 150);
  const high = random.integer(3450, 3850);
  const width = high - low;
  const middle = Math.round((low + high) / 2);
  const center = inverted ? highest - middle : middle;
  const values = inverted ? film.pixels.map((value) => highest - value) : film.pixels;
  return {
    photometric: inverted ? 'MONOCHROME1' : 'MONOCHROME2',
    center,
    width,
    stored: { rows: film.size, columns: film.size, samples: 1, bitsStored: 12, values },
    display: {
      modality: { kind: 'linear', slope: 1, intercept: 0 },
      voi: { kind: 'linear', center, width },
      padding: null,
      invert: inverted,
    },
  };
}
