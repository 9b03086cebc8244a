import { constants, deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { storedFrame } from '#dicom/decode.ts';
import { identityOf } from '#dicom/facts.ts';
import { readPart10, readUids } from '#dicom/read.ts';
import { codeOf } from '#domain/errors.ts';
import { available } from '../setup/require.ts';
import { element, film, filmBytes, item } from './fixture.ts';
import { readShared } from './manifest.ts';

const bytes = Buffer.from(filmBytes());

/** Behind the preamble, magic and file meta. */
function metaEnd(file: Buffer): number {
  return 144 + file.readUInt32LE(140);
}

describe('readPart10', () => {
  it('refuses what is no Part 10 file', () => {
    for (const other of [Buffer.alloc(0), Buffer.from('<html>login</html>'), bytes.subarray(128)]) {
      expect(() => readPart10(other)).toThrow(expect.objectContaining({ code: 'dicom-not-part10' }));
    }
  });

  it('a length beyond the end of the file is dicom-truncated', () => {
    const forged = Buffer.concat([filmBytes({ PixelData: undefined, _vrMap: {} }), element(0x10, 'OW', new Uint8Array(24), 2_000_000_000)]);
    expect(() => readPart10(forged)).toThrow(expect.objectContaining({ code: 'dicom-truncated' }));
  });

  it('20,000 nested sequences are dicom-malformed, not the end of the process', () => {
    const start = Buffer.from([
      0x08, 0, 0x15, 0x11, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xfe, 0xff, 0x00, 0xe0, 0xff, 0xff, 0xff, 0xff,
    ]);
    const nested = Buffer.concat([bytes.subarray(0, metaEnd(bytes)), ...Array<Buffer>(20_000).fill(start)]);
    expect(() => readPart10(nested)).toThrow(expect.objectContaining({ code: 'dicom-malformed' }));
  });

  it('a sequence that the end of the file cuts off is dicom-truncated', () => {
    const open = Buffer.from([0x08, 0, 0x15, 0x11, 0x53, 0x51, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    const closed = Buffer.concat([open, Buffer.from([0xfe, 0xff, 0xdd, 0xe0, 0, 0, 0, 0])]);
    expect(readPart10(Buffer.concat([bytes, closed])).header.text('PatientID')).toBe('P1');
    expect(() => readPart10(Buffer.concat([bytes, open]))).toThrow(expect.objectContaining({ code: 'dicom-truncated' }));
  });

  it('reads the items of a sequence whose VR is UN, which are implicit inside', () => {
    const value = (element: number, text: string): Buffer =>
      Buffer.concat([Buffer.from([0x40, 0, element, 0, text.length, 0, 0, 0]), Buffer.from(text)]);
    const content = item(Buffer.concat([value(0x32, '1.2.34'), value(0x33, 'ISO ')]));
    const head = Buffer.from([0x10, 0, 0x24, 0, 0x55, 0x4e, 0, 0, content.length, 0, 0, 0]);
    const { header } = readPart10(Buffer.concat([bytes, head, content]));
    expect(identityOf(header).identifiers).toEqual([{ system: 'urn:oid:1.2.34', value: 'P1' }]);
  });

  it('reads a deflated file from a plain Uint8Array and refuses a cut one', () => {
    const file = Buffer.from(filmBytes({}, '1.2.840.10008.1.2.1.99'));
    const deflated = Buffer.concat([file.subarray(0, metaEnd(file)), deflateRawSync(file.subarray(metaEnd(file)))]);
    expect(readPart10(new Uint8Array(deflated)).header.text('PatientID')).toBe('P1');
    expect(() => readPart10(deflated.subarray(0, -20))).toThrow(expect.objectContaining({ code: 'dicom-truncated' }));
  });

  it('a data set that inflates beyond the limit is dicom-too-large', () => {
    const file = Buffer.from(filmBytes({}, '1.2.840.10008.1.2.1.99'));
    const megabyte = deflateRawSync(Buffer.alloc(1024 * 1024), { finishFlush: constants.Z_FULL_FLUSH });
    const bomb = Buffer.concat([file.subarray(0, metaEnd(file)), ...Array<Buffer>(300).fill(megabyte)]);
    expect(bomb.length).toBeLessThan(400_000);
    expect(() => readPart10(bomb)).toThrow(expect.objectContaining({ code: 'dicom-too-large' }));
  });

  it('leaves the bytes it was given as they are', async () => {
    const given = Buffer.from(bytes);
    await storedFrame(readPart10(given), 1);
    expect(given.equals(bytes)).toBe(true);
  });

  it('any truncation of a file ends in a code or, when only padding went, in the same values', async () => {
    const whole = await storedFrame(film(), 1);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes.length - 1 }), async (length) => {
        try {
          const frame = await storedFrame(readPart10(bytes.subarray(0, length)), 1);
          expect(frame.values).toEqual(whole.values);
        } catch (error) {
          expect(codeOf(error)).toMatch(/^(dicom|pixel)-/);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('any changed byte ends in a code or in a whole image', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: bytes.length - 1 }), fc.integer({ min: 0, max: 255 }), async (at, value) => {
        const changed = Buffer.from(bytes);
        changed[at] = value;
        try {
          const frame = await storedFrame(readPart10(changed), 1);
          expect(frame.values.length).toBe(frame.rows * frame.columns * frame.samples);
          expect(frame.values.length).toBeGreaterThan(0);
        } catch (error) {
          expect(codeOf(error)).toMatch(/^(dicom|pixel|transfer)-/);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('readUids', () => {
  it('gives the UIDs of the data set', () => {
    expect(readUids(bytes)).toEqual({ study: '2.25.1', series: '2.25.2', instance: '2.25.3', sopClass: '1.2.840.10008.5.1.4.1.1.1.1' });
  });

  it('refuses UIDs that are none', () => {
    expect(() => readUids(filmBytes({ SeriesInstanceUID: 'deadbeef' }))).toThrow(expect.objectContaining({ code: 'dicom-uid-invalid' }));
  });
});

describe.skipIf(!available('shared'))('readPart10 on the reference files', () => {
  it.each([
    ['broken/MR_truncated.dcm', 'dicom-truncated'],
    ['broken/badVR.dcm', 'dicom-malformed'],
    ['broken/emri_small_jpeg_2k_lossless_too_short.dcm', 'dicom-truncated'],
    ['broken/meta_missing_tsyntax.dcm', 'dicom-malformed'],
    ['broken/no_meta_group_length.dcm', 'pixel-missing'],
    ['broken/rtplan_truncated.dcm', 'dicom-truncated'],
    ['non-image/nested_priv_SQ.dcm', 'dicom-malformed'],
    ['non-image/reportsi.dcm', 'pixel-missing'],
    ['non-image/rtplan.dcm', 'pixel-missing'],
    ['non-image/test-SR.dcm', 'pixel-missing'],
    ['float/parametric_map_float.dcm', 'pixel-unsupported'],
    ['seg/liver_1frame.dcm', 'pixel-unsupported'],
  ])('%s is %s', async (path, code) => {
    const read = async (): Promise<unknown> => storedFrame(readShared(`dicom/${path}`), 1);
    await expect(read()).rejects.toMatchObject({ code });
  });

  it('reads sequences with VR UN and text with code extensions', () => {
    expect(readShared('dicom/ct-odd/explicit_VR-UN.dcm').header.text('StudyDescription')).toBe('Pancreas');
    expect(readShared('dicom/mr-hitachi/001.dcm').header.texts('SpecificCharacterSet')).toEqual(['ISO 2022 IR 6', 'ISO 2022 IR 87']);
  });
});
