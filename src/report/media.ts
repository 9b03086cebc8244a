/**
 * FHIR Media: one per cited image, since R4 has no ImagingSelection and servers index Media by identifier.
 *
 * It says nothing about the draft, so that two drafts that cite one image share it. The SOP Instance UID is its first identifier; the
 * second, ours, carries the frame, so that two frames of one object do not collide. Series and instance have no element: own extension.
 *
 * Source: FHIR R4 Media; PS3.18 10.4.1 (rendered resources).
 */
import type { Extension, ImagingStudy, Media, Reference } from '@medplum/fhirtypes';
import type { Draft, DraftImage } from '#domain/draft.ts';
import type { ImageRef, Study } from '#domain/study.ts';
import { imageKey } from '#domain/study.ts';
import { uuidOf } from '#domain/uid.ts';
import { extension, identifierSystem, profile } from './canonical.ts';
import { modalityCoding } from './codes.ts';
import { narrative } from './html.ts';
import { imageWords } from './words.ts';

export function mediaUrn(ref: ImageRef): string {
  return `urn:uuid:${uuidOf(`media/${imageKey(ref)}`)}`;
}

/**
 * Address of the rendered frame on a DICOMweb root that the reader's browser reaches; null when the site has none. Never holds a token.
 * A single-frame object is rendered as an instance, a frame of a multi-frame one by its number.
 */
export function renderedUrl(root: string | null, ref: ImageRef): string | null {
  if (root === null) return null;
  const frame = ref.frame === null ? '' : `/frames/${ref.frame}`;
  return `${root.replace(/\/+$/, '')}/studies/${ref.study}/series/${ref.series}/instances/${ref.instance}${frame}/rendered`;
}

/** Reference to the study on the FHIR server, or by its UID where the server has no ImagingStudy of it. */
export function studyReference(study: Study): Reference<ImagingStudy> {
  if (study.imagingStudy !== null) return { reference: study.imagingStudy };
  return { type: 'ImagingStudy', identifier: { system: identifierSystem.dicom, value: `urn:oid:${study.uid}` } };
}

/** Where an image stands: study, series, instance and frame, as PS3.3 names them. */
export function locationParts(ref: ImageRef): Extension[] {
  return [
    { url: 'study', valueId: ref.study },
    { url: 'series', valueId: ref.series },
    { url: 'instance', valueId: ref.instance },
    ...(ref.frame === null ? [] : [{ url: 'frame', valuePositiveInt: ref.frame }]),
  ];
}

/** `root`: public DICOMweb root or null, see `renderedUrl`. */
export function mediaOf(draft: Draft, image: DraftImage, root: string | null): Media {
  const modality = modalityCoding(image.modality);
  const study = [draft.subject, ...draft.priors].find((ranked) => ranked.study.uid === image.ref.study)?.study;
  const url = renderedUrl(root, image.ref);
  return {
    resourceType: 'Media',
    meta: { profile: [profile.image] },
    text: narrative([imageWords({ ...image, prior: false })]),
    extension: [{ url: extension.imageLocation, extension: locationParts(image.ref) }],
    identifier: [
      { system: identifierSystem.dicom, value: `urn:oid:${image.ref.instance}` },
      { system: identifierSystem.image, value: imageKey(image.ref) },
    ],
    ...(study === undefined ? {} : { partOf: [studyReference(study)] }),
    status: 'completed',
    type: { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/media-type', code: 'image', display: 'Image' }] },
    ...(modality === null ? {} : { modality: { coding: [modality] } }),
    subject: { reference: `Patient/${draft.patient.id}` },
    ...(image.date === null ? {} : { createdDateTime: image.date }),
    height: image.height,
    width: image.width,
    content: { contentType: 'image/jpeg', ...(url === null ? {} : { url }), title: imageWords({ ...image, prior: false }) },
  };
}
