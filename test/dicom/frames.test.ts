import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encapsulatedFrame, endOfCodestream } from '#dicom/frames.ts';
import { readPart10 } from '#dicom/read.ts';
import { compressedBytes, element, film, fragmentsOf } from './fixture.ts';

const { header } = film();
const jpegLs = '1.2.840.10008.1.2.4.80';

/** A frame that ends like a codestream. */
function frameOf(...content: readonly number[]): Uint8Array {
  return Uint8Array.of(...content, 0xff, 0xd9);
}

const cut = (pixelData: Uint8Array, frames: number, frame: number, codec: 'jpeg-ls' | 'rle' = 'jpeg-ls'): number[] => [
  ...encapsulatedFrame(pixelData, header, frames, frame, codec),
];

describe('encapsulatedFrame', () => {
  const [a, b] = [frameOf(1, 2, 3, 4), frameOf(5, 6)];

  it('follows the Basic Offset Table, several fragments to a frame', () => {
    const data = fragmentsOf([a.subarray(0, 2), a.subarray(2), b], [0, 22]);
    expect(cut(data, 2, 0)).toEqual([...a]);
    expect(cut(data, 2, 1)).toEqual([...b]);
  });

  it('takes one fragment per frame when the numbers agree, and all of them for a single frame', () => {
    expect(cut(fragmentsOf([a, b]), 2, 1)).toEqual([...b]);
    expect(cut(fragmentsOf([a.subarray(0, 2), a.subarray(2)]), 1, 0)).toEqual([...a]);
  });

  it('splits at end markers of the JPEG family otherwise, and refuses where they do not fit', () => {
    const data = fragmentsOf([a.subarray(0, 2), a.subarray(2), b]);
    expect(cut(data, 2, 0)).toEqual([...a]);
    expect(cut(data, 2, 1)).toEqual([...b]);
    expect(() => cut(data, 4, 1)).toThrow(expect.objectContaining({ code: 'pixel-damaged' }));
    expect(() => cut(data, 2, 1, 'rle')).toThrow(expect.objectContaining({ code: 'pixel-damaged' }));
  });

  it('walks by length past the bytes of a delimiter inside a frame', () => {
    const hostile = frameOf(0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0);
    expect(cut(fragmentsOf([hostile, b]), 2, 0)).toEqual([...hostile]);
  });

  it('reads the Extended Offset Table of a file, with VR OV, and leaves the padding out', () => {
    const longs = (...values: bigint[]): Buffer => Buffer.from(BigUint64Array.from(values).buffer);
    const odd = frameOf(1, 2, 3);
    const table = Buffer.concat([element(1, 'OV', longs(0n, 14n)), element(2, 'OV', longs(5n, 4n))]);
    const file = readPart10(compressedBytes(jpegLs, fragmentsOf([odd, b]), { NumberOfFrames: '2' }, table));
    const data = file.pixelData?.bytes ?? new Uint8Array();
    expect([...encapsulatedFrame(data, file.header, 2, 0, 'jpeg-ls')]).toEqual([...odd]);
    expect([...encapsulatedFrame(data, file.header, 2, 1, 'jpeg-ls')]).toEqual([...b]);
  });

  it('an offset that is no start of a fragment is dicom-malformed', () => {
    expect(() => cut(fragmentsOf([a, b], [0, 15]), 2, 1)).toThrow(expect.objectContaining({ code: 'dicom-malformed' }));
  });

  it('no fragments are pixel-missing, a cut item is dicom-truncated', () => {
    expect(() => cut(fragmentsOf([]), 1, 0)).toThrow(expect.objectContaining({ code: 'pixel-missing' }));
    expect(() => cut(fragmentsOf([a]).subarray(0, -9), 1, 0)).toThrow(expect.objectContaining({ code: 'dicom-truncated' }));
  });

  it('gives every frame back whatever the frames hold and however they are split', () => {
    const frame = fc
      .uint8Array({ minLength: 1, maxLength: 20 })
      .map((bytes) => Uint8Array.of(...bytes, 1, 0xff, 0xd9, ...(bytes.length % 2 === 0 ? [0] : [])));
    fc.assert(
      fc.property(fc.array(frame, { minLength: 1, maxLength: 5 }), fc.integer({ min: 1, max: 10 }), (frames, at) => {
        const offsets: number[] = [];
        const fragments: Uint8Array[] = [];
        let offset = 0;
        for (const bytes of frames) {
          offsets.push(offset);
          const half = Math.min(at * 2, bytes.length - 2);
          const parts = half > 0 ? [bytes.subarray(0, half), bytes.subarray(half)] : [bytes];
          fragments.push(...parts);
          offset += parts.reduce((sum, part) => sum + 8 + part.length, 0);
        }
        const data = fragmentsOf(fragments, offsets);
        frames.forEach((bytes, i) => {
          expect(cut(data, frames.length, i)).toEqual([...bytes]);
        });
      }),
    );
  });
});

describe('endOfCodestream', () => {
  it('looks behind padding of 00 and FF', () => {
    expect(
      [frameOf(1), Uint8Array.of(1, 0xff, 0xd9, 0, 0), Uint8Array.of(1, 0xff, 0xd9, 0xff), Uint8Array.of(1, 2)].map(endOfCodestream),
    ).toEqual([3, 3, 3, null]);
  });
});
