import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codeOf, WetreadError } from '#domain/errors.ts';
import { isNifti, readNifti } from '#model/nifti/volume.ts';
import { type NiftiFile, niftiBytes, writers } from './writer.ts';

/** 3 x 2 x 2 voxels; the value says where it lies: columns 1s, rows 10s, slices 100s. */
const counted: NiftiFile = {
  version: 1,
  littleEndian: true,
  dim: [3, 2, 2],
  datatype: 4,
  bitpix: 16,
  values: [0, 1, 2, 10, 11, 12, 100, 101, 102, 110, 111, 112],
};

function codeFrom(bytes: Uint8Array): string {
  try {
    readNifti(bytes);
    return 'read';
  } catch (error) {
    return codeOf(error);
  }
}

/** An affine whose axis i goes along `steps[i]` in RAS. */
const along = (steps: readonly (readonly number[])[]): NonNullable<NiftiFile['sform']> => ({
  code: 1,
  rows: [0, 1, 2].map((patient) => [...steps.map((step) => step[patient] ?? 0), 0]),
});

describe('the reader gives back what a writer wrote', () => {
  const spans: Readonly<Record<number, readonly [number, number]>> = {
    2: [0, 255],
    4: [-32768, 32767],
    8: [-(2 ** 23), 2 ** 23],
    16: [-(2 ** 23), 2 ** 23],
    64: [-(2 ** 23), 2 ** 23],
    256: [-128, 127],
    512: [0, 65535],
    768: [0, 2 ** 23],
    1024: [-(2 ** 23), 2 ** 23],
    1280: [0, 2 ** 23],
  };
  const size = fc.integer({ min: 1, max: 4 });
  const file = fc
    .record({
      datatype: fc.constantFrom(...Object.keys(writers).map(Number)),
      version: fc.constantFrom(1 as const, 2 as const),
      littleEndian: fc.boolean(),
      dim: fc.oneof(fc.tuple(size, size), fc.tuple(size, size, size), fc.tuple(size, size, size, fc.constant(1))),
      slope: fc.constantFrom(0, 1, 2, -0.5, Number.NaN),
      intercept: fc.constantFrom(0, -1024),
      voxOffset: fc.constantFrom(undefined, 560, 1024),
    })
    .chain(({ voxOffset, ...fields }) => {
      const [min, max] = spans[fields.datatype] ?? [0, 0];
      const length = fields.dim.reduce((product, one) => product * one, 1);
      return fc.array(fc.integer({ min, max }), { minLength: length, maxLength: length }).map((values): NiftiFile => {
        const bitpix = writers[fields.datatype]?.bits ?? 0;
        return { ...fields, bitpix, values, ...(voxOffset === undefined ? {} : { voxOffset }) };
      });
    });

  test('in every kind of value, version, byte order and scaling, plain and compressed', () => {
    fc.assert(
      fc.property(file, fc.boolean(), (written, compressed) => {
        const bytes = compressed ? gzipSync(niftiBytes(written)) : niftiBytes(written);
        const { volume, plane } = readNifti(bytes);
        const { slope = 0, intercept = 0, dim } = written;
        const scaled = slope === 0 || Number.isNaN(slope) ? written.values : written.values.map((value) => value * slope + intercept);
        expect([...volume.values]).toEqual(scaled.map((value) => Math.fround(value) + 0));
        expect([volume.width, volume.height, volume.depth, plane]).toEqual([dim[0], dim[1], dim[2] ?? 1, null]);
        expect(isNifti(bytes)).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('any bytes changed in a header end in a volume of the announced size or a coded refusal', () => {
    const whole = niftiBytes({ ...counted, sform: along([[-1], [0, -1], [0, 0, 1]]) });
    const changes = fc.array(fc.tuple(fc.nat({ max: 351 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(changes, fc.boolean(), fc.nat({ max: whole.byteLength }), (changed, compressed, cut) => {
        const bytes = whole.slice(0, cut % 3 === 0 ? cut : whole.byteLength);
        for (const [at, value] of changed) if (at < bytes.byteLength) bytes[at] = value;
        try {
          const { volume } = readNifti(compressed ? gzipSync(bytes) : bytes);
          expect(volume.values.length).toBe(volume.depth * volume.height * volume.width);
          expect(volume.values.byteLength).toBeLessThanOrEqual(4 * whole.byteLength);
        } catch (error) {
          expect(error).toBeInstanceOf(WetreadError);
          expect(['pixel-damaged', 'pixel-unsupported', 'not-finite']).toContain(codeOf(error));
        }
      }),
      { numRuns: 3000 },
    );
  });
});

describe('the view is the radiologist’s', () => {
  const seen = (sform: NiftiFile['sform']) => readNifti(niftiBytes({ ...counted, ...(sform === undefined ? {} : { sform }) }));

  test('axial: right on the left, front on top, feet first', () => {
    // As DICOM stores it: columns to the left, rows to the back, slices to the head.
    const asStored = seen(along([[-1], [0, -1], [0, 0, 1]]));
    expect([asStored.plane, ...asStored.volume.values]).toEqual(['axial', ...counted.values]);
    // RAS, as most converters write it: columns to the right, rows to the front.
    const ras = seen(along([[1], [0, 1], [0, 0, 1]]));
    expect([...ras.volume.values]).toEqual([12, 11, 10, 2, 1, 0, 112, 111, 110, 102, 101, 100]);
    const headFirst = seen(along([[-1], [0, -1], [0, 0, -1]]));
    expect([...headFirst.volume.values].slice(0, 3)).toEqual([100, 101, 102]);
  });

  test('coronal: right on the left, head on top, front first; rows may be the first axis', () => {
    const { plane, volume } = seen(along([[0, 0, 2], [-1], [0, -1]]));
    expect([plane, volume.width, volume.height, volume.depth]).toEqual(['coronal', 2, 3, 2]);
    // Width runs along the second axis, height down from the head: the first axis backwards.
    expect([...volume.values].slice(0, 6)).toEqual([2, 12, 1, 11, 0, 10]);
  });

  test('sagittal: front on the left, head on top, left side first', () => {
    const { plane, volume } = seen(along([[0, 1], [0, 0, 1], [1]]));
    expect([plane, ...[...volume.values].slice(0, 6)]).toEqual(['sagittal', 12, 11, 10, 2, 1, 0]);
  });

  test('an oblique plane is the one it is nearest to', () => {
    expect(
      seen(
        along([
          [-0.9, 0.3, 0.1],
          [0.2, -0.9, 0.3],
          [0.1, 0.3, 0.9],
        ]),
      ).plane,
    ).toBe('axial');
  });

  test('the quaternion is read where there is no sform; a negative qfac turns the slices', () => {
    // 180 degrees about the axis of the slices: columns to the left, rows to the back.
    const qform = [1, 0, 0, 1] as const;
    const straight = readNifti(niftiBytes({ ...counted, qform, pixdim: [1, 1, 1, 1] }));
    expect([straight.plane, ...straight.volume.values]).toEqual(['axial', ...counted.values]);
    const turned = readNifti(niftiBytes({ ...counted, qform, pixdim: [-1, 1, 1, 1] }));
    expect([...turned.volume.values].slice(0, 3)).toEqual([100, 101, 102]);
    // 90 degrees about the first axis: rows go to the head, slices to the back.
    const root = Math.SQRT1_2;
    const tipped = readNifti(niftiBytes({ ...counted, qform: [1, root, 0, 0] }));
    expect([tipped.plane, ...[...tipped.volume.values].slice(0, 3)]).toEqual(['coronal', 12, 11, 10]);
  });

  test('the sform wins over the quaternion', () => {
    const both = readNifti(niftiBytes({ ...counted, qform: [1, 0, 0, 0], sform: along([[-1], [0, -1], [0, 0, 1]]) }));
    expect([...both.volume.values]).toEqual(counted.values);
  });
});

describe('what cannot be read is refused by name', () => {
  const cases: readonly (readonly [string, Partial<NiftiFile>, string])[] = [
    ['a series of volumes', { dim: [3, 2, 1, 2] }, 'pixel-unsupported'],
    ['complex values', { datatype: 32, bitpix: 64 }, 'pixel-unsupported'],
    ['colour', { datatype: 128, bitpix: 24 }, 'pixel-unsupported'],
    ['two files', { magic: 'ni1\0' }, 'pixel-unsupported'],
    ['an Analyze header', { magic: '\0\0\0\0' }, 'pixel-unsupported'],
    ['more voxels than are read', { dim: [32767, 32767, 32767] }, 'pixel-unsupported'],
    ['an unknown datatype', { datatype: 3, bitpix: 16 }, 'pixel-damaged'],
    ['bits that are not the datatype’s', { bitpix: 8 }, 'pixel-damaged'],
    ['a dimension of zero', { dim: [3, 0, 2] }, 'pixel-damaged'],
    ['fewer values than announced', { dim: [3, 2, 3] }, 'pixel-damaged'],
    ['more values than announced', { dim: [3, 2, 1] }, 'pixel-damaged'],
    ['values inside the header', { voxOffset: 100 }, 'pixel-damaged'],
    ['axes in one plane', { sform: along([[1], [1], [0, 1]]) }, 'pixel-damaged'],
    ['an axis without length', { sform: along([[1], [0, 1], []]) }, 'pixel-damaged'],
    ['a transform that is no number', { sform: along([[Number.NaN], [0, 1], [0, 0, 1]]) }, 'pixel-damaged'],
    ['a quaternion longer than 1', { qform: [1, 1, 1, 0] }, 'pixel-damaged'],
    ['an intercept that is no number', { slope: 1, intercept: Number.NaN }, 'pixel-damaged'],
    ['NaN among the values', { datatype: 16, bitpix: 32, values: [...counted.values.slice(1), Number.NaN] }, 'not-finite'],
    ['values that scaling takes out of range', { datatype: 64, bitpix: 64, values: counted.values.map(() => 1e300) }, 'not-finite'],
  ];
  test.each(cases)('%s', (_name, change, code) => {
    const bytes = niftiBytes({ ...counted, ...change });
    expect([codeFrom(bytes), codeFrom(gzipSync(bytes))]).toEqual([code, code]);
  });

  test('a compressed file that is cut off, holds more than announced, or cannot hold it', () => {
    const packed = gzipSync(niftiBytes(counted));
    expect(codeFrom(packed.subarray(0, packed.byteLength - 12))).toBe('pixel-damaged');
    expect(codeFrom(gzipSync(Buffer.concat([niftiBytes(counted), Buffer.alloc(50_000_000)])))).toBe('pixel-damaged');
    expect(codeFrom(gzipSync(niftiBytes({ ...counted, dim: [600, 600, 600] })))).toBe('pixel-damaged');
    expect(codeFrom(Uint8Array.of(0x1f, 0x8b, 1, 2, 3))).toBe('pixel-damaged');
  });

  test('other files are not taken for NIfTI', () => {
    expect(isNifti(Buffer.from('\x89PNG\r\n\x1a\n'))).toBe(false);
    expect(isNifti(new Uint8Array(3))).toBe(false);
  });
});

test('the range that the file asks to be displayed is given; none is null', () => {
  expect(readNifti(niftiBytes({ ...counted, display: [-160, 240] })).display).toEqual({ low: -160, high: 240 });
  expect(readNifti(niftiBytes(counted)).display).toBeNull();
});
