/** What a codestream's own header says, before any decoder sees it. */
import { WetreadError } from '#domain/errors.ts';

export interface Codestream {
  /** Up to and with the end marker. */
  readonly bytes: Uint8Array;
  readonly rows: number;
  readonly columns: number;
  readonly components: number;
  /** Bits per sample. */
  readonly precision: number;
  /** What the decoded samples are: as coded ('ybr' or 'rgb'), or null = the data set's word counts. */
  readonly colour: 'ybr' | 'rgb' | null;
  /** JPEG: the coding process, SOFn. JPEG-LS 55. JPEG 2000 null. */
  readonly process: number | null;
}

/** @throws pixel-damaged */
export function damaged(format: string, found: string, expected: string): never {
  throw new WetreadError('pixel-damaged', `${format}: found ${found}, expected ${expected}`);
}
