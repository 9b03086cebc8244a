/**
 * One frame as the model and the reader see it: decoded, windowed, 8 bit, with the facts that label it and the warnings that go with it.
 *
 * Source: PS3.3 C.11 (display), C.7.6.1 (lossy, burned in), C.8.11.1 (presentation intent), 10.7.1.3 (spacing).
 */
import type { Warning } from '#domain/errors.ts';
import type { Picture } from '#domain/picture.ts';
import { storedFrame } from './decode.ts';
import { displayColour, displayGrey } from './display.ts';
import { sideOf, studyFactsOf } from './facts.ts';
import { frameHeader } from './functional-groups.ts';
import type { Header } from './header.ts';
import { describePixels } from './pixel-description.ts';
import { type DicomFile, uidsOf } from './read.ts';
import { chooseWindow, modalityOf, paddingOf } from './window.ts';

/**
 * @param frame 1-based; null = the only frame, or the first of several
 * @throws dicom-uid-invalid when the instance has no identity, and everything that storedFrame throws
 */
export async function pictureOf(file: DicomFile, { frame }: { readonly frame: number | null }): Promise<Picture> {
  const uids = uidsOf(file.header);
  const description = describePixels(file.header);
  const header = frameHeader(file.header, (frame ?? 1) - 1);
  const stored = await storedFrame(file, frame ?? 1);
  const facts = studyFactsOf(file.header);
  const grey = stored.samples === 1 ? greyOf(header, stored, description.photometric === 'MONOCHROME1') : null;
  return {
    ref: { ...uids, frame: description.frames > 1 ? (frame ?? 1) : null },
    modality: facts.modality,
    width: stored.columns,
    height: stored.rows,
    channels: stored.samples,
    pixels: grey?.pixels ?? displayColour(stored),
    window: grey?.window ?? null,
    spacingMm: spacingOf(header),
    view: facts.view,
    side: sideOf(header),
    bodyPart: facts.bodyPart,
    date: facts.date,
    seriesNumber: facts.seriesNumber,
    instanceNumber: facts.instanceNumber,
    warnings: warningsOf(header, file.transferSyntax),
  };
}

function greyOf(header: Header, stored: Awaited<ReturnType<typeof storedFrame>>, monochrome1: boolean): Pick<Picture, 'pixels' | 'window'> {
  const modality = modalityOf(header);
  const padding = paddingOf(header);
  const { voi, center, width, origin } = chooseWindow(header, stored, modality, padding);
  // MONOCHROME1 goes with PresentationLUTShape INVERSE in DX and MG: both say the same once.
  const invert = monochrome1 || header.text('PresentationLUTShape') === 'INVERSE';
  return { pixels: displayGrey(stored, { modality, voi, padding, invert }), window: { center, width, origin } };
}

/** PixelSpacing only: ImagerPixelSpacing is measured at the detector. Zero occurs and means unknown. */
function spacingOf(header: Header): readonly [number, number] | null {
  const [rows, columns] = header.numbers('PixelSpacing');
  return rows !== undefined && columns !== undefined && rows > 0 && columns > 0 ? [rows, columns] : null;
}

/** Lossy by their nature, whatever the header says: JPEG baseline and extended, JPEG-LS near-lossless. */
const lossySyntaxes = ['1.2.840.10008.1.2.4.50', '1.2.840.10008.1.2.4.51', '1.2.840.10008.1.2.4.81'];

function warningsOf(header: Header, transferSyntax: string): readonly Warning[] {
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
  if (header.has('OverlayData')) {
    warnings.push({ code: 'overlay-not-drawn', message: 'The image has a graphic overlay, which is not drawn.' });
  }
  return warnings;
}
