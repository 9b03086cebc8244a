/**
 * One frame as the model and the reader see it: decoded, windowed, 8 bit, with the facts that label it and the warnings that go with it.
 *
 * Source: PS3.3 C.11 (display), C.7.6.1 (lossy, burned in), C.8.11.1 (presentation intent), 10.7.1.3 (spacing).
 */
import { type CtWindows, windowsToRgb } from '#domain/ct-windows.ts';
import { type Warning, WetreadError } from '#domain/errors.ts';
import type { Picture } from '#domain/picture.ts';
import { storedFrame } from './decode.ts';
import { applyModality, displayColour, displayGrey } from './display.ts';
import { sideOf, studyFactsOf } from './facts.ts';
import { frameHeader } from './functional-groups.ts';
import type { Header } from './header.ts';
import { coloured, type Palette, paletteOf } from './palette.ts';
import { describePixels } from './pixel-description.ts';
import { type DicomFile, uidsOf } from './read.ts';
import type { StoredFrame } from './stored.ts';
import { askedWindow, chooseWindow, isHounsfield, modalityOf, paddingOf } from './window.ts';

export interface PictureOptions {
  /** 1-based; null = the only frame, or the first of several. */
  readonly frame: number | null;
  /** In place of the file's own window, in units after the modality step; grey only. */
  readonly window?: { readonly center: number; readonly width: number };
  /** Show CT in colour, one window per channel, unless `window` is given; absent = in grey, in one window. */
  readonly ctWindows?: CtWindows | undefined;
}

/** Objects with pixel data that nobody reads as an image (PS3.4 table B.5-1). */
const noPictures: Readonly<Record<string, string>> = {
  '1.2.840.10008.5.1.4.1.1.481.2': 'RT Dose',
  '1.2.840.10008.5.1.4.1.1.66.4': 'Segmentation',
  '1.2.840.10008.5.1.4.1.1.66.7': 'Label Map Segmentation',
  '1.2.840.10008.5.1.4.1.1.30': 'Parametric Map',
  '1.2.840.10008.5.1.4.1.1.81.1': 'Ophthalmic Thickness Map',
};

/**
 * @throws pixel-unsupported for objects whose pixels are no picture, dicom-uid-invalid when the instance has no identity, and everything that storedFrame throws
 */
export async function pictureOf(file: DicomFile, { frame, window, ctWindows }: PictureOptions): Promise<Picture> {
  const uids = uidsOf(file.header);
  const kind = noPictures[uids.sopClass];
  if (kind !== undefined) throw new WetreadError('pixel-unsupported', `${kind}: its values are no picture of the patient`);
  const description = describePixels(file.header);
  const header = frameHeader(file.header, (frame ?? 1) - 1);
  const values = await storedFrame(file, frame ?? 1);
  const stored = description.photometric === 'PALETTE COLOR' ? coloured(values, exactPalette(header, file.transferSyntax)) : values;
  const facts = studyFactsOf(file.header);
  const isGrey = stored.samples === 1;
  const windowed = isGrey && ctWindows !== undefined && window === undefined ? colourOf(header, stored, ctWindows) : null;
  const grey = isGrey && windowed === null ? greyOf(header, stored, description.photometric === 'MONOCHROME1', window) : null;
  return {
    ref: { ...uids, frame: description.frames > 1 ? (frame ?? 1) : null },
    modality: facts.modality,
    width: stored.columns,
    height: stored.rows,
    channels: windowed === null ? stored.samples : 3,
    pixels: windowed ?? grey?.pixels ?? displayColour(stored),
    window: grey?.window ?? null,
    spacingMm: spacingOf(header),
    view: facts.view,
    side: sideOf(header),
    bodyPart: facts.bodyPart,
    date: facts.date,
    seriesNumber: facts.seriesNumber,
    instanceNumber: facts.instanceNumber,
    warnings: [...warningsOf(header, file), ...(grey?.warnings ?? [])],
  };
}

function greyOf(
  header: Header,
  stored: StoredFrame,
  monochrome1: boolean,
  asked: PictureOptions['window'],
): Pick<Picture, 'pixels' | 'window' | 'warnings'> {
  const modality = modalityOf(header);
  const padding = paddingOf(header);
  const {
    voi,
    center,
    width,
    origin,
    warnings = [],
  } = asked === undefined ? chooseWindow(header, stored, modality, padding) : askedWindow(asked.center, asked.width);
  // MONOCHROME1 goes with PresentationLUTShape INVERSE in DX and MG: both say the same once.
  const invert = monochrome1 || header.text('PresentationLUTShape') === 'INVERSE';
  return { pixels: displayGrey(stored, { modality, voi, padding, invert }), window: { center, width, origin }, warnings };
}

/** @throws pixel-unsupported where compression with loss has made other entries of the numbers */
function exactPalette(header: Header, transferSyntax: string): Palette {
  if (!lossySyntaxes.includes(transferSyntax)) return paletteOf(header);
  throw new WetreadError('pixel-unsupported', 'image: found PALETTE COLOR compressed with loss, expected its numbers as they were');
}

/** The file's Hounsfield units in three windows; null where its values are none. Padding is air, as in the authors' training. */
function colourOf(header: Header, { values }: StoredFrame, windows: CtWindows): Uint8Array | null {
  const modality = modalityOf(header);
  if (!isHounsfield(header, modality)) return null;
  return windowsToRgb(
    Float32Array.from(values, (value) => applyModality(modality, value)),
    windows,
  );
}

/** PixelSpacing only: ImagerPixelSpacing is measured at the detector. Zero occurs and means unknown. */
function spacingOf(header: Header): readonly [number, number] | null {
  const [rows, columns] = header.numbers('PixelSpacing');
  return rows !== undefined && columns !== undefined && rows > 0 && columns > 0 ? [rows, columns] : null;
}

/** Lossy by their nature, whatever the header says: JPEG baseline and extended, JPEG-LS near-lossless. */
const lossySyntaxes = ['1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51', '1.2.840.10008.1.2.4.81'];

function warningsOf(header: Header, { transferSyntax, hasOverlay }: DicomFile): readonly Warning[] {
  const warnings: Warning[] = [];
  if (header.text('LossyImageCompression') === '01' || lossySyntaxes.includes(transferSyntax)) {
    const ratio = header.texts('LossyImageCompressionRatio').at(-1);
    warnings.push({ code: 'lossy-compression', message: `The image was compressed with loss${ratio ? `, ratio ${ratio}` : ''}.` });
  }
  if (header.text('BurnedInAnnotation') === 'YES') {
    warnings.push({ code: 'burned-in-annotation', message: 'The image has text burned into its pixels, which may name a person.' });
  }
  if (header.text('PresentationIntentType') === 'FOR PROCESSING') {
    warnings.push({ code: 'for-processing', message: 'The image is raw (FOR PROCESSING), not prepared for reading.' });
  }
  if (hasOverlay) {
    warnings.push({ code: 'overlay-not-drawn', message: 'The image has a graphic overlay, which is not drawn.' });
  }
  return warnings;
}
