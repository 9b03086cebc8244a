/**
 * The zod forms of the FHIR R4 resources that wetread reads: the elements it uses, the rest kept as it is.
 *
 * An element of a wrong JSON type makes the resource unusable; an unknown element never does. Code lists stay strings: what a code
 * means is decided where it is used.
 *
 * Source: FHIR R4 (4.0.1) StructureDefinitions; hl7.org/fhir/R4/<type>.html.
 */
import { z } from 'zod';

const strings = z.array(z.string()).optional();
const coding = z.looseObject({ system: z.string().optional(), code: z.string().optional(), display: z.string().optional() });
const concept = z.looseObject({ coding: z.array(coding).optional(), text: z.string().optional() });
const concepts = z.array(concept).optional();
const identifier = z.looseObject({
  use: z.string().optional(),
  type: concept.optional(),
  system: z.string().optional(),
  value: z.string().optional(),
});
const identifiers = z.array(identifier).optional();
const reference = z.looseObject({
  reference: z.string().optional(),
  type: z.string().optional(),
  identifier: identifier.optional(),
  display: z.string().optional(),
});
const references = z.array(reference).optional();
const period = z.looseObject({ start: z.string().optional(), end: z.string().optional() });
const quantity = z.looseObject({ value: z.number().optional(), unit: z.string().optional(), code: z.string().optional() });
const annotation = z.looseObject({ text: z.string() });
const attachment = z.looseObject({
  contentType: z.string().optional(),
  data: z.string().optional(),
  url: z.string().optional(),
  size: z.number().optional(),
  title: z.string().optional(),
});

const meta = z.looseObject({
  versionId: z.string().optional(),
  lastUpdated: z.string().optional(),
  profile: strings,
  security: z.array(coding).optional(),
  tag: z.array(coding).optional(),
});

/** What every resource has. Contained resources are kept as they are. */
const base = {
  id: z.string().optional(),
  meta: meta.optional(),
  contained: z.array(z.looseObject({ resourceType: z.string() })).optional(),
};

function form<T extends string, S extends z.ZodRawShape>(type: T, shape: S) {
  return z.looseObject({ resourceType: z.literal(type), ...base, ...shape });
}

const observed = {
  valueString: z.string().optional(),
  valueQuantity: quantity.optional(),
  valueCodeableConcept: concept.optional(),
  valueBoolean: z.boolean().optional(),
  valueInteger: z.number().optional(),
  dataAbsentReason: concept.optional(),
};

const patient = form('Patient', {
  identifier: identifiers,
  active: z.boolean().optional(),
  name: z
    .array(z.looseObject({ use: z.string().optional(), family: z.string().optional(), given: strings, text: z.string().optional() }))
    .optional(),
  gender: z.string().optional(),
  birthDate: z.string().optional(),
  link: z.array(z.looseObject({ other: reference, type: z.string() })).optional(),
});

const imagingStudy = form('ImagingStudy', {
  identifier: identifiers,
  status: z.string().optional(),
  modality: z.array(coding).optional(),
  subject: reference,
  encounter: reference.optional(),
  started: z.string().optional(),
  basedOn: references,
  endpoint: references,
  numberOfSeries: z.number().optional(),
  numberOfInstances: z.number().optional(),
  procedureCode: concepts,
  reasonCode: concepts,
  description: z.string().optional(),
  series: z
    .array(
      z.looseObject({
        uid: z.string(),
        number: z.number().optional(),
        modality: coding.optional(),
        description: z.string().optional(),
        numberOfInstances: z.number().optional(),
        endpoint: references,
        bodySite: coding.optional(),
        laterality: coding.optional(),
        instance: z.array(z.looseObject({ uid: z.string(), sopClass: coding.optional(), number: z.number().optional() })).optional(),
      }),
    )
    .optional(),
});

const serviceRequest = form('ServiceRequest', {
  identifier: identifiers,
  requisition: identifier.optional(),
  basedOn: references,
  status: z.string().optional(),
  intent: z.string().optional(),
  category: concepts,
  priority: z.string().optional(),
  code: concept.optional(),
  orderDetail: concepts,
  subject: reference.optional(),
  encounter: reference.optional(),
  occurrenceDateTime: z.string().optional(),
  authoredOn: z.string().optional(),
  requester: reference.optional(),
  performerType: concept.optional(),
  locationCode: concepts,
  reasonCode: concepts,
  reasonReference: references,
  bodySite: concepts,
  supportingInfo: references,
  note: z.array(annotation).optional(),
});

const diagnosticReport = form('DiagnosticReport', {
  identifier: identifiers,
  basedOn: references,
  status: z.string(),
  category: concepts,
  code: concept,
  subject: reference.optional(),
  encounter: reference.optional(),
  effectiveDateTime: z.string().optional(),
  effectivePeriod: period.optional(),
  issued: z.string().optional(),
  performer: references,
  resultsInterpreter: references,
  result: references,
  imagingStudy: references,
  media: z.array(z.looseObject({ comment: z.string().optional(), link: reference })).optional(),
  conclusion: z.string().optional(),
  conclusionCode: concepts,
  presentedForm: z.array(attachment).optional(),
});

const condition = form('Condition', {
  clinicalStatus: concept.optional(),
  verificationStatus: concept.optional(),
  category: concepts,
  severity: concept.optional(),
  code: concept.optional(),
  bodySite: concepts,
  subject: reference,
  encounter: reference.optional(),
  onsetDateTime: z.string().optional(),
  onsetString: z.string().optional(),
  onsetPeriod: period.optional(),
  abatementDateTime: z.string().optional(),
  recordedDate: z.string().optional(),
});

const medicationRequest = form('MedicationRequest', {
  status: z.string().optional(),
  intent: z.string().optional(),
  medicationCodeableConcept: concept.optional(),
  medicationReference: reference.optional(),
  subject: reference,
  authoredOn: z.string().optional(),
  reasonCode: concepts,
  dosageInstruction: z.array(z.looseObject({ text: z.string().optional() })).optional(),
});

const medication = form('Medication', { code: concept.optional() });

const allergyIntolerance = form('AllergyIntolerance', {
  clinicalStatus: concept.optional(),
  verificationStatus: concept.optional(),
  type: z.string().optional(),
  category: strings,
  criticality: z.string().optional(),
  code: concept.optional(),
  patient: reference,
  recordedDate: z.string().optional(),
  reaction: z.array(z.looseObject({ substance: concept.optional(), manifestation: concepts, severity: z.string().optional() })).optional(),
});

const observation = form('Observation', {
  identifier: identifiers,
  basedOn: references,
  status: z.string(),
  category: concepts,
  code: concept,
  subject: reference.optional(),
  encounter: reference.optional(),
  effectiveDateTime: z.string().optional(),
  effectivePeriod: period.optional(),
  issued: z.string().optional(),
  interpretation: concepts,
  bodySite: concept.optional(),
  derivedFrom: references,
  ...observed,
  component: z.array(z.looseObject({ code: concept, ...observed })).optional(),
});

const procedure = form('Procedure', {
  status: z.string().optional(),
  code: concept.optional(),
  subject: reference,
  performedDateTime: z.string().optional(),
  performedPeriod: period.optional(),
  bodySite: concepts,
});

const encounter = form('Encounter', {
  status: z.string().optional(),
  class: coding.optional(),
  subject: reference.optional(),
  period: period.optional(),
  reasonCode: concepts,
});

const practitioner = form('Practitioner', { identifier: identifiers, name: patient.shape.name });

const practitionerRole = form('PractitionerRole', {
  active: z.boolean().optional(),
  practitioner: reference.optional(),
  code: concepts,
});

const endpoint = form('Endpoint', {
  status: z.string().optional(),
  connectionType: coding.optional(),
  payloadType: concepts,
  address: z.string().optional(),
});

/** What wetread wrote and reads back. */
const media = form('Media', { identifier: identifiers, status: z.string().optional(), subject: reference.optional() });
const device = form('Device', { identifier: identifiers, status: z.string().optional() });
const provenance = form('Provenance', { target: references, recorded: z.string().optional() });

const issue = z.looseObject({
  severity: z.string().optional(),
  code: z.string().optional(),
  details: concept.optional(),
  diagnostics: z.string().optional(),
  expression: strings,
});

export const operationOutcome = form('OperationOutcome', { issue: z.array(issue).optional() });

export const bundle = form('Bundle', {
  type: z.string(),
  total: z.number().optional(),
  link: z.array(z.looseObject({ relation: z.string(), url: z.string() })).optional(),
  entry: z
    .array(
      z.looseObject({
        fullUrl: z.string().optional(),
        resource: z.looseObject({ resourceType: z.string() }).optional(),
        search: z.looseObject({ mode: z.string().optional() }).optional(),
        response: z
          .looseObject({
            status: z.string(),
            location: z.string().optional(),
            etag: z.string().optional(),
            outcome: z.looseObject({ resourceType: z.string() }).optional(),
          })
          .optional(),
      }),
    )
    .optional(),
});

/** The form of each type that can be searched or read. */
export const forms = {
  Patient: patient,
  ImagingStudy: imagingStudy,
  ServiceRequest: serviceRequest,
  DiagnosticReport: diagnosticReport,
  Condition: condition,
  MedicationRequest: medicationRequest,
  Medication: medication,
  AllergyIntolerance: allergyIntolerance,
  Observation: observation,
  Procedure: procedure,
  Encounter: encounter,
  Practitioner: practitioner,
  PractitionerRole: practitionerRole,
  Endpoint: endpoint,
  Media: media,
  Device: device,
  Provenance: provenance,
} as const;

export type ReadableType = keyof typeof forms;
export type Readable<T extends ReadableType> = z.infer<(typeof forms)[T]>;
/** Any resource: its type is all that is known. */
export type Resource = { resourceType: string; id?: string | undefined } & Record<string, unknown>;
export type Bundle = z.infer<typeof bundle>;
export type OperationOutcome = z.infer<typeof operationOutcome>;

/** The texts of an OperationOutcome's issues, at most five, one sentence each. */
export function outcomeTexts(outcome: OperationOutcome): readonly string[] {
  return (outcome.issue ?? []).slice(0, 5).map((one) => {
    const words = one.details?.text ?? one.diagnostics ?? one.details?.coding?.[0]?.display ?? one.code ?? 'no text';
    return one.expression === undefined ? words : `${words} (${one.expression.join(', ')})`;
  });
}
