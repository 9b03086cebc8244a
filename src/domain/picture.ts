/** An image as the model and the reader see it: windowed 8-bit pixels with the facts that label it. */
import type { Warning } from './errors.ts';
import type { Side } from './order.ts';
import type { ImageRef } from './study.ts';

export interface Picture {
  readonly ref: ImageRef;
  readonly modality: string;
  readonly width: number;
  readonly height: number;
  /** 1 = grey, 3 = RGB interleaved. */
  readonly channels: 1 | 3;
  /** height x width x channels, rows first, after modality, VOI and MONOCHROME1 rules (PS3.3 C.11). */
  readonly pixels: Uint8Array;
  /** The window that was applied, in words and numbers; null for colour. */
  readonly window: { readonly center: number; readonly width: number; readonly origin: string } | null;
  /** [between rows, between columns] in mm on the patient, null = unknown (detector spacing is not patient spacing). */
  readonly spacingMm: readonly [number, number] | null;
  /** PA, AP, LL, ... as ViewPosition says, null = not said. */
  readonly view: string | null;
  readonly side: Side | null;
  readonly bodyPart: string | null;
  /** YYYY-MM-DD of the study, null = unknown. */
  readonly date: string | null;
  readonly seriesNumber: number | null;
  readonly instanceNumber: number | null;
  readonly warnings: readonly Warning[];
}
