/**
 * PALETTE COLOR: the stored values are numbers of entries in three tables, red, green and blue.
 *
 * Entries of 8 bits that fill their words up to 16 are scaled by what they hold. Source: PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.
 */
import { WetreadError } from '#domain/errors.ts';
import type { Header } from './header.ts';
import { type LookupTable, lookUp, lookupTable, segmentedTable } from './lookup-table.ts';
import type { StoredFrame } from './stored.ts';

export interface Palette {
  readonly channels: readonly [LookupTable, LookupTable, LookupTable];
  readonly bits: 8 | 16;
}

/** @throws dicom-malformed when a table is absent, short or of other bits than the others */
export function paletteOf(header: Header): Palette {
  const channels = [
    channelOf(header, 'RedPaletteColorLookupTableDescriptor', 'RedPaletteColorLookupTableData', 'SegmentedRedPaletteColorLookupTableData'),
    channelOf(
      header,
      'GreenPaletteColorLookupTableDescriptor',
      'GreenPaletteColorLookupTableData',
      'SegmentedGreenPaletteColorLookupTableData',
    ),
    channelOf(
      header,
      'BluePaletteColorLookupTableDescriptor',
      'BluePaletteColorLookupTableData',
      'SegmentedBluePaletteColorLookupTableData',
    ),
  ] as const;
  const declared = new Set(channels.map(({ bits }) => bits));
  const [bits = 0] = declared;
  if (declared.size > 1 || (bits !== 8 && bits !== 16)) {
    throw new WetreadError('dicom-malformed', `palette: found entries of ${[...declared].join(', ')} bits, expected 8 or 16 in all three`);
  }
  const wide = bits === 16 || channels.some(({ entries }) => entries.some((entry) => entry > 255));
  return { channels, bits: wide ? 16 : 8 };
}

type Colour = 'Red' | 'Green' | 'Blue';

function channelOf(
  header: Header,
  descriptor: `${Colour}PaletteColorLookupTableDescriptor`,
  data: `${Colour}PaletteColorLookupTableData`,
  segmented: `Segmented${Colour}PaletteColorLookupTableData`,
): LookupTable {
  const segments = header.bytes(data) === null ? header.bytes(segmented) : null;
  if (segments === null) return lookupTable(header.numbers(descriptor), header.bytes(data), header.bigEndian);
  return segmentedTable(header.numbers(descriptor), segments, header.bigEndian);
}

/** Numbers of entries -> RGB as the tables hold it. */
export function coloured(frame: StoredFrame, { channels: [red, green, blue], bits }: Palette): StoredFrame {
  const values = new (bits === 8 ? Uint8Array : Uint16Array)(frame.values.length * 3);
  frame.values.forEach((index, i) => {
    values[i * 3] = lookUp(red, index);
    values[i * 3 + 1] = lookUp(green, index);
    values[i * 3 + 2] = lookUp(blue, index);
  });
  return { ...frame, samples: 3, bitsStored: bits, values };
}
