/**
 * Cuts encapsulated pixel data into frames: Extended Offset Table, else Basic Offset Table, else one fragment per frame, else one frame,
 * else end markers of the JPEG family, else refusal.
 *
 * Items are walked by their lengths and never searched for: a codestream may hold the bytes of a delimiter. Source: PS3.5 A.4.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Header } from './header.ts';
import type { Codec } from './transfer-syntax.ts';

interface Fragment {
  /** Of its item tag, from the first byte behind the Basic Offset Table. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/**
 * @param pixelData from the Basic Offset Table item on
 * @param frame 0-based
 * @returns the frame's codestream, fragments joined; it may end in padding
 * @throws dicom-truncated, dicom-malformed, pixel-damaged when frames cannot be told apart
 */
export function encapsulatedFrame(pixelData: Uint8Array, header: Header, frames: number, frame: number, codec: Codec): Uint8Array {
  const [table, ...fragments] = items(pixelData);
  const first = fragments[0];
  if (table === undefined || first === undefined) throw new WetreadError('pixel-missing', 'PixelData: found no fragments');
  const base = first.offset;
  const moved = fragments.map(({ offset, bytes }) => ({ offset: offset - base, bytes }));
  const starts = extendedOffsets(header) ?? basicOffsets(table.bytes);
  if (starts !== null && starts.length === frames) return joined(byOffsets(moved, starts, frame), lengthOf(header, frame));
  if (moved.length === frames) return joined(moved.slice(frame, frame + 1), lengthOf(header, frame));
  if (frames === 1) return joined(moved, null);
  return joined(byEndMarkers(moved, frames, codec)[frame] ?? [], null);
}

function items(bytes: Uint8Array): readonly Fragment[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Fragment[] = [];
  for (let at = 0; ; ) {
    if (at + 8 > bytes.length)
      throw new WetreadError('dicom-truncated', `PixelData: found the end of the file after ${found.length} items, expected a delimiter`);
    const tag = view.getUint32(at, true);
    const length = view.getUint32(at + 4, true);
    if (tag === 0xe0ddfffe) return found;
    if (tag !== 0xe000fffe) throw new WetreadError('dicom-malformed', `PixelData: found no item at byte ${at}`);
    if (at + 8 + length > bytes.length)
      throw new WetreadError('dicom-truncated', `PixelData: found ${bytes.length - at - 8} bytes in an item, expected ${length}`);
    found.push({ offset: at, bytes: bytes.subarray(at + 8, at + 8 + length) });
    at += 8 + length;
  }
}

function basicOffsets(table: Uint8Array): readonly number[] | null {
  if (table.length === 0) return null;
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return Array.from({ length: Math.floor(table.length / 4) }, (_, i) => view.getUint32(i * 4, true));
}

function extendedOffsets(header: Header): readonly number[] | null {
  return sixtyFourBit(header.bytes('ExtendedOffsetTable'));
}

/** Length of a frame without its padding, where the Extended Offset Table says it. */
function lengthOf(header: Header, frame: number): number | null {
  return sixtyFourBit(header.bytes('ExtendedOffsetTableLengths'))?.[frame] ?? null;
}

function sixtyFourBit(bytes: Uint8Array | null): readonly number[] | null {
  if (bytes === null || bytes.length === 0) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, i) => Number(view.getBigUint64(i * 8, true)));
}

function byOffsets(fragments: readonly Fragment[], starts: readonly number[], frame: number): readonly Fragment[] {
  const from = fragments.findIndex(({ offset }) => offset === starts[frame]);
  const next = starts[frame + 1];
  const to = next === undefined ? fragments.length : fragments.findIndex(({ offset }) => offset === next);
  if (from < 0 || to <= from) {
    throw new WetreadError(
      'dicom-malformed',
      `offset table: found ${starts[frame]} for frame ${frame + 1}, expected the start of a fragment`,
    );
  }
  return fragments.slice(from, to);
}

function joined(fragments: readonly Fragment[], length: number | null): Uint8Array {
  const one = fragments[0];
  const bytes =
    fragments.length === 1 && one !== undefined ? one.bytes : new Uint8Array(Buffer.concat(fragments.map((fragment) => fragment.bytes)));
  return length === null ? bytes : bytes.subarray(0, length);
}

/** A frame of the JPEG family ends with FFD9 (and padding) at the end of a fragment. */
function byEndMarkers(fragments: readonly Fragment[], frames: number, codec: Codec): readonly (readonly Fragment[])[] {
  const groups: Fragment[][] = [[]];
  for (const fragment of fragments) {
    groups.at(-1)?.push(fragment);
    if (codec !== 'rle' && endOfCodestream(fragment.bytes) !== null) groups.push([]);
  }
  if (groups.at(-1)?.length === 0) groups.pop();
  if (groups.length === frames) return groups;
  throw new WetreadError(
    'pixel-damaged',
    `PixelData: found ${fragments.length} fragments without an offset table, expected ${frames} frames`,
  );
}

/** Index behind the end marker FFD9 when only padding follows it (00, and FF from some vendors), else null. */
export function endOfCodestream(bytes: Uint8Array): number | null {
  let end = bytes.length;
  while (end > 2 && (bytes[end - 1] === 0 || bytes[end - 1] === 0xff)) end--;
  return end >= 2 && bytes[end - 2] === 0xff && bytes[end - 1] === 0xd9 ? end : null;
}
