/** Our decoders against files that dcmtk compressed from ours, in sizes and modes that the reference images do not have. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { storedFrame } from '#dicom/decode.ts';
import { readPart10 } from '#dicom/read.ts';
import { available } from '../setup/require.ts';
import { filmBytes } from './fixture.ts';

const rows = 19;
const columns = 23;

/** Smooth with some noise from a fixed sequence, so that every predictor and run length occurs. */
function content(samples: number, bits: number): Uint8Array | Uint16Array {
  let seed = 12345;
  const values = Array.from({ length: rows * columns * samples }, (_, i) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.round(2 ** (bits - 1) * (1 + Math.sin(i / 37) * 0.8) + (seed / 2147483648) * 2 ** (bits - 5)) % 2 ** bits;
  });
  return bits > 8 ? Uint16Array.from(values) : Uint8Array.from(values);
}

describe.skipIf(!available('dcmtk'))('files compressed by dcmtk', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-encoders-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  function compress(program: string, options: readonly string[], samples: 1 | 3, bits: number): ReturnType<typeof readPart10> {
    const values = content(samples, bits);
    const bytes = Buffer.alloc(values.byteLength + (values.byteLength % 2));
    bytes.set(new Uint8Array(values.buffer));
    const plain = filmBytes({
      Rows: rows,
      Columns: columns,
      SamplesPerPixel: samples,
      PhotometricInterpretation: samples === 3 ? 'RGB' : 'MONOCHROME2',
      ...(samples === 3 ? { PlanarConfiguration: 0 } : {}),
      BitsAllocated: bits > 8 ? 16 : 8,
      BitsStored: bits,
      HighBit: bits - 1,
      PixelData: [new Uint8Array(bytes).buffer],
    });
    writeFileSync(join(folder, 'plain.dcm'), plain);
    execFileSync(program, [...options, join(folder, 'plain.dcm'), join(folder, 'out.dcm')]);
    return readPart10(readFileSync(join(folder, 'out.dcm')));
  }

  it.each([1, 2, 3, 4, 5, 6, 7])('JPEG lossless with selection value %i is exact for 16 and 8 bits, grey and colour', async (selection) => {
    for (const [samples, bits] of [
      [1, 16],
      [1, 12],
      [1, 8],
      [3, 8],
    ] as const) {
      const file = compress('dcmcjpeg', ['+el', '+sv', String(selection)], samples, bits);
      expect([...(await storedFrame(file, 1)).values]).toEqual([...content(samples, bits)]);
    }
  });

  it('JPEG lossless with a point transform loses the lowest bits and nothing else', async () => {
    const file = compress('dcmcjpeg', ['+el', '+sv', '4', '+pt', '2'], 1, 16);
    expect([...(await storedFrame(file, 1)).values]).toEqual([...content(1, 16)].map((value) => value - (value % 4)));
  });

  it('12-bit JPEG agrees with dcmtk within one grey level', async () => {
    const file = compress('dcmcjpeg', ['+ee', '+q', '80'], 1, 12);
    expect(file.transferSyntax).toBe('1.2.840.10008.1.2.4.51');
    execFileSync('dcmdjpeg', [join(folder, 'out.dcm'), join(folder, 'back.dcm')]);
    const theirs = await storedFrame(readPart10(readFileSync(join(folder, 'back.dcm'))), 1);
    const ours = await storedFrame(file, 1);
    expect(Math.max(...Array.from(ours.values, (value, i) => Math.abs(value - (theirs.values[i] ?? 0))))).toBeLessThanOrEqual(1);
  });

  it('JPEG-LS in every interleave mode and RLE are exact', async () => {
    for (const [samples, bits] of [
      [1, 16],
      [1, 8],
      [3, 8],
    ] as const) {
      for (const [program, options] of [
        ['dcmcjpls', []],
        ['dcmcjpls', ['+il']],
        ['dcmcjpls', ['+in']],
        ['dcmcrle', []],
      ] as const) {
        const file = compress(program, options, samples, bits);
        expect([...(await storedFrame(file, 1)).values]).toEqual([...content(samples, bits)]);
      }
    }
  });
});
