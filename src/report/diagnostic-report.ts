/**
 * The draft as FHIR R4: a transaction of Device, Media, Observation and DiagnosticReport, or the same as actions of a card's suggestion.
 *
 * A draft is `partial` and nobody performs or interprets it before a human signs (a Device may not, in R4). Everything is created only if
 * its identifier is not there yet, so a second delivery changes nothing. Held statements are written nowhere.
 *
 * Source: FHIR R4 DiagnosticReport and http (transaction, conditional create); IHE RAD IMR 1.1.0 (associatedStudy).
 */
import { createHash } from 'node:crypto';
import type { Bundle, BundleEntry, DiagnosticReport, Extension, Media, Observation, Resource } from '@medplum/fhirtypes';
import type { Draft, DraftImage, SupersededDraft } from '#domain/draft.ts';
import { imageKey } from '#domain/study.ts';
import { uuidOf } from '#domain/uid.ts';
import { extension, identifierSystem, profile } from './canonical.ts';
import type { CardAction } from './card.ts';
import { reportCoding } from './codes.ts';
import { modelDevice, modelUrn, serviceDevice, serviceUrn, stampTag } from './device.ts';
import { draftNarrative, draftPage } from './html.ts';
import { mediaOf, mediaUrn, renderedUrl, studyReference } from './media.ts';
import { statementObservation, statementUrn } from './observation.ts';
import { draftProvenance } from './provenance.ts';
import { aiLabel } from './security.ts';
import { citedImage, draftNotice, imageWords, oneLine, studyWords, writableStatements } from './words.ts';

/** What a site adds to a draft when it is written. */
export interface WriteOptions {
  /** DICOMweb root that the readers' browsers reach, for the address of a rendered image; null = none is written. */
  readonly imageRoot: string | null;
  /** `Organization/x` that answers for the draft, null = not configured. */
  readonly organization: string | null;
  /** Version of the wetread service. */
  readonly serviceVersion: string;
}

export function reportUrn(draft: Draft | SupersededDraft): string {
  return `urn:uuid:${uuidOf(`report/${draft.key}`)}`;
}

/** `identifier=system|value` by which the draft's DiagnosticReport is found. */
export function reportIdentifier(draft: Draft | SupersededDraft): { system: string; value: string } {
  return { system: identifierSystem.uri, value: reportUrn(draft) };
}

/**
 * Transaction that writes the draft, without Provenance (see provenance.ts).
 * @throws reference-unresolved when a released statement cites an image that the draft does not have
 */
export function draftTransaction(draft: Draft, options: WriteOptions): Bundle {
  const entries: BundleEntry[] = [
    conditional(serviceUrn(options.serviceVersion), serviceDevice(options.serviceVersion), 0),
    conditional(modelUrn(draft), modelDevice(draft, options.serviceVersion), 0),
    // The second identifier is ours and carries the frame; the SOP Instance UID alone would join two frames.
    ...citedImages(draft).map((image) => conditional(mediaUrn(image.ref), mediaOf(draft, image, options.imageRoot), 1)),
    ...writableStatements(draft).map((statement) => conditional(statementUrn(draft, statement), statementObservation(draft, statement), 0)),
    conditional(reportUrn(draft), draftReport(draft, options), 0),
  ];
  return { resourceType: 'Bundle', type: 'transaction', entry: entries };
}

/**
 * The draft as create actions for a suggestion: temporary ids, references by `Type/id`, Provenance included, since actions know no condition.
 * `recordedAt`: instant of the card.
 */
export function suggestionActions(draft: Draft, options: WriteOptions, recordedAt: string): CardAction[] {
  const transaction = draftTransaction(draft, options).entry ?? [];
  const provenance = draftProvenance(draft, {
    report: reportUrn(draft),
    statements: writableStatements(draft).map((statement) => statementUrn(draft, statement)),
    model: modelUrn(draft),
    service: serviceUrn(options.serviceVersion),
    organization: options.organization,
    recordedAt,
  });
  const entries = [...transaction, { fullUrl: `urn:uuid:${uuidOf(`provenance/${draft.key}`)}`, resource: provenance }];
  const types = new Map(entries.map((entry) => [entry.fullUrl, entry.resource?.resourceType]));
  return entries.flatMap(({ fullUrl, resource }) => {
    if (resource === undefined || fullUrl === undefined) return [];
    const local = withLocalReferences({ ...resource, id: fullUrl.slice('urn:uuid:'.length) }, types);
    return [{ type: 'create' as const, description: `Create ${resource.resourceType} (${draftNotice})`, resource: local }];
  });
}

/** The DiagnosticReport alone; its references are the `urn:uuid:` of the transaction. */
export function draftReport(draft: Draft, options: WriteOptions): DiagnosticReport {
  const { study } = draft.subject;
  const statements = writableStatements(draft);
  const impression = statements.filter((statement) => statement.section === 'impression').map((statement) => oneLine(statement.text));
  const code = reportCoding(draft.reportCode);
  const images = citedImages(draft);
  return {
    resourceType: 'DiagnosticReport',
    meta: { profile: [profile.report], ...aiLabel, ...stampTag(draft) },
    text: draftNarrative(draft),
    extension: reportExtensions(draft),
    identifier: [reportIdentifier(draft)],
    ...(draft.basedOn.length === 0 ? {} : { basedOn: draft.basedOn.map((reference) => ({ reference })) }),
    status: 'partial',
    category: [
      { coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0074', code: 'RAD', display: 'Radiology' }] },
      { coding: [{ system: 'http://loinc.org', code: 'LP29684-5', display: 'Radiology' }] },
    ],
    code: { coding: [code], text: studyWords(study) },
    subject: { reference: `Patient/${draft.patient.id}` },
    ...(draft.encounter === null ? {} : { encounter: { reference: draft.encounter } }),
    // R4 wants a zone behind a time of day and DICOM headers seldom have one, so the date stands alone.
    ...(study.date === null ? {} : { effectiveDateTime: study.date }),
    issued: draft.generatedAt,
    ...(options.organization === null ? {} : { performer: [{ reference: options.organization }] }),
    ...(statements.length === 0 ? {} : { result: statements.map((statement) => ({ reference: statementUrn(draft, statement) })) }),
    imagingStudy: [studyReference(study)],
    ...(images.length === 0 ? {} : { media: images.map((image) => reportMedia(draft, image)) }),
    ...(impression.length === 0 ? {} : { conclusion: impression.join('\n') }),
    presentedForm: [presentedForm(draft, options)],
  };
}

function reportExtensions(draft: Draft): Extension[] {
  const method = draft.attribution.method;
  return [
    { url: extension.draftKey, valueString: draft.key },
    { url: extension.bundleDigest, valueString: draft.model.digest },
    { url: extension.attribution, valueCode: method },
    ...draft.priors.map((prior) => ({ url: extension.associatedStudy, valueReference: studyReference(prior.study) })),
    // By identifier: the earlier report's id is the server's, and it may not be there yet.
    ...draft.supersedes
      .filter(({ written }) => written.includes('fhir'))
      .map((earlier) => ({
        url: extension.replaces,
        valueReference: { type: 'DiagnosticReport' as const, identifier: reportIdentifier(earlier) },
      })),
  ];
}

/** Images that released statements cite, each once, in the draft's order. */
function citedImages(draft: Draft): readonly DraftImage[] {
  const cited = new Set(
    writableStatements(draft).flatMap((statement) =>
      statement.citations.map((citation) => imageKey(citedImage(draft, statement, citation).ref)),
    ),
  );
  const byKey = new Map(draft.images.map((image) => [imageKey(image.ref), image]));
  return [...byKey].filter(([key]) => cited.has(key)).map(([, image]) => image);
}

function reportMedia(draft: Draft, image: DraftImage): NonNullable<DiagnosticReport['media']>[number] {
  const number = draft.images.findIndex((other) => imageKey(other.ref) === imageKey(image.ref)) + 1;
  return { comment: `image ${number}: ${imageWords(image)}`, link: { reference: mediaUrn(image.ref) } };
}

function presentedForm(draft: Draft, options: WriteOptions): NonNullable<DiagnosticReport['presentedForm']>[number] {
  const bytes = Buffer.from(
    draftPage(draft, (image) => renderedUrl(options.imageRoot, image.ref)),
    'utf8',
  );
  return {
    contentType: 'text/html',
    language: 'en',
    data: bytes.toString('base64'),
    size: bytes.length,
    // SHA-1 is what R4 Attachment.hash means; it guards nothing here.
    hash: createHash('sha1').update(bytes).digest('base64'),
    title: `${draftNotice}: ${studyWords(draft.subject.study)}`,
    creation: draft.generatedAt,
  };
}

/** An entry created only if no resource has its identifier number `which`. */
function conditional(
  fullUrl: string,
  resource: (Media | Observation | DiagnosticReport | ReturnType<typeof modelDevice>) & Resource,
  which: number,
): BundleEntry {
  const identifier = resource.identifier?.[which];
  return {
    fullUrl,
    resource,
    request: {
      method: 'POST',
      url: resource.resourceType,
      ifNoneExist: `identifier=${encodeURIComponent(`${identifier?.system}|${identifier?.value}`)}`,
    },
  };
}

function withLocalReferences(value: object, types: ReadonlyMap<string | undefined, string | undefined>): object {
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === 'reference' ? localReference(member, types) : localMember(member, types),
    ]),
  );
}

function localMember(member: unknown, types: ReadonlyMap<string | undefined, string | undefined>): unknown {
  if (Array.isArray(member)) return member.map((item) => localMember(item, types));
  return typeof member === 'object' && member !== null ? withLocalReferences(member, types) : member;
}

function localReference(reference: unknown, types: ReadonlyMap<string | undefined, string | undefined>): unknown {
  if (typeof reference !== 'string' || !types.has(reference)) return reference;
  return `${types.get(reference)}/${reference.slice('urn:uuid:'.length)}`;
}
