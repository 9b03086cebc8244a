import { describe, expect, it } from 'vitest';
import { pictureOf } from '#dicom/picture.ts';
import { film } from './fixture.ts';

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
    await expect(pictureOf(film({ PhotometricInterpretation: 'PALETTE COLOR' }), { frame: null })).rejects.toMatchObject({
      code: 'pixel-unsupported',
    });
    await expect(pictureOf(film({ Rows: 60000, Columns: 60000 }), { frame: null })).rejects.toMatchObject({ code: 'dicom-too-large' });
    await expect(pictureOf(film({ Rows: 4 }), { frame: null })).rejects.toMatchObject({ code: 'dicom-truncated' });
  });
});
