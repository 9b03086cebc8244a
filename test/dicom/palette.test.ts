import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { storedFrame } from '#dicom/decode.ts';
import { segmentedTable } from '#dicom/lookup-table.ts';
import { coloured, paletteOf } from '#dicom/palette.ts';
import { pictureOf } from '#dicom/picture.ts';
import { readPart10 } from '#dicom/read.ts';
import { codeOf } from '#domain/errors.ts';
import { available } from '../setup/require.ts';
import { compressedBytes, film, fragmentsOf } from './fixture.ts';
import { readManifest, readShared } from './manifest.ts';

const colours = ['Red', 'Green', 'Blue'] as const;

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

/** A film of four entries of a palette: 0, 1, 2, 3, 3, ... */
function palette(
  table: { readonly descriptor: readonly number[]; readonly data: Uint8Array },
  changes: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> {
  const tables = colours.map((colour) => [
    [`${colour}PaletteColorLookupTableDescriptor`, table.descriptor],
    [`${colour}PaletteColorLookupTableData`, [table.data.slice().buffer]],
  ]);
  const vrs = colours.map((colour) => [
    [`${colour}PaletteColorLookupTableDescriptor`, 'US'],
    [`${colour}PaletteColorLookupTableData`, 'OW'],
  ]);
  return {
    PhotometricInterpretation: 'PALETTE COLOR',
    ...Object.fromEntries(tables.flat()),
    PixelData: [Uint16Array.from({ length: 12 }, (_, i) => Math.min(i, 3)).buffer],
    ...changes,
    _vrMap: { PixelData: 'OW', ...Object.fromEntries(vrs.flat()) },
  };
}

async function reds(changes: Readonly<Record<string, unknown>>): Promise<number[]> {
  const { pixels, channels, window } = await pictureOf(film(changes), { frame: null });
  expect([channels, window]).toEqual([3, null]);
  return [0, 1, 2, 3].map((i) => pixels[i * 3] ?? -1);
}

describe('PALETTE COLOR', () => {
  it('looks entries up in packed 8-bit, 8-bit in words, and 16-bit tables', async () => {
    expect(await reds(palette({ descriptor: [4, 0, 8], data: Uint8Array.of(9, 80, 160, 255) }))).toEqual([9, 80, 160, 255]);
    expect(await reds(palette({ descriptor: [4, 0, 8], data: words(9, 80, 160, 255) }))).toEqual([9, 80, 160, 255]);
    expect(await reds(palette({ descriptor: [4, 0, 16], data: words(0, 257, 32896, 65535) }))).toEqual([0, 1, 128, 255]);
    // Said to be of 8 bits, but filling their words.
    expect(await reds(palette({ descriptor: [4, 0, 8], data: words(0, 0x0100, 0x8000, 0xff00) }))).toEqual([0, 1, 128, 254]);
  });

  it('a number below the first entry takes the first, above the last takes the last', async () => {
    expect(await reds(palette({ descriptor: [2, 1, 8], data: Uint8Array.of(10, 20) }))).toEqual([10, 10, 20, 20]);
  });

  it('a table that is absent, short, or of other bits is dicom-malformed', async () => {
    for (const changes of [
      { PhotometricInterpretation: 'PALETTE COLOR' },
      palette({ descriptor: [40, 0, 8], data: Uint8Array.of(1, 2) }),
      palette({ descriptor: [2, 0, 4], data: Uint8Array.of(1, 2) }),
      palette({ descriptor: [2, 0, 12], data: words(1, 2) }),
      palette({ descriptor: [4, 0, 8], data: words(1, 2, 3, 4) }, { BluePaletteColorLookupTableDescriptor: [4, 0, 16] }),
      palette({ descriptor: [4, 0, 8], data: words(1, 2, 3, 4) }, { GreenPaletteColorLookupTableDescriptor: undefined }),
    ]) {
      await expect(pictureOf(film(changes), { frame: null })).rejects.toMatchObject({ code: 'dicom-malformed' });
    }
  });

  it('numbers that were compressed with loss are refused by name', async () => {
    const table = { descriptor: [4, 0, 8], data: Uint8Array.of(9, 80, 160, 255) };
    const { PixelData: _left, _vrMap: _vrs, ...header } = palette(table);
    const jpeg = Buffer.from(
      '/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQH/wAALCAAQABABAREA/8QAFQABAQAAAAAAAAAAAAAAAAAABwr/xAAbEAAABwEAAAAAAAAAAAAAAAAABQklMkRR4v/aAAgBAQAAPwCdstTbiwZW5CAWptxYMrci8AtTbiwZW5CAWptxYMrcj//Z',
      'base64',
    );
    const changes = { ...header, Rows: 16, Columns: 16, BitsAllocated: 8, BitsStored: 8, HighBit: 7 };
    const file = readPart10(compressedBytes('1.2.840.10008.1.2.4.50', fragmentsOf([jpeg]), changes));
    await expect(pictureOf(file, { frame: null })).rejects.toMatchObject({
      code: 'pixel-unsupported',
      message: expect.stringContaining('PALETTE COLOR compressed with loss'),
    });
  });
});

describe('segmentedTable', () => {
  it('follows values, lines and repeated segments', () => {
    // Two values, a line of three to 70, and both segments again from the start of the data.
    const data = words(0, 2, 10, 40, 1, 3, 70, 2, 2, 0, 0);
    expect(segmentedTable([10, 5, 16], data, false)).toEqual({ first: 5, bits: 16, entries: [10, 40, 50, 60, 70, 10, 40, 50, 60, 70] });
    expect(segmentedTable([4, 0, 8], Uint8Array.of(0, 1, 8, 1, 3, 2, 0), false).entries).toEqual([8, 6, 4, 2]);
  });

  it('segments that give more or fewer entries, or no sense, are dicom-malformed', () => {
    for (const values of [
      [0, 2, 10],
      [0, 3, 1, 2, 3],
      [1, 2, 5],
      [0, 1, 5, 3, 1, 0],
      [0, 0, 0, 2, 1, 2],
      [0, 1, 5, 2, 1, 6, 0, 2, 1, 0, 0],
      [0, 1, 5, 2, 65535, 0, 0],
    ]) {
      expect(() => segmentedTable([2, 0, 16], words(...values), false)).toThrow(expect.objectContaining({ code: 'dicom-malformed' }));
    }
  });

  it('any bytes give the entries that the descriptor says, or a code', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 40 }), fc.constantFrom(8, 16), (values, bits) => {
        const data = bits === 16 ? words(...values) : Uint8Array.from(values);
        try {
          expect(segmentedTable([6, 0, bits], data, false).entries).toHaveLength(6);
        } catch (error) {
          expect(codeOf(error)).toBe('dicom-malformed');
        }
      }),
    );
  });
});

describe.skipIf(!available('shared'))('palettes of the reference images', () => {
  it('give the entries of the oracle, segmented ones too', async () => {
    const entries = readManifest().dicom.filter(({ oracle }) => oracle?.paletteSha256 !== undefined);
    expect(entries.length).toBeGreaterThan(4);
    for (const { path, oracle } of entries) {
      const file = readShared(path);
      const hash = createHash('sha256');
      for (let frame = 1; frame <= (file.header.number('NumberOfFrames') ?? 1); frame++) {
        const { values } = coloured(await storedFrame(file, frame), paletteOf(file.header));
        hash.update(new Uint8Array(Int32Array.from(values).buffer));
      }
      expect([path, hash.digest('hex')]).toEqual([path, oracle?.paletteSha256]);
    }
  });
});
