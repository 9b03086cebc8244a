/**
 * FHIR Observation: one per released statement, preliminary, with the images it depends on.
 *
 * Its identifier is the draft key with the statement's number, so an edited statement stays the same Observation.
 * A Device may not be its performer (R4), so the model stands in `device` and there is no performer until a human signs.
 * `support` is a gain of log-probability and goes into a component, never into a confidence element.
 *
 * Source: FHIR R4 Observation.
 */
import type { Extension, Media, Observation, ObservationComponent, Reference } from '@medplum/fhirtypes';
import type { Draft } from '#domain/draft.ts';
import type { Citation, Dependence, Statement } from '#domain/statement.ts';
import { uuidOf } from '#domain/uid.ts';
import { codeSystem, extension, identifierSystem, profile } from './canonical.ts';
import { sectionCoding } from './codes.ts';
import { modelUrn, stampTag } from './device.ts';
import { narrative } from './html.ts';
import { locationParts, mediaUrn, studyReference } from './media.ts';
import { aiLabel } from './security.ts';
import { citedImage, dependenceWithImages, draftNotice, imageWords, oneLine, sectionTitle } from './words.ts';

export function statementUrn(draft: Draft, statement: Statement): string {
  return `urn:uuid:${uuidOf(`statement/${draft.key}/${statement.number}`)}`;
}

const dependenceDisplay: Readonly<Record<Dependence, string>> = {
  depends: 'Depends on the cited images',
  'depends-on-none': 'Depends on no image',
  'cannot-be-tested': 'Cannot be tested by removal',
  'not-attributed': 'Not attributed',
};

/** @throws reference-unresolved */
export function statementObservation(draft: Draft, statement: Statement): Observation {
  const { study } = draft.subject;
  const words = dependenceWithImages(draft, statement);
  return {
    resourceType: 'Observation',
    meta: { profile: [profile.statement], ...aiLabel, ...stampTag(draft) },
    text: narrative([draftNotice, statement.text, words]),
    identifier: [{ system: identifierSystem.uri, value: statementUrn(draft, statement) }],
    ...(draft.basedOn.length === 0 ? {} : { basedOn: draft.basedOn.map((reference) => ({ reference })) }),
    partOf: [studyReference(study)],
    status: 'preliminary',
    category: [
      {
        coding: [{ system: 'http://terminology.hl7.org/CodeSystem/observation-category', code: 'imaging', display: 'Imaging' }],
      },
    ],
    code: { coding: [sectionCoding(statement.section)], text: sectionTitle[statement.section] },
    subject: { reference: `Patient/${draft.patient.id}` },
    ...(draft.encounter === null ? {} : { encounter: { reference: draft.encounter } }),
    ...(study.date === null ? {} : { effectiveDateTime: study.date }),
    issued: draft.generatedAt,
    valueString: oneLine(statement.text),
    note: [{ text: `${draftNotice}: ${words}.` }],
    device: { reference: modelUrn(draft) },
    derivedFrom: [studyReference(study), ...statement.citations.map((citation) => evidenceReference(draft, statement, citation))],
    component: components(statement),
  };
}

/** Six decimals: a model's number says no more, and validators doubt a decimal of eighteen digits. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

function evidenceReference(draft: Draft, statement: Statement, citation: Citation): Reference<Media> {
  const image = citedImage(draft, statement, citation);
  const parts: Extension[] = [
    { url: 'number', valuePositiveInt: citation.image },
    ...locationParts(citation.ref),
    ...(citation.share === null ? [] : [{ url: 'share', valueDecimal: rounded(citation.share) }]),
    ...draft.attribution.nulls.map((name) => ({ url: 'null', valueString: oneLine(name) })),
  ];
  return {
    extension: [{ url: extension.imageEvidence, extension: parts }],
    reference: mediaUrn(citation.ref),
    display: `image ${citation.image}: ${imageWords(image)}`,
  };
}

function components(statement: Statement): ObservationComponent[] {
  const dependence: ObservationComponent = {
    code: { coding: [{ system: codeSystem.component, code: 'dependence', display: 'Dependence on images' }] },
    valueCodeableConcept: {
      coding: [{ system: codeSystem.dependence, code: statement.dependence, display: dependenceDisplay[statement.dependence] }],
    },
  };
  if (statement.support === null) return [dependence];
  return [
    dependence,
    {
      code: { coding: [{ system: codeSystem.component, code: 'support', display: 'Log-probability gained by the images, per token' }] },
      // UCUM has no nat, and an annotation alone is no unit, so the words stand without a code.
      valueQuantity: { value: rounded(statement.support), unit: 'nats per token' },
    },
    {
      code: { coding: [{ system: codeSystem.component, code: 'support-calibrated', display: 'Support is calibrated' }] },
      valueBoolean: statement.calibrated,
    },
  ];
}
