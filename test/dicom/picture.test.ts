import { readdirSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { pictureOf } from '#dicom/picture.ts';
import { readPart10 } from '#dicom/read.ts';
import { renderPicture } from '#dicom/rendered.ts';
import { codeOf } from '#domain/errors.ts';
import { available, sharedPath } from '../setup/require.ts';
import { film, filmBytes } from './fixture.ts';
import { readShared } from './manifest.ts';

describe('pictureOf', () => {
  it('labels the picture with what the header says and windows by the whole range when the file has no window', async () => {
    const picture = await pictureOf(film(), { frame: null });
    expect(picture).toMatchObject({
      ref: { study: '2.25.1', series: '2.25.2', instance: '2.25.3', frame: null },
      modality: 'DX',
      width: 4,
      height: 3,
      channels: 1,
      view: 'PA',
      bodyPart: 'CHEST',
      date: '2026-01-02',
      seriesNumber: 2,
      instanceNumber: 7,
      spacingMm: null,
      warnings: [],
      window: { center: 1650, width: 3300, origin: 'no window in the file, lowest to highest value' },
    });
    expect([...picture.pixels]).toEqual([0, 23, 46, 70, 93, 116, 139, 162, 185, 209, 232, 255]);
  });

  it('shows MONOCHROME1 with the lowest value white', async () => {
    const picture = await pictureOf(film({ PhotometricInterpretation: 'MONOCHROME1', PresentationLUTShape: 'INVERSE' }), { frame: null });
    expect([picture.pixels[0], picture.pixels[11]]).toEqual([255, 0]);
  });

  it('takes the first of several windows and says so', async () => {
    const picture = await pictureOf(
      film({ WindowCenter: [600, 40], WindowWidth: [1201, 400], WindowCenterWidthExplanation: ['LUNG', 'SOFT'] }),
      {
        frame: null,
      },
    );
    expect(picture.window).toEqual({ center: 600, width: 1201, origin: 'first of 2 windows of the file (LUNG)' });
    expect([...picture.pixels.slice(0, 5)]).toEqual([0, 64, 128, 191, 255]);
  });

  it('warns of loss, of text in the pixels and of raw data', async () => {
    const file = film({
      LossyImageCompression: '01',
      LossyImageCompressionRatio: '12.5',
      BurnedInAnnotation: 'YES',
      PresentationIntentType: 'FOR PROCESSING',
    });
    const picture = await pictureOf(file, { frame: null });
    expect(picture.warnings.map(({ code }) => code)).toEqual(['lossy-compression', 'burned-in-annotation', 'for-processing']);
  });

  it('shows CT in three windows where that is wanted, whatever window the file has', async () => {
    const ctWindows = [
      [-1024, 1024],
      [-135, 215],
      [0, 80],
    ] as const;
    const header = { Modality: 'CT', RescaleIntercept: -1024, RescaleSlope: 1, WindowCenter: 40, WindowWidth: 400 };
    const grey = await pictureOf(film(header), { frame: null });
    const { channels, pixels, window } = await pictureOf(film(header), { frame: null, ctWindows });
    expect([grey.channels, channels, window]).toEqual([1, 3, null]);
    // The film's values are 0, 300, .. 3300: -1024, -724, -424, -124, 176 HU and on.
    expect([...pixels.slice(0, 15)]).toEqual([0, 0, 0, 37, 0, 0, 75, 0, 0, 112, 8, 0, 149, 227, 255]);
    const other = await pictureOf(film({ ...header, RescaleType: 'US' }), { frame: null, ctWindows });
    expect(other).toMatchObject({ channels: 1, pixels: grey.pixels });
    expect(await pictureOf(film(), { frame: null, ctWindows })).toMatchObject({ channels: 1 });
  });

  it('warns of an overlay in any group 60xx, in bits of its own or above the pixels', async () => {
    const word = (group: number, element: number, value: number): Buffer => {
      const bytes = Buffer.from([0, 0, 0, 0, 0x55, 0x53, 2, 0, 0, 0]);
      [group, element].forEach((part, i) => {
        bytes.writeUInt16LE(part, i * 2);
      });
      bytes.writeUInt16LE(value, 8);
      return bytes;
    };
    for (const [group, expected] of [
      [0x6000, ['overlay-not-drawn']],
      [0x601e, ['overlay-not-drawn']],
      [0x6020, []],
      [0x6001, []],
    ] as const) {
      const file = readPart10(Buffer.concat([filmBytes(), word(group, 0x10, 3), word(group, 0x102, 12)]));
      const { warnings } = await pictureOf(file, { frame: null });
      expect([group, warnings.map(({ code }) => code)]).toEqual([group, expected]);
    }
  });

  it('refuses objects whose pixels are no picture, by name', async () => {
    for (const [SOPClassUID, name] of [
      ['1.2.840.10008.5.1.4.1.1.481.2', 'RT Dose'],
      ['1.2.840.10008.5.1.4.1.1.66.4', 'Segmentation'],
      ['1.2.840.10008.5.1.4.1.1.66.7', 'Label Map Segmentation'],
      ['1.2.840.10008.5.1.4.1.1.30', 'Parametric Map'],
    ] as const) {
      await expect(pictureOf(film({ SOPClassUID }), { frame: null })).rejects.toMatchObject({
        code: 'pixel-unsupported',
        message: expect.stringContaining(name),
      });
    }
  });

  it('takes zero spacing and detector spacing as unknown', async () => {
    expect((await pictureOf(film({ PixelSpacing: [0, 0], ImagerPixelSpacing: [0.1, 0.1] }), { frame: null })).spacingMm).toBeNull();
    expect((await pictureOf(film({ PixelSpacing: [0.5, 0.25] }), { frame: null })).spacingMm).toEqual([0.5, 0.25]);
  });

  it('refuses an instance whose UIDs are no UIDs', async () => {
    await expect(pictureOf(film({ StudyInstanceUID: '' }), { frame: null })).rejects.toMatchObject({ code: 'dicom-uid-invalid' });
  });

  it('refuses a frame that the object does not have', async () => {
    await expect(pictureOf(film(), { frame: 2 })).rejects.toMatchObject({ code: 'pixel-missing' });
  });

  it('refuses by name what it does not read', async () => {
    await expect(pictureOf(film({ PhotometricInterpretation: 'HSV' }), { frame: null })).rejects.toMatchObject({
      code: 'pixel-unsupported',
      message: expect.stringContaining('HSV'),
    });
    await expect(pictureOf(film({ Rows: 60000, Columns: 60000 }), { frame: null })).rejects.toMatchObject({ code: 'dicom-too-large' });
    await expect(pictureOf(film({ Rows: 4 }), { frame: null })).rejects.toMatchObject({ code: 'dicom-truncated' });
  });
});

describe('lookup tables and padding', () => {
  it('applies a modality LUT, then the VOI LUT', async () => {
    const modality = {
      LUTDescriptor: [3, 600, 16],
      ModalityLUTType: 'US',
      LUTData: [new Uint16Array([10, 20, 30]).buffer],
      _vrMap: { LUTData: 'OW', LUTDescriptor: 'US' },
    };
    const voi = {
      LUTDescriptor: [21, 10, 8],
      LUTExplanation: 'CURVE',
      LUTData: [new Uint16Array(21).fill(51).fill(255, 20).buffer],
      _vrMap: { LUTData: 'OW', LUTDescriptor: 'US' },
    };
    const picture = await pictureOf(film({ ModalityLUTSequence: [modality], VOILUTSequence: [voi] }), { frame: null });
    expect(picture.window?.origin).toBe('VOI LUT of the file (CURVE)');
    // 0 and 300 take the first entry, 600 is it; every later value lies above the table and takes the last.
    expect([...picture.pixels]).toEqual([51, 51, 51, ...Array<number>(9).fill(255)]);
  });

  it('leaves padding out of the statistics and shows it black', async () => {
    const picture = await pictureOf(
      film({
        PixelPaddingValue: 0,
        PixelPaddingRangeLimit: 600,
        PhotometricInterpretation: 'MONOCHROME1',
        _vrMap: { PixelData: 'OW', PixelPaddingValue: 'US', PixelPaddingRangeLimit: 'US' },
      }),
      {
        frame: null,
      },
    );
    expect(picture.window).toMatchObject({ center: (900 + 3300) / 2, width: 2400 });
    expect([...picture.pixels.slice(0, 4)]).toEqual([0, 0, 0, 255]);
  });

  it('refuses a LUT that is shorter than it says', async () => {
    const broken = { LUTDescriptor: [300, 0, 8], LUTData: [new Uint8Array(4).buffer], _vrMap: { LUTData: 'OW', LUTDescriptor: 'US' } };
    await expect(pictureOf(film({ ModalityLUTSequence: [broken] }), { frame: null })).rejects.toMatchObject({ code: 'dicom-malformed' });
  });
});

describe('several frames', () => {
  const two = { NumberOfFrames: '2', Rows: 3, Columns: 2 };

  it('takes each frame by its number, and the first where none is said', async () => {
    const [first, second] = await Promise.all([pictureOf(film(two), { frame: null }), pictureOf(film(two), { frame: 2 })]);
    expect([first.ref.frame, second.ref.frame]).toEqual([1, 2]);
    expect([first.window?.center, second.window?.center]).toEqual([750, 2550]);
  });

  it('windows an enhanced object by the functional groups of the frame', async () => {
    const group = (center: number): object => ({ FrameVOILUTSequence: [{ WindowCenter: center, WindowWidth: 100 }] });
    const shared = [{ PixelMeasuresSequence: [{ PixelSpacing: [0.5, 0.5] }] }];
    const file = film({ ...two, PerFrameFunctionalGroupsSequence: [group(50), group(70)], SharedFunctionalGroupsSequence: shared });
    const picture = await pictureOf(file, { frame: 2 });
    expect([picture.window?.center, picture.spacingMm]).toEqual([70, [0.5, 0.5]]);
    const short = film({ ...two, PerFrameFunctionalGroupsSequence: [group(50)], SharedFunctionalGroupsSequence: shared });
    await expect(pictureOf(short, { frame: 1 })).rejects.toMatchObject({ code: 'dicom-malformed' });
  });
});

describe('CT without a window', () => {
  it.each([
    ['CHEST', 'LUNG 1.0', 'lung', -600],
    ['HEAD', 'ROUTINE', 'brain', 40],
    ['SPINE', 'ROUTINE', 'bone', 400],
    ['ABDOMEN', 'PORTAL', 'mediastinum', 40],
  ])('%s, %s is shown in the %s window', async (BodyPartExamined, SeriesDescription, region, center) => {
    const file = film({ Modality: 'CT', RescaleIntercept: -1024, RescaleSlope: 1, RescaleType: 'HU', BodyPartExamined, SeriesDescription });
    const { window, warnings } = await pictureOf(file, { frame: null });
    expect(window).toMatchObject({ center, origin: `no window in the file, CT ${region} window` });
    expect(warnings).toMatchObject([{ code: 'window-assumed', message: expect.stringContaining(`CT ${region} window`) }]);
    expect(warnings[0]?.message.includes('lung among it')).toBe(region !== 'lung');
    expect((await pictureOf(file, { frame: null, window: { center: 40, width: 400 } })).warnings).toEqual([]);
  });

  it('is shown by its values when they are no Hounsfield units', async () => {
    const file = film({ Modality: 'CT', RescaleIntercept: 0, RescaleSlope: 1, RescaleType: 'US' });
    expect((await pictureOf(file, { frame: null })).window?.origin).toContain('lowest to highest value');
  });
});

describe('renderPicture', () => {
  it('writes a PNG that holds the same pixels, grey as one channel', async () => {
    const picture = await pictureOf(film(), { frame: null });
    const png = sharp(await renderPicture(picture, 'image/png'));
    expect(await png.metadata()).toMatchObject({ format: 'png', width: 4, height: 3, channels: 1 });
    expect([...(await png.extractChannel(0).raw().toBuffer())]).toEqual([...picture.pixels]);
    expect((await sharp(await renderPicture(picture, 'image/jpeg')).metadata()).format).toBe('jpeg');
  });
});

describe.skipIf(!available('shared'))('pictureOf on the reference images', () => {
  it.each([
    ['ct-abdomen/10', 'first of 2 windows of the file (WINDOW1)'],
    ['ct-head-tilt/13', 'window of the file'],
    ['mr-hitachi/002', 'no window in the file, 0.5 to 99.5 percentile'],
    ['one-slice/jpeg2000', 'no window in the file, CT mediastinum window'],
    ['lut/vlut_04', 'VOI LUT of the file'],
    ['lut/mlut_18', 'no window in the file, lowest to highest value'],
    ['enhanced/mr-siemens-8f', 'window of the file'],
    ['dx-canine/dx_image', 'window of the file'],
  ])('%s: %s', async (path, origin) => {
    const picture = await pictureOf(readShared(`dicom/${path}.dcm`), { frame: null });
    expect(picture.window?.origin).toBe(origin);
    expect(new Set(picture.pixels).size).toBeGreaterThan(20);
  });

  it('shows the same test pattern through a modality LUT and a VOI LUT', async () => {
    const [a, b] = await Promise.all(['mlut_18', 'vlut_04'].map((name) => pictureOf(readShared(`dicom/lut/${name}.dcm`), { frame: null })));
    const difference = a?.pixels.reduce((sum, value, i) => sum + Math.abs(value - (b?.pixels[i] ?? 0)), 0) ?? Number.NaN;
    expect(difference / (a?.pixels.length ?? 0)).toBeLessThan(8);
  });

  it('says what is not drawn and what was lost', async () => {
    const codes = async (path: string): Promise<string[]> =>
      (await pictureOf(readShared(`dicom/${path}.dcm`), { frame: null })).warnings.map(({ code }) => code);
    expect(await codes('mr-overlay/MR-SIEMENS-DICOM-WithOverlays')).toEqual(['overlay-not-drawn']);
    expect(await codes('ct-neck-syntaxes/jpeglslossy')).toEqual(['lossy-compression']);
  });

  it('refuses every file of broken/ and non-image/ with a code', async () => {
    const found = new Map<string, string>();
    const files = ['broken', 'non-image'].flatMap((folder) =>
      readdirSync(sharedPath('data/dicom', folder)).map((name) => `${folder}/${name}`),
    );
    expect(files.length).toBeGreaterThanOrEqual(12);
    for (const path of files) {
      const read = async (): Promise<unknown> => pictureOf(readShared(`dicom/${path}`), { frame: null });
      await read().catch((error: unknown) => found.set(path, codeOf(error)));
    }
    expect([...found.keys()]).toEqual(files);
    expect([...found.values()].filter((code) => !/^(dicom|pixel)-/.test(code))).toEqual([]);
    expect(found.get('non-image/rtdose.dcm')).toBe('pixel-unsupported');
  });

  it('refuses an instance whose UIDs only file meta has', async () => {
    await expect(pictureOf(readShared('dicom/broken/empty-sop-uids.dcm'), { frame: null })).rejects.toMatchObject({
      code: 'dicom-uid-invalid',
    });
  });

  it('a colour ultrasound has three channels and no window', async () => {
    expect(await pictureOf(readShared('dicom/us/US1_J2KR.dcm'), { frame: null })).toMatchObject({
      channels: 3,
      window: null,
      width: 640,
      height: 480,
    });
  });
});
