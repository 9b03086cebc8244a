/**
 * The draft as a DICOM Comprehensive SR of template TID 2000, as data; dicom/write.ts encodes it.
 *
 * Each statement is a TEXT with the images it depends on under it, and the same references in words in its text, because viewers show the
 * text and not the references. It is PARTIAL, UNVERIFIED and PRELIMINARY. UIDs come from the draft key, so a retry stores the same object.
 * The DCM codes of headings and elements are read by every viewer; the newer LOINC headings are not.
 *
 * Source: PS3.3 A.35.3, C.17; PS3.16 TID 2000, 1002, 1204, CID 7000 to 7003.
 */
import type { Draft } from '#domain/draft.ts';
import type { Warning } from '#domain/errors.ts';
import type { Section, Statement } from '#domain/statement.ts';
import type { Uid } from '#domain/uid.ts';
import { uidOf } from '#domain/uid.ts';
import type { SrHeader } from './sr-header.ts';
import { cleanHeader } from './sr-header.ts';
import type { ConceptCode, DataSet } from './sr-tree.ts';
import { codeContent, codeItem, containerContent, evidenceSequence, imageContent, textContent, uidContent } from './sr-tree.ts';
import {
  citedImage,
  dependenceWithImages,
  draftNotice,
  heldWords,
  methodLines,
  oneLine,
  sections,
  stampNotice,
  supersedesLines,
  writableStatements,
} from './words.ts';

const comprehensiveSr = '1.2.840.10008.5.1.4.1.1.88.33' as Uid; // a UID of the standard

const title: ConceptCode = ['18748-4', 'LN', 'Diagnostic Imaging Report'];
const language: ConceptCode = ['121049', 'DCM', 'Language of Content Item and Descendants'];
const english: ConceptCode = ['en-US', 'RFC5646', 'English (United States)'];
const observerType: ConceptCode = ['121005', 'DCM', 'Observer Type'];
const device: ConceptCode = ['121007', 'DCM', 'Device'];
const observerUid: ConceptCode = ['121012', 'DCM', 'Device Observer UID'];
const observerName: ConceptCode = ['121013', 'DCM', 'Device Observer Name'];
const observerManufacturer: ConceptCode = ['121014', 'DCM', 'Device Observer Manufacturer'];
const observerModel: ConceptCode = ['121015', 'DCM', 'Device Observer Model Name'];
const observerSerial: ConceptCode = ['121016', 'DCM', 'Device Observer Serial Number'];
const procedures: ConceptCode = ['121064', 'DCM', 'Current Procedure Descriptions'];
const procedure: ConceptCode = ['121065', 'DCM', 'Procedure Description'];
const illustration: ConceptCode = ['121080', 'DCM', 'Best illustration of finding'];

/** Heading and element of each section (CID 7001, 7002). */
const concepts: Readonly<Record<Section, readonly [heading: ConceptCode, element: ConceptCode]>> = {
  findings: [
    ['121070', 'DCM', 'Findings'],
    ['121071', 'DCM', 'Finding'],
  ],
  comparison: [
    ['121068', 'DCM', 'Previous Findings'],
    ['121069', 'DCM', 'Previous Finding'],
  ],
  impression: [
    ['121072', 'DCM', 'Impressions'],
    ['121073', 'DCM', 'Impression'],
  ],
};

/** Series of our reports in a study: far from the numbers that modalities give. */
const seriesNumber = 9001;

export interface SrDocument {
  readonly sopClass: string;
  readonly sopInstance: Uid;
  /** Naturalized: keyword -> value, sequences as arrays. Every type 2 attribute is there. */
  readonly dataset: DataSet;
  /** What of the header was emptied. */
  readonly warnings: readonly Warning[];
}

/** SOP Instance UID of a draft's SR, known before it is made. */
export function srInstanceUid(key: string): Uid {
  return uidOf(`sr/${key}`);
}

function srSeriesUid(key: string): Uid {
  return uidOf(`sr-series/${key}`);
}

/**
 * @throws study-uid-invalid when the header's study UID is not the draft's
 * @throws reference-unresolved when a released statement cites an image that the draft does not have
 */
export function srDocument(draft: Draft, header: SrHeader, serviceVersion: string): SrDocument {
  const clean = cleanHeader(header, draft.subject.study.uid);
  const sopInstance = srInstanceUid(draft.key);
  const [date, time] = contentTime(draft.generatedAt, clean.offsetMinutes ?? 0);
  const dataset: DataSet = {
    SpecificCharacterSet: 'ISO_IR 192',
    SOPClassUID: comprehensiveSr,
    SOPInstanceUID: sopInstance,
    ...clean.attributes,
    StudyInstanceUID: clean.studyUid,
    Modality: 'SR',
    SeriesInstanceUID: srSeriesUid(draft.key),
    SeriesNumber: seriesNumber,
    SeriesDescription: draft.model.stamped === 'test' ? `${draftNotice} (TEST MODEL)` : draftNotice,
    ReferencedPerformedProcedureStepSequence: [],
    Manufacturer: 'wetread',
    ManufacturerModelName: 'wetread',
    SoftwareVersions: serviceVersion,
    InstanceNumber: 1,
    ContentDate: date,
    ContentTime: time,
    CompletionFlag: 'PARTIAL',
    CompletionFlagDescription: draftNotice,
    VerificationFlag: 'UNVERIFIED',
    PreliminaryFlag: 'PRELIMINARY',
    PerformedProcedureCodeSequence: [],
    ...requestSequence(draft, clean.studyUid, clean.attributes.AccessionNumber ?? ''),
    ...evidence(draft),
    ...predecessors(draft),
    ValueType: 'CONTAINER',
    ConceptNameCodeSequence: [codeItem(title)],
    ContinuityOfContent: 'SEPARATE',
    ContentTemplateSequence: [{ MappingResource: 'DCMR', TemplateIdentifier: '2000' }],
    ContentSequence: [
      codeContent('HAS CONCEPT MOD', language, english),
      ...observer(draft),
      ...sections.flatMap((section) => sectionContent(draft, section)),
      containerContent(
        procedures,
        procedureLines(draft).map((line) => textContent('CONTAINS', procedure, line)),
      ),
    ],
  };
  return { sopClass: comprehensiveSr, sopInstance, dataset, warnings: clean.warnings };
}

/** A statement as the SR writes it: the sentence, then in brackets its dependence with series and instance numbers. */
export function statementText(draft: Draft, statement: Statement): string {
  return `${oneLine(statement.text)} [${dependenceWithImages(draft, statement)}]`;
}

function observer(draft: Draft): readonly DataSet[] {
  const { model } = draft;
  const texts: readonly (readonly [ConceptCode, string])[] = [
    [observerName, model.name],
    [observerManufacturer, model.manufacturer ?? ''],
    [observerModel, model.bundle],
    [observerSerial, model.digest],
  ];
  return [
    codeContent('HAS OBS CONTEXT', observerType, device),
    uidContent('HAS OBS CONTEXT', observerUid, uidOf(`model/${model.digest}`)),
    ...texts.filter(([, text]) => oneLine(text) !== '').map(([concept, text]) => textContent('HAS OBS CONTEXT', concept, text)),
  ];
}

function sectionContent(draft: Draft, section: Section): readonly DataSet[] {
  const [heading, element] = concepts[section];
  const statements = writableStatements(draft).filter((statement) => statement.section === section);
  if (statements.length === 0) return [];
  const texts = statements.map((statement) =>
    textContent(
      'CONTAINS',
      element,
      statementText(draft, statement),
      statement.citations.map((citation) => imageContent(illustration, citedImage(draft, statement, citation).ref)),
    ),
  );
  return [containerContent(heading, texts)];
}

/** The notice, the stamp, how attribution was run and what it does not mean, who wrote it. */
function procedureLines(draft: Draft): readonly string[] {
  const held = heldWords(draft);
  return [
    `${draftNotice}.`,
    ...(draft.model.stamped === 'test' ? [stampNotice] : []),
    ...methodLines(draft),
    ...supersedesLines(draft),
    ...(held === null ? [] : [held]),
    ...draft.warnings.map((warning) => `Warning: ${warning.message}`),
  ].filter((line) => oneLine(line) !== '');
}

/** Images of the drafted study are current evidence, those of any other study pertinent other evidence. */
function evidence(draft: Draft): DataSet {
  const refs = draft.images.map((image) => image.ref);
  const current = evidenceSequence(refs.filter((ref) => ref.study === draft.subject.study.uid));
  const other = evidenceSequence(refs.filter((ref) => ref.study !== draft.subject.study.uid));
  return {
    ...(current.length === 0 ? {} : { CurrentRequestedProcedureEvidenceSequence: current }),
    ...(other.length === 0 ? {} : { PertinentOtherEvidenceSequence: other }),
  };
}

/** SRs of drafts that this one supersedes, where they were stored. */
function predecessors(draft: Draft): DataSet {
  const { uid: study } = draft.subject.study;
  const refs = draft.supersedes
    .filter(({ written }) => written.includes('pacs'))
    .map(({ key }) => ({ study, series: srSeriesUid(key), instance: srInstanceUid(key), sopClass: comprehensiveSr, frame: null }));
  return refs.length === 0 ? {} : { PredecessorDocumentsSequence: evidenceSequence(refs) };
}

/** Only when the draft answers an order. What we do not know of it stays empty (all type 2). */
function requestSequence(draft: Draft, studyUid: Uid, accession: string): DataSet {
  if (draft.basedOn.length === 0) return {};
  return {
    ReferencedRequestSequence: [
      {
        StudyInstanceUID: studyUid,
        ReferencedStudySequence: [],
        AccessionNumber: accession,
        PlacerOrderNumberImagingServiceRequest: '',
        FillerOrderNumberImagingServiceRequest: '',
        RequestedProcedureID: '',
        RequestedProcedureDescription: '',
        RequestedProcedureCodeSequence: [],
      },
    ],
  };
}

/** Date and time of an instant in the zone of the study's other times; UTC where the study names none. */
function contentTime(instant: string, offsetMinutes: number): readonly [date: string, time: string] {
  const local = new Date(Date.parse(instant) + offsetMinutes * 60_000).toISOString();
  return [local.slice(0, 10).replaceAll('-', ''), local.slice(11, 19).replaceAll(':', '')];
}
