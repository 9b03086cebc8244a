/** The picture of a frame for viewers of the sandbox's PACS, by the display rules of #dicom. Never what the model sees. */
import { pictureOf } from '#dicom/picture.ts';
import { renderPicture } from '#dicom/rendered.ts';
import type { Render } from './retrieve.ts';

/** @throws what pictureOf throws */
export const renderFrame: Render = async (file, frame, type) => renderPicture(await pictureOf(file, { frame }), type);
