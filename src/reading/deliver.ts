/**
 * The outbox's two deliveries: the FHIR transaction (or its parts, where there are no transactions) with its Provenance, and the SR. Both may run again after any crash.
 *
 * Identifiers and UIDs come from the draft's key, everything is read back, and what the server changed of it is reported, not hidden.
 */

import type { Bundle, DiagnosticReport } from '@medplum/fhirtypes';
import { type DicomFile, readPart10 } from '#dicom/read.ts';
import { writePart10 } from '#dicom/write.ts';
import type { Dicomweb } from '#dicomweb/client.ts';
import type { Draft } from '#domain/draft.ts';
import { released } from '#domain/draft.ts';
import { codeOf, type ErrorCode, WetreadError } from '#domain/errors.ts';
import type { EntryWritten, FhirClient } from '#fhir/client.ts';
import { ownReference } from '#fhir/own-references.ts';
import type { Readable, Resource } from '#fhir/types.ts';
import { compareDelivered } from '#report/compare.ts';
import { modelUrn, serviceUrn } from '#report/device.ts';
import { draftReport, draftTransaction, reportIdentifier, reportUrn, type WriteOptions } from '#report/diagnostic-report.ts';
import { statementUrn } from '#report/observation.ts';
import { draftProvenance } from '#report/provenance.ts';
import { srDocument } from '#report/sr.ts';
import type { SrHeader } from '#report/sr-header.ts';
import type { Deliver } from '#work/outbox.ts';
import { writeSingly } from './write-singly.ts';

const explicitLittleEndian = '1.2.840.10008.1.2.1';

/** Writes the draft's resources and reads the report back. @throws delivery-conflict when two reports carry the draft's identifier */
export function deliverFhir(client: FhirClient, options: WriteOptions, now: () => Date): Deliver {
  return async (draft) => {
    const transaction = draftTransaction(draft, options);
    const references = await writeAll(client, transaction);
    const report = references.get(reportUrn(draft));
    if (report === undefined) throw new WetreadError('delivery-failed', 'the FHIR server names no DiagnosticReport in its answer');
    await writeProvenance(client, draft, options, references, now);
    const { system, value } = reportIdentifier(draft);
    const isOurs = ({ identifier = [] }: Readable<'DiagnosticReport'>) =>
      identifier.some((one) => one.system === system && one.value === value);
    const found = await client.search('DiagnosticReport', [['identifier', `${system}|${value}`]], { accept: isOurs });
    if (found.hits.length !== 1) {
      throw new WetreadError('delivery-conflict', `found ${found.hits.length} reports with the draft's identifier, expected 1`);
    }
    // Read back as FHIR JSON of the type that was asked for; compareDelivered looks at it member by member.
    const back = found.hits[0] as unknown as DiagnosticReport;
    if (`DiagnosticReport/${back.id}` !== report) {
      throw new WetreadError('fhir-bad-answer', 'the FHIR server named another DiagnosticReport than the one that carries the identifier');
    }
    const differences = compareDelivered(draftReport(draft, options), back, references);
    return {
      report,
      resources: [...references.values()],
      differences: differences.map((difference) => difference.path),
    };
  };
}

/** What a server without transactions may answer to one. */
const notTaken: ReadonlySet<ErrorCode> = new Set(['fhir-refused', 'fhir-bad-answer', 'fhir-unauthorised', 'not-found']);

/** One transaction; where the server refuses it and says that it knows none, one resource after the other. */
async function writeAll(client: FhirClient, transaction: Bundle): Promise<Map<string, string>> {
  const entries = transaction.entry ?? [];
  try {
    // A Bundle is a Resource; the two libraries type it apart.
    return referencesOf(entries, await client.transaction(transaction as unknown as Resource));
  } catch (error) {
    if (!notTaken.has(codeOf(error))) throw error;
    const metadata = await client.metadata().catch(() => null);
    if (metadata === null || metadata.transaction) throw error;
    return writeSingly(client, entries);
  }
}

function referencesOf(entries: readonly { readonly fullUrl?: string }[], written: readonly EntryWritten[]): Map<string, string> {
  return new Map(
    entries.flatMap((entry, index) => {
      const reference = written[index]?.reference;
      return entry.fullUrl === undefined || reference === undefined || reference === null ? [] : [[entry.fullUrl, reference] as const];
    }),
  );
}

/** Provenance knows no conditional create: it is searched by its target first, so a second delivery adds none. */
async function writeProvenance(
  client: FhirClient,
  draft: Draft,
  options: WriteOptions,
  references: ReadonlyMap<string, string>,
  now: () => Date,
) {
  const of = (urn: string) => {
    const reference = references.get(urn);
    if (reference === undefined)
      throw new WetreadError('delivery-failed', 'the FHIR server left a resource of the draft unnamed in its answer');
    return reference;
  };
  const report = of(reportUrn(draft));
  const isOurs = ({ target = [] }: Readable<'Provenance'>) =>
    target.some(({ reference }) => reference !== undefined && ownReference(reference, [client.base]) === report);
  const there = await client.search('Provenance', [['target', report]], { accept: isOurs });
  if (there.hits.length > 0) return;
  const provenance = draftProvenance(draft, {
    report,
    statements: released(draft).map((statement) => of(statementUrn(draft, statement))),
    model: of(modelUrn(draft)),
    service: of(serviceUrn(options.serviceVersion)),
    organization: options.organization,
    recordedAt: now().toISOString(),
  });
  await client.create(provenance as unknown as Resource); // as above
}

/** Stores the SR beside the study and reads it back; its header is taken from an image of the study as the PACS holds it. */
export function deliverSr(pacs: Dicomweb, serviceVersion: string): Deliver {
  return async (draft) => {
    const image = draft.images.find((candidate) => candidate.ref.study === draft.subject.study.uid);
    if (image === undefined) throw new WetreadError('reference-unresolved', 'the draft shows no image of the study it is about');
    const source = readPart10(await pacs.readBack(image.ref));
    const document = srDocument(draft, srHeaderOf(source), serviceVersion);
    const bytes = writePart10(document.dataset, {
      sopClass: document.sopClass,
      sopInstance: document.sopInstance,
      transferSyntax: explicitLittleEndian,
    });
    const stored = await pacs.store(bytes);
    return {
      study: stored.uids.study,
      series: stored.uids.series,
      instance: stored.uids.instance,
      equal: stored.equal,
      warnings: [...document.warnings, ...stored.warnings].map((warning) => warning.message),
    };
  };
}

export function srHeaderOf(file: DicomFile): SrHeader {
  const text = (keyword: Parameters<DicomFile['header']['text']>[0]) => file.header.text(keyword);
  return {
    studyInstanceUid: text('StudyInstanceUID'),
    patientName: text('PatientName'),
    patientId: text('PatientID'),
    issuerOfPatientId: text('IssuerOfPatientID'),
    patientBirthDate: text('PatientBirthDate'),
    patientSex: text('PatientSex'),
    studyDate: text('StudyDate'),
    studyTime: text('StudyTime'),
    studyId: text('StudyID'),
    accessionNumber: text('AccessionNumber'),
    referringPhysicianName: text('ReferringPhysicianName'),
    timezoneOffsetFromUtc: text('TimezoneOffsetFromUTC'),
  };
}
