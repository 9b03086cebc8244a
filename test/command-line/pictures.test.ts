import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { type LoadRules, loadImages } from '../../src/command-line/pictures.ts';
import { temporaryFolder } from '../model/folder.ts';
import { dicom, nifti, png, series } from './files.ts';

const folder = await temporaryFolder();
const rules: LoadRules = { window: null, frames: [], slices: null, takesVolumes: false, maxImages: 4 };
const places = (loaded: Awaited<ReturnType<typeof loadImages>>) => loaded.images.map(({ place }) => place);
const codes = (loaded: Awaited<ReturnType<typeof loadImages>>) => loaded.warnings.map(({ code }) => code);
const mean = (values: Iterable<number>) => {
  const all = [...values];
  return all.reduce((sum, one) => sum + one, 0) / all.length;
};

test('files are told apart by their content, not by their names', async () => {
  const paths = [await png(folder, 'a.dcm', 1), await dicom(folder, 'b.png'), await nifti(folder, 'c.jpg', 1)];
  const zipped = join(folder, 'd.bin');
  await writeFile(zipped, gzipSync(await readFile(await nifti(folder, 'd.nii', 1))));
  const { images, modalities } = await loadImages([...paths, zipped], rules);
  expect(images.map(({ file, facts, place }) => [file, facts?.modality ?? null, place])).toEqual([
    ['a.dcm', null, null],
    ['b.png', 'CT', null],
    ['c.jpg', null, null],
    ['d.bin', null, null],
  ]);
  expect(modalities).toEqual(['CT']);
});

describe('of a stack', () => {
  test('as many are shown as there are places beside the others, evenly spaced, and it is said', async () => {
    const paths = [await png(folder, 'one.png', 1), await nifti(folder, 'nine.nii', 9), await dicom(folder, 'six.dcm', 6)];
    const loaded = await loadImages(paths, { ...rules, maxImages: 5 });
    expect(places(loaded)).toEqual([null, 'slice 3 of 9', 'slice 7 of 9', 'frame 2', 'frame 5']);
    expect(loaded.warnings.filter(({ code }) => code === 'images-dropped').map(({ message }) => message)).toEqual([
      'nine.nii: 2 of 9 slices were shown (3, 7).',
      'six.dcm: 2 of 6 frames were shown (2, 5).',
    ]);
  });

  test('all are shown where there is room', async () => {
    const loaded = await loadImages([await dicom(folder, 'three.dcm', 3)], rules);
    expect([places(loaded), codes(loaded)]).toEqual([['frame 1', 'frame 2', 'frame 3'], []]);
  });

  test('those are shown that are asked for, by number or by how many', async () => {
    const path = await nifti(folder, 'ten.nii', 10);
    expect(places(await loadImages([path], { ...rules, frames: [9, 2] }))).toEqual(['slice 9 of 10', 'slice 2 of 10']);
    expect(places(await loadImages([path], { ...rules, slices: 1 }))).toEqual(['slice 6 of 10']);
    await expect(loadImages([path], { ...rules, frames: [11] })).rejects.toMatchObject({ code: 'pixel-missing' });
    await expect(loadImages([path], { ...rules, slices: 5 })).rejects.toMatchObject({ code: 'too-many-images' });
  });

  test('a folder is a series in the order of its places; a gap refuses it, and single ones can still be asked for', async () => {
    const loaded = await loadImages([await series(folder, 'series', [0, 5, 10])], rules);
    expect(places(loaded)).toEqual(['slice 1 of 3', 'slice 2 of 3', 'slice 3 of 3']);
    expect(loaded.images.map(({ ref }) => ref.instance)).toEqual(['2.25.33', '2.25.32', '2.25.31']);
    const gap = await series(folder, 'gap', [0, 5, 15, 20]);
    await expect(loadImages([gap], rules)).rejects.toMatchObject({
      code: 'series-missing-slice',
      hint: expect.stringContaining('--frame'),
    });
    expect((await loadImages([gap], { ...rules, frames: [2] })).images).toHaveLength(1);
  });

  test('a folder with other files says so; one without a series is refused', async () => {
    const mixed = await series(folder, 'mixed', [0, 5]);
    await writeFile(join(mixed, 'notes.txt'), 'n');
    expect(codes(await loadImages([mixed], rules))).toEqual(['files-left-out']);
    await mkdir(join(folder, 'empty'));
    await expect(loadImages([join(folder, 'empty')], rules)).rejects.toMatchObject({ code: 'request-malformed' });
  });
});

describe('a model that takes volumes', () => {
  const volumes = { ...rules, takesVolumes: true };

  test('gets a NIfTI file and a regular series as one each', async () => {
    const loaded = await loadImages([await nifti(folder, 'whole.nii', 9), await series(folder, 'regular', [10, 5, 0])], volumes);
    expect(places(loaded)).toEqual(['volume of 9 slices', 'volume of 3 slices']);
    const [first, second] = loaded.images.map(({ part }) => (part.kind === 'volume' ? part.volume : null));
    expect([first?.depth, second?.depth, second?.width]).toEqual([9, 3, 16]);
    // Stored values of NIfTI, displayed ones of DICOM: feet first, so the last file comes first.
    expect(Math.min(...(first?.values ?? []))).toBe(-1000);
    expect(Math.max(...(second?.values ?? []))).toBe(255);
    expect(codes(loaded)).toEqual(['window-guessed']);
  });

  test('gets pictures where slices are asked for, where frames have no places, and of one slice', async () => {
    expect(places(await loadImages([await nifti(folder, 'some.nii', 9)], { ...volumes, slices: 2 }))).toEqual([
      'slice 3 of 9',
      'slice 7 of 9',
    ]);
    expect(places(await loadImages([await dicom(folder, 'cine.dcm', 2)], volumes))).toEqual(['frame 1', 'frame 2']);
    expect(places(await loadImages([await nifti(folder, 'flat.nii', 1)], volumes))).toEqual([null]);
  });

  test('gets values of the window that is asked for', async () => {
    const { images } = await loadImages([await nifti(folder, 'windowed.nii', 3)], { ...volumes, window: { center: 0, width: 100 } });
    const [image] = images;
    if (image?.part.kind !== 'volume') throw new Error('no volume');
    expect([Math.min(...image.part.volume.values), Math.max(...image.part.volume.values)]).toEqual([-50, 50]);
  });
});

describe('grey values', () => {
  const pixelsOf = async (path: string, change: Partial<LoadRules> = {}) => {
    const loaded = await loadImages([path], { ...rules, ...change });
    const part = loaded.images[0]?.part;
    if (part?.kind !== 'image') throw new Error('no picture');
    return { pixels: part.image.pixels, warnings: loaded.warnings };
  };

  test('of NIfTI are scaled by a range that is said when nobody gave it', async () => {
    const guessed = await pixelsOf(await nifti(folder, 'range.nii', 1));
    expect(guessed.warnings).toMatchObject([{ code: 'window-guessed', message: expect.stringContaining('0.5 to 99.5 percentile') }]);
    expect([Math.min(...guessed.pixels), Math.max(...guessed.pixels)]).toEqual([0, 255]);
  });

  test('follow the file’s display range and the window that is asked for, without a word', async () => {
    const path = await nifti(folder, 'said.nii', 1, {
      display: [-1000, 3000],
      values: Array.from({ length: 256 }, (_, i) => (i === 0 ? -1000 : 1000)),
    });
    const said = await pixelsOf(path);
    const asked = await pixelsOf(path, { window: { center: -2000, width: 100 } });
    expect([said.warnings, asked.warnings]).toEqual([[], []]);
    expect([said.pixels[0], said.pixels[1]]).toEqual([0, 128]);
    expect(Math.min(...asked.pixels)).toBe(255);
  });

  test('of DICOM follow the window that is asked for in place of the file’s', async () => {
    const path = await dicom(folder, 'window.dcm');
    const [own, dark] = [await pixelsOf(path), await pixelsOf(path, { window: { center: 5000, width: 100 } })];
    expect(mean(own.pixels)).toBeGreaterThan(50);
    expect(mean(dark.pixels)).toBe(0);
  });

  test('an unknown orientation is said', async () => {
    const { warnings } = await pixelsOf(await nifti(folder, 'nowhere.nii', 1, { sform: { code: 0, rows: [] } }));
    expect(warnings.map(({ code }) => code)).toContain('orientation-unknown');
  });
});

test('what cannot be read is coded', async () => {
  const nan = Array.from({ length: 256 }, (_, i) => (i === 9 ? Number.NaN : i));
  const cases = [
    [await nifti(folder, 'nan.nii', 1, { datatype: 16, bitpix: 32, values: nan }), 'not-finite'],
    [await nifti(folder, 'four.nii', 2, { dim: [16, 16, 1, 2] }), 'pixel-unsupported'],
    [join(folder, 'absent.png'), 'not-found'],
  ] as const;
  for (const [path, code] of cases) await expect(loadImages([path], rules)).rejects.toMatchObject({ code });
  const text = join(folder, 'text.png');
  await writeFile(text, 'no picture');
  await expect(loadImages([text], rules)).rejects.toMatchObject({ code: 'pixel-damaged' });
  const cut = join(folder, 'cut.dcm');
  await writeFile(cut, (await readFile(await dicom(folder, 'uncut.dcm'))).subarray(0, 500));
  await expect(loadImages([cut], rules)).rejects.toMatchObject({ code: 'dicom-truncated', message: expect.stringMatching(/^cut\.dcm: /) });
  const several = [await png(folder, '1.png', 1), await png(folder, '2.png', 2), await png(folder, '3.png', 3)];
  await expect(loadImages(several, { ...rules, maxImages: 2 })).rejects.toMatchObject({ code: 'too-many-images' });
});
