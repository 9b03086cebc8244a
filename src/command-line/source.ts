/** What a file or folder given to `ask` holds: pictures in an order, of which some may be shown, and perhaps a volume. */
import type { RawImage } from '#domain/answer.ts';
import type { Warning } from '#domain/errors.ts';
import type { ImageRef } from '#domain/study.ts';
import { uidOf } from '#domain/uid.ts';
import type { RawVolume } from '#model/encoded.ts';
import type { AskedPicture } from '#prompt/asked.ts';

export interface SourcePicture {
  readonly image: RawImage;
  readonly ref: ImageRef;
  readonly facts: AskedPicture['facts'];
  readonly warnings: readonly Warning[];
}

export interface Source {
  /** The file's or folder's own name, without its path. */
  readonly name: string;
  /** Pictures by their own numbers (1-based), in the order in which they are shown; one = a picture by itself. */
  readonly order: readonly number[];
  /** What a picture of the stack is called: "frame" or "slice". */
  readonly unit: 'frame' | 'slice';
  /** @param number 1-based, one of `order` */
  picture(number: number): Promise<SourcePicture>;
  /** All of it as one volume, with what must be said of that; null = it is none. */
  readonly volume: (() => Promise<{ readonly volume: RawVolume; readonly warnings: readonly Warning[] }>) | null;
  readonly warnings: readonly Warning[];
  /** DICOM modality; null = the file does not say. */
  readonly modality: string | null;
}

export interface Window {
  readonly center: number;
  readonly width: number;
}

/** A reference for a picture that has none: attribution counts images by references. */
export function refOfFile(path: string, frame: number | null): ImageRef {
  const uid = uidOf(`file ${path}`);
  return { study: uid, series: uid, instance: uid, sopClass: uid, frame };
}
