import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrangeSeries, type Place, placesOf } from '#dicom/volume.ts';
import { available } from '../setup/require.ts';
import { film } from './fixture.ts';
import { readManifest, readShared } from './manifest.ts';

const axial = [1, 0, 0, 0, 1, 0];

function slice(z: number, changes: Readonly<Record<string, unknown>> = {}): Place {
  const [place] = placesOf(
    film({
      Modality: 'CT',
      ImagePositionPatient: [0, 0, z],
      ImageOrientationPatient: axial,
      FrameOfReferenceUID: '2.25.9',
      ...changes,
    }).header,
  );
  if (place === undefined) throw new Error('the film has no place');
  return place;
}

describe('arrangeSeries', () => {
  it('orders by position whatever the instance numbers and the order of arrival', () => {
    const positions = [0, 2.5, 5, 7.5, 10, 12.5];
    const slices = positions.map((z, i) => slice(z, { InstanceNumber: String(20 - i) }));
    fc.assert(
      fc.property(fc.shuffledSubarray(positions, { minLength: 6 }), (shuffled) => {
        const { order, volume } = arrangeSeries(shuffled.map((z) => slices[positions.indexOf(z)] ?? slice(z)));
        expect(order.map((index) => shuffled[index])).toEqual(positions);
        expect(volume).toEqual({ spacingMm: 2.5, warnings: [] });
      }),
      { numRuns: 30 },
    );
  });

  it('a repeated position is series-duplicate-slice', () => {
    expect(arrangeSeries([slice(0), slice(5), slice(5), slice(10)]).refusal).toMatchObject({ code: 'series-duplicate-slice' });
  });

  it('a gap of a whole multiple is series-missing-slice and says how many', () => {
    const { refusal, order } = arrangeSeries([slice(20), slice(5), slice(0), slice(10)]);
    expect(refusal).toMatchObject({ code: 'series-missing-slice' });
    expect(refusal?.message).toContain('1 slices');
    expect(order).toEqual([2, 1, 3, 0]);
  });

  it('uneven, tilted, mixed and unplaced series are series-irregular', () => {
    const tilted = [0, 5, 10].map((z) => slice(z, { ImagePositionPatient: [0, z * 0.3, z] }));
    const sagittal = slice(10, { ImageOrientationPatient: [0, 1, 0, 0, 0, -1] });
    for (const headers of [
      [slice(0), slice(5), slice(11.5), slice(16.5)],
      tilted,
      [slice(0), slice(5), sagittal],
      [slice(0), slice(5), slice(10, { ImagePositionPatient: [] })],
      [slice(0), slice(5), slice(10, { ImageType: ['ORIGINAL', 'PRIMARY', 'LOCALIZER'] })],
      [slice(0), slice(5), slice(10, { Rows: 6, Columns: 2 })],
      [slice(0), slice(5), slice(10, { FrameOfReferenceUID: '2.25.10' })],
    ]) {
      const { volume, refusal, order } = arrangeSeries(headers);
      expect(volume).toBeNull();
      expect(refusal).toMatchObject({ code: 'series-irregular' });
      expect([...order].sort()).toEqual(headers.map((_, i) => i));
    }
  });

  it('spacing that varies by 1 to 5 % is a volume with a warning', () => {
    expect(arrangeSeries([slice(0), slice(5), slice(10.1), slice(15.1)]).volume?.warnings).toMatchObject([{ code: 'spacing-uneven' }]);
  });

  it('a single image is neither a volume nor refused', () => {
    expect(arrangeSeries([slice(0)])).toEqual({ order: [0], volume: null, refusal: null });
  });
});

describe('placesOf', () => {
  const group = (z: number): object => ({
    PlanePositionSequence: [{ ImagePositionPatient: [0, 0, z] }],
    PixelMeasuresSequence: [{ PixelSpacing: [0.5, 0.5] }],
  });
  const shared = [{ PlaneOrientationSequence: [{ ImageOrientationPatient: axial }] }];
  const enhanced = (positions: readonly number[], changes: Readonly<Record<string, unknown>> = {}): readonly Place[] =>
    placesOf(
      film({
        NumberOfFrames: String(positions.length),
        PerFrameFunctionalGroupsSequence: positions.map(group),
        SharedFunctionalGroupsSequence: shared,
        ...changes,
      }).header,
    );

  it('gives each frame its own place: a volume whatever their order in the file', () => {
    expect(arrangeSeries(enhanced([10, 0, 5]))).toMatchObject({ order: [1, 2, 0], volume: { spacingMm: 5 } });
    expect(arrangeSeries(enhanced([10, 0, 10])).refusal).toMatchObject({ code: 'series-duplicate-slice' });
  });

  it('an enhanced object of one frame has the place of its group', () => {
    expect(enhanced([7])[0]?.position).toEqual([0, 0, 7]);
  });

  it('the one position of an object without functional groups is no place of its frames', () => {
    const frames = { NumberOfFrames: '3', ImagePositionPatient: [0, 0, 1], ImageOrientationPatient: axial };
    const places = placesOf(film(frames).header);
    expect(places.map(({ position }) => position)).toEqual([null, null, null]);
    expect(arrangeSeries(places).refusal).toMatchObject({ code: 'series-irregular' });
  });

  it('more frames than can be are refused before any is looked at', () => {
    expect(() => placesOf(film({ NumberOfFrames: '999999999999' }).header)).toThrow(expect.objectContaining({ code: 'dicom-too-large' }));
    expect(() => placesOf(film({ NumberOfFrames: '0' }).header)).toThrow(expect.objectContaining({ code: 'dicom-malformed' }));
    expect(() => enhanced([1, 2], { NumberOfFrames: '3' })).toThrow(expect.objectContaining({ code: 'dicom-malformed' }));
  });
});

describe.skipIf(!available('shared'))('arrangeSeries on the reference series', () => {
  it.each([
    ['ct-toshiba-2f', 10, [1, 0]],
    ['mr-hyperfine-8f', 5, [0, 1, 2, 3, 4, 5, 6, 7]],
    ['mr-philips-8f', 1.2, [0, 1, 2, 3, 4, 5, 6, 7]],
    ['mr-siemens-8f', 0.9, [0, 1, 2, 3, 4, 5, 6, 7]],
  ])('the frames of %s are a volume of %d mm', (name, spacingMm, expected) => {
    const { order, volume } = arrangeSeries(placesOf(readShared(`dicom/enhanced/${name}.dcm`).header));
    expect(order).toEqual(expected);
    expect(volume?.spacingMm).toBeCloseTo(spacingMm, 3);
  });

  it('frames at the same place at several times, and frames without a place, are no volume', () => {
    const code = (name: string): unknown => arrangeSeries(placesOf(readShared(`dicom/enhanced/${name}.dcm`).header)).refusal?.code;
    expect([code('mr-philips-fmri-32f'), code('emri_small')]).toEqual(['series-duplicate-slice', 'series-irregular']);
  });

  it('agrees with the verdict of every row of the manifest', () => {
    const { dicom, series } = readManifest();
    const rows = series.map(({ folder, seriesUID, instances, volume }) => {
      const files = dicom.filter((entry) => entry.path.startsWith(`${folder}/`) && entry.seriesUID === seriesUID);
      const places = files.flatMap(({ path }) => {
        // Files without preamble are refused as files; their rows have no geometry anyway.
        if (/JLS._RGB_ILV/.test(path)) return [];
        const [place] = placesOf(readShared(path).header);
        return place === undefined ? [] : [place];
      });
      const arranged = arrangeSeries(places);
      return {
        folder,
        instances,
        hasGroups: files.some(({ path }) => /enhanced|fragments/.test(path)),
        files: files.length,
        expected: volume,
        found: arranged.refusal?.code ?? (arranged.volume ? 'regular' : 'single'),
      };
    });
    console.table(rows);
    expect(rows.length).toBeGreaterThan(25);
    for (const { expected, found, instances, files, hasGroups } of rows) {
      expect(files).toBe(instances);
      if (expected === 'regular') expect(found).toBe('regular');
      // The manifest looked at the top level only: files with functional groups have places.
      else if (expected.startsWith('no geometry') && !hasGroups) expect(found).toBe('series-irregular');
      else if (expected.includes('duplicate') && !expected.includes('orientations')) expect(found).toBe('series-duplicate-slice');
      else expect(found).toMatch(/^series-/);
    }
  });
});
