/**
 * What gather reads of FHIR R4 resources: only these elements, everything else is kept out of sight.
 *
 * An element of the wrong form is read as absent, not as an error: one broken identifier must not hide a study. What a resource cannot do
 * without (an ImagingStudy without a UID) is decided where it is used. Source: FHIR R4 StructureDefinitions.
 */
import { z } from 'zod';
import type { Code } from '#domain/code.ts';

const text = z.string().trim().min(1).nullable().catch(null).default(null);

function list<T extends z.ZodType>(item: T) {
  // One broken element is left out; its neighbours stay.
  return z
    .array(z.unknown())
    .catch([])
    .default([])
    .transform((items) =>
      items.flatMap((one) => {
        const parsed = item.safeParse(one);
        return parsed.success ? [parsed.data] : [];
      }),
    );
}

function maybe<T extends z.ZodType>(item: T) {
  return item.nullable().catch(null).default(null);
}

const coding = z.object({ system: text, code: text, display: text });
const concept = z.object({ coding: list(coding), text });
const identifier = z.object({ type: maybe(concept), system: text, value: text, use: text });
const reference = z.object({ reference: text, display: text, identifier: maybe(identifier) });
const period = z.object({ start: text, end: text });
const quantity = z.object({ value: maybe(z.number()), unit: text });
const annotation = z.object({ text });

const base = { id: text, contained: list(z.looseObject({ resourceType: z.string() })) };

export const patientForm = z.object({
  resourceType: z.literal('Patient'),
  ...base,
  identifier: list(identifier),
  name: list(z.object({ use: text, family: text, given: list(z.string()), text })),
  gender: text,
  birthDate: text,
});

export const serviceRequestForm = z.object({
  resourceType: z.literal('ServiceRequest'),
  ...base,
  identifier: list(identifier),
  status: text,
  category: list(concept),
  code: maybe(concept),
  orderDetail: list(concept),
  bodySite: list(concept),
  reasonCode: list(concept),
  reasonReference: list(reference),
  performerType: maybe(concept),
  locationCode: list(concept),
  subject: maybe(reference),
  encounter: maybe(reference),
  supportingInfo: list(reference),
  note: list(annotation),
});

const imagingSeries = z.object({
  uid: text,
  modality: maybe(coding),
  description: text,
  bodySite: maybe(coding),
  laterality: maybe(coding),
});

export const imagingStudyForm = z.object({
  resourceType: z.literal('ImagingStudy'),
  ...base,
  identifier: list(identifier),
  status: text,
  modality: list(coding),
  subject: maybe(reference),
  encounter: maybe(reference),
  started: text,
  basedOn: list(reference),
  procedureCode: list(concept),
  description: text,
  series: list(imagingSeries),
});

const attachment = z.object({ contentType: text, data: text });

export const diagnosticReportForm = z.object({
  resourceType: z.literal('DiagnosticReport'),
  ...base,
  meta: maybe(z.object({ profile: list(z.string()) })),
  extension: list(z.object({ url: z.string() })),
  identifier: list(identifier),
  status: text,
  category: list(concept),
  code: maybe(concept),
  subject: maybe(reference),
  effectiveDateTime: text,
  effectivePeriod: maybe(period),
  issued: text,
  basedOn: list(reference),
  imagingStudy: list(reference),
  conclusion: text,
  presentedForm: list(attachment),
  text: maybe(z.object({ div: text })),
});

const status = { clinicalStatus: maybe(concept), verificationStatus: maybe(concept) };

export const historyForms = {
  Condition: z.object({
    resourceType: z.literal('Condition'),
    ...base,
    ...status,
    category: list(concept),
    code: maybe(concept),
    bodySite: list(concept),
    subject: maybe(reference),
    onsetDateTime: text,
    recordedDate: text,
  }),
  AllergyIntolerance: z.object({
    resourceType: z.literal('AllergyIntolerance'),
    ...base,
    ...status,
    code: maybe(concept),
    patient: maybe(reference),
    recordedDate: text,
    reaction: list(z.object({ manifestation: list(concept) })),
  }),
  MedicationRequest: z.object({
    resourceType: z.literal('MedicationRequest'),
    ...base,
    status: text,
    medicationCodeableConcept: maybe(concept),
    medicationReference: maybe(reference),
    subject: maybe(reference),
    authoredOn: text,
  }),
  Medication: z.object({ resourceType: z.literal('Medication'), ...base, code: maybe(concept) }),
  Observation: z.object({
    resourceType: z.literal('Observation'),
    ...base,
    status: text,
    category: list(concept),
    code: maybe(concept),
    subject: maybe(reference),
    effectiveDateTime: text,
    effectivePeriod: maybe(period),
    issued: text,
    valueQuantity: maybe(quantity),
    valueString: text,
    valueCodeableConcept: maybe(concept),
    interpretation: list(concept),
  }),
  Procedure: z.object({
    resourceType: z.literal('Procedure'),
    ...base,
    status: text,
    code: maybe(concept),
    bodySite: list(concept),
    subject: maybe(reference),
    performedDateTime: text,
    performedPeriod: maybe(period),
  }),
} as const;

export type Concept = z.infer<typeof concept>;
export type Reference = z.infer<typeof reference>;
export type ServiceRequest = z.infer<typeof serviceRequestForm>;
export type ImagingStudyResource = z.infer<typeof imagingStudyForm>;
export type DiagnosticReportResource = z.infer<typeof diagnosticReportForm>;
export type ConditionResource = z.infer<typeof historyForms.Condition>;
export type AllergyResource = z.infer<typeof historyForms.AllergyIntolerance>;
export type MedicationRequestResource = z.infer<typeof historyForms.MedicationRequest>;
export type ObservationResource = z.infer<typeof historyForms.Observation>;
export type ProcedureResource = z.infer<typeof historyForms.Procedure>;

/** The resources of one type that could be read, and how many of that type could not. */
export function readAll<T extends z.ZodType>(form: T, type: string, resources: readonly unknown[]): { good: z.infer<T>[]; broken: number } {
  const ofType = resources.filter((one) => typeof one === 'object' && one !== null && 'resourceType' in one && one.resourceType === type);
  const good = ofType.flatMap((one) => {
    const parsed = form.safeParse(one);
    return parsed.success ? [parsed.data] : [];
  });
  return { good, broken: ofType.length - good.length };
}

/** Codings as codes; one without a code is left out. */
export function codesOf(concepts: readonly (Concept | null)[]): readonly Code[] {
  return concepts.flatMap((one) =>
    (one?.coding ?? []).flatMap(({ system, code, display }) =>
      code === null ? [] : [{ system, code, display: display ?? one?.text ?? null }],
    ),
  );
}

/** The words of a concept: its text, else the first display; null = none. */
export function wordsOf(one: Concept | null): string | null {
  return one?.text ?? one?.coding.find(({ display }) => display !== null)?.display ?? null;
}

/** Any of the concept's codes is `code`, whatever its system. */
export function hasCode(one: Concept | null, ...codes: readonly string[]): boolean {
  return one?.coding.some(({ code }) => code !== null && codes.includes(code)) ?? false;
}

/**
 * `Type/id` of a reference that may be versioned; urn:uuid as `Type/uuid` when the type is given; null = logical only, or of another type or
 * server. Whoever reads the resources makes what is absolute and ours relative before (fhir/own-references.ts).
 */
export function relative(one: Reference | null, type: string): string | null {
  const written = one?.reference ?? null;
  if (written === null) return null;
  if (written.startsWith('urn:uuid:')) return `${type}/${written.slice(9)}`;
  const match = new RegExp(`^(${type}/[A-Za-z0-9.-]{1,64})(?:/_history/.*)?$`).exec(written);
  return match?.[1] ?? null;
}

/** False when the reference names anything but this patient, on our server; a logical or absent one cannot tell. */
export function mayBeOf(one: Reference | null, patientId: string): boolean {
  const written = one?.reference ?? null;
  return written === null || relative(one, 'Patient') === `Patient/${patientId}`;
}

/** YYYY-MM-DD of a FHIR date or instant that has a day; null otherwise. */
export function dayOf(date: string | null): string | null {
  return /^\d{4}-\d\d-\d\d/.exec(date ?? '')?.[0] ?? null;
}
