/**
 * The one table of what can be searched: (type, parameter) -> kind and FHIRPath expression. Index, search, /metadata and refusals read it,
 * so that none of them can promise what another does not do. What is not here is refused with 400 that names it.
 *
 * `code` is a token without a system (code, boolean, id, contact point): a search with `system|` is refused there, as R4 gives such elements
 * an implied system that the index does not know. Names and expressions: FHIR R4 4.0.1 search parameters; `resolve() is Patient` is `only`.
 */
import type { ServedType } from './types.ts';

export type Kind = 'token' | 'code' | 'reference' | 'date' | 'string' | 'uri';

export interface Parameter {
  readonly name: string;
  readonly kind: Kind;
  readonly expression: string;
  /** References to other types are not indexed under this name. */
  readonly only: string | null;
}

/** Modifiers by kind; `missing` goes with every kind. A reference also takes `:Type` (reference.ts). */
export const modifiers: Readonly<Record<Kind, readonly string[]>> = {
  token: ['missing', 'not'],
  code: ['missing', 'not'],
  reference: ['missing', 'identifier'],
  date: ['missing'],
  string: ['missing', 'exact', 'contains'],
  uri: ['missing'],
};

type Row = readonly [name: string, kind: Kind, expression: string, only?: string];

const subject = (type: string): Row[] => [
  ['patient', 'reference', `${type}.subject`, 'Patient'],
  ['subject', 'reference', `${type}.subject`],
];

const canonical = (type: string): Row[] => [
  ['identifier', 'token', `${type}.identifier`],
  ['name', 'string', `${type}.name`],
  ['status', 'code', `${type}.status`],
  ['title', 'string', `${type}.title`],
  ['url', 'uri', `${type}.url`],
  ['version', 'code', `${type}.version`],
];

const rows: Readonly<Record<ServedType, readonly Row[]>> = {
  AllergyIntolerance: [
    ['category', 'code', 'AllergyIntolerance.category'],
    ['clinical-status', 'token', 'AllergyIntolerance.clinicalStatus'],
    ['code', 'token', 'AllergyIntolerance.code | AllergyIntolerance.reaction.substance'],
    ['criticality', 'code', 'AllergyIntolerance.criticality'],
    ['date', 'date', 'AllergyIntolerance.recordedDate'],
    ['identifier', 'token', 'AllergyIntolerance.identifier'],
    ['patient', 'reference', 'AllergyIntolerance.patient'],
    ['verification-status', 'token', 'AllergyIntolerance.verificationStatus'],
  ],
  Binary: [],
  CarePlan: [
    ['category', 'token', 'CarePlan.category'],
    ['date', 'date', 'CarePlan.period'],
    ['encounter', 'reference', 'CarePlan.encounter'],
    ['identifier', 'token', 'CarePlan.identifier'],
    ['status', 'code', 'CarePlan.status'],
    ...subject('CarePlan'),
  ],
  CareTeam: [
    ['identifier', 'token', 'CareTeam.identifier'],
    ['participant', 'reference', 'CareTeam.participant.member'],
    ['status', 'code', 'CareTeam.status'],
    ...subject('CareTeam'),
  ],
  CodeSystem: canonical('CodeSystem'),
  Condition: [
    ['body-site', 'token', 'Condition.bodySite'],
    ['category', 'token', 'Condition.category'],
    ['clinical-status', 'token', 'Condition.clinicalStatus'],
    ['code', 'token', 'Condition.code'],
    ['encounter', 'reference', 'Condition.encounter'],
    ['identifier', 'token', 'Condition.identifier'],
    ['onset-date', 'date', 'Condition.onset.ofType(dateTime) | Condition.onset.ofType(Period)'],
    ['recorded-date', 'date', 'Condition.recordedDate'],
    ['verification-status', 'token', 'Condition.verificationStatus'],
    ...subject('Condition'),
  ],
  Device: [
    ['device-name', 'string', 'Device.deviceName.name | Device.type.coding.display | Device.type.text'],
    ['identifier', 'token', 'Device.identifier'],
    ['manufacturer', 'string', 'Device.manufacturer'],
    ['organization', 'reference', 'Device.owner'],
    ['patient', 'reference', 'Device.patient'],
    ['status', 'code', 'Device.status'],
    ['type', 'token', 'Device.type'],
  ],
  DiagnosticReport: [
    ['based-on', 'reference', 'DiagnosticReport.basedOn'],
    ['category', 'token', 'DiagnosticReport.category'],
    ['code', 'token', 'DiagnosticReport.code'],
    ['conclusion', 'token', 'DiagnosticReport.conclusionCode'],
    ['date', 'date', 'DiagnosticReport.effective'],
    ['encounter', 'reference', 'DiagnosticReport.encounter'],
    ['identifier', 'token', 'DiagnosticReport.identifier'],
    ['issued', 'date', 'DiagnosticReport.issued'],
    ['media', 'reference', 'DiagnosticReport.media.link'],
    ['performer', 'reference', 'DiagnosticReport.performer'],
    ['result', 'reference', 'DiagnosticReport.result'],
    ['results-interpreter', 'reference', 'DiagnosticReport.resultsInterpreter'],
    ['status', 'code', 'DiagnosticReport.status'],
    ...subject('DiagnosticReport'),
  ],
  DocumentReference: [
    ['author', 'reference', 'DocumentReference.author'],
    ['category', 'token', 'DocumentReference.category'],
    ['contenttype', 'code', 'DocumentReference.content.attachment.contentType'],
    ['date', 'date', 'DocumentReference.date'],
    ['encounter', 'reference', 'DocumentReference.context.encounter'],
    ['identifier', 'token', 'DocumentReference.masterIdentifier | DocumentReference.identifier'],
    ['period', 'date', 'DocumentReference.context.period'],
    ['related', 'reference', 'DocumentReference.context.related'],
    ['status', 'code', 'DocumentReference.status'],
    ['type', 'token', 'DocumentReference.type'],
    ...subject('DocumentReference'),
  ],
  Encounter: [
    ['class', 'token', 'Encounter.class'],
    ['date', 'date', 'Encounter.period'],
    ['identifier', 'token', 'Encounter.identifier'],
    ['participant', 'reference', 'Encounter.participant.individual'],
    ['service-provider', 'reference', 'Encounter.serviceProvider'],
    ['status', 'code', 'Encounter.status'],
    ['type', 'token', 'Encounter.type'],
    ...subject('Encounter'),
  ],
  Endpoint: [
    ['connection-type', 'token', 'Endpoint.connectionType'],
    ['identifier', 'token', 'Endpoint.identifier'],
    ['name', 'string', 'Endpoint.name'],
    ['organization', 'reference', 'Endpoint.managingOrganization'],
    ['payload-type', 'token', 'Endpoint.payloadType'],
    ['status', 'code', 'Endpoint.status'],
  ],
  Goal: [
    ['category', 'token', 'Goal.category'],
    ['identifier', 'token', 'Goal.identifier'],
    ['lifecycle-status', 'code', 'Goal.lifecycleStatus'],
    ...subject('Goal'),
  ],
  ImagingStudy: [
    ['basedon', 'reference', 'ImagingStudy.basedOn'],
    ['bodysite', 'token', 'ImagingStudy.series.bodySite'],
    ['dicom-class', 'token', 'ImagingStudy.series.instance.sopClass'],
    ['encounter', 'reference', 'ImagingStudy.encounter'],
    ['endpoint', 'reference', 'ImagingStudy.endpoint | ImagingStudy.series.endpoint'],
    ['identifier', 'token', 'ImagingStudy.identifier'],
    ['instance', 'code', 'ImagingStudy.series.instance.uid'],
    ['modality', 'token', 'ImagingStudy.series.modality'],
    ['reason', 'token', 'ImagingStudy.reasonCode'],
    ['referrer', 'reference', 'ImagingStudy.referrer'],
    ['series', 'code', 'ImagingStudy.series.uid'],
    ['started', 'date', 'ImagingStudy.started'],
    ['status', 'code', 'ImagingStudy.status'],
    ...subject('ImagingStudy'),
  ],
  Immunization: [
    ['date', 'date', 'Immunization.occurrence.ofType(dateTime)'],
    ['identifier', 'token', 'Immunization.identifier'],
    ['patient', 'reference', 'Immunization.patient'],
    ['status', 'code', 'Immunization.status'],
    ['vaccine-code', 'token', 'Immunization.vaccineCode'],
  ],
  Location: [
    ['identifier', 'token', 'Location.identifier'],
    ['name', 'string', 'Location.name | Location.alias'],
    ['organization', 'reference', 'Location.managingOrganization'],
    ['status', 'code', 'Location.status'],
    ['type', 'token', 'Location.type'],
  ],
  Media: [
    ['based-on', 'reference', 'Media.basedOn'],
    ['created', 'date', 'Media.created'],
    ['device', 'reference', 'Media.device'],
    ['encounter', 'reference', 'Media.encounter'],
    ['identifier', 'token', 'Media.identifier'],
    ['modality', 'token', 'Media.modality'],
    ['operator', 'reference', 'Media.operator'],
    ['site', 'token', 'Media.bodySite'],
    ['status', 'code', 'Media.status'],
    ['type', 'token', 'Media.type'],
    ['view', 'token', 'Media.view'],
    ...subject('Media'),
  ],
  Medication: [
    ['code', 'token', 'Medication.code'],
    ['identifier', 'token', 'Medication.identifier'],
    ['status', 'code', 'Medication.status'],
  ],
  MedicationRequest: [
    ['authoredon', 'date', 'MedicationRequest.authoredOn'],
    ['category', 'token', 'MedicationRequest.category'],
    ['code', 'token', 'MedicationRequest.medication.ofType(CodeableConcept)'],
    ['encounter', 'reference', 'MedicationRequest.encounter'],
    ['identifier', 'token', 'MedicationRequest.identifier'],
    ['intent', 'code', 'MedicationRequest.intent'],
    ['medication', 'reference', 'MedicationRequest.medication.ofType(Reference)'],
    ['priority', 'code', 'MedicationRequest.priority'],
    ['requester', 'reference', 'MedicationRequest.requester'],
    ['status', 'code', 'MedicationRequest.status'],
    ...subject('MedicationRequest'),
  ],
  Observation: [
    ['based-on', 'reference', 'Observation.basedOn'],
    ['category', 'token', 'Observation.category'],
    ['code', 'token', 'Observation.code'],
    ['combo-code', 'token', 'Observation.code | Observation.component.code'],
    ['component-code', 'token', 'Observation.component.code'],
    ['date', 'date', 'Observation.effective'],
    ['derived-from', 'reference', 'Observation.derivedFrom'],
    ['device', 'reference', 'Observation.device'],
    ['encounter', 'reference', 'Observation.encounter'],
    ['has-member', 'reference', 'Observation.hasMember'],
    ['identifier', 'token', 'Observation.identifier'],
    ['part-of', 'reference', 'Observation.partOf'],
    ['performer', 'reference', 'Observation.performer'],
    ['status', 'code', 'Observation.status'],
    ['value-concept', 'token', 'Observation.value.ofType(CodeableConcept)'],
    ...subject('Observation'),
  ],
  Organization: [
    ['active', 'code', 'Organization.active'],
    ['identifier', 'token', 'Organization.identifier'],
    ['name', 'string', 'Organization.name | Organization.alias'],
    ['partof', 'reference', 'Organization.partOf'],
    ['type', 'token', 'Organization.type'],
  ],
  Patient: [
    ['active', 'code', 'Patient.active'],
    ['address', 'string', 'Patient.address'],
    ['birthdate', 'date', 'Patient.birthDate'],
    ['family', 'string', 'Patient.name.family'],
    ['gender', 'code', 'Patient.gender'],
    ['general-practitioner', 'reference', 'Patient.generalPractitioner'],
    ['given', 'string', 'Patient.name.given'],
    ['identifier', 'token', 'Patient.identifier'],
    ['name', 'string', 'Patient.name'],
    ['organization', 'reference', 'Patient.managingOrganization'],
    ['telecom', 'code', 'Patient.telecom'],
  ],
  Practitioner: [
    ['active', 'code', 'Practitioner.active'],
    ['family', 'string', 'Practitioner.name.family'],
    ['given', 'string', 'Practitioner.name.given'],
    ['identifier', 'token', 'Practitioner.identifier'],
    ['name', 'string', 'Practitioner.name'],
  ],
  PractitionerRole: [
    ['active', 'code', 'PractitionerRole.active'],
    ['identifier', 'token', 'PractitionerRole.identifier'],
    ['organization', 'reference', 'PractitionerRole.organization'],
    ['practitioner', 'reference', 'PractitionerRole.practitioner'],
    ['role', 'token', 'PractitionerRole.code'],
    ['specialty', 'token', 'PractitionerRole.specialty'],
  ],
  Procedure: [
    ['based-on', 'reference', 'Procedure.basedOn'],
    ['category', 'token', 'Procedure.category'],
    ['code', 'token', 'Procedure.code'],
    ['date', 'date', 'Procedure.performed.ofType(dateTime) | Procedure.performed.ofType(Period)'],
    ['encounter', 'reference', 'Procedure.encounter'],
    ['identifier', 'token', 'Procedure.identifier'],
    ['status', 'code', 'Procedure.status'],
    ...subject('Procedure'),
  ],
  Provenance: [
    ['agent', 'reference', 'Provenance.agent.who'],
    ['entity', 'reference', 'Provenance.entity.what'],
    ['patient', 'reference', 'Provenance.target', 'Patient'],
    ['recorded', 'date', 'Provenance.recorded'],
    ['target', 'reference', 'Provenance.target'],
  ],
  ServiceRequest: [
    ['authored', 'date', 'ServiceRequest.authoredOn'],
    ['based-on', 'reference', 'ServiceRequest.basedOn'],
    ['body-site', 'token', 'ServiceRequest.bodySite'],
    ['category', 'token', 'ServiceRequest.category'],
    ['code', 'token', 'ServiceRequest.code'],
    ['encounter', 'reference', 'ServiceRequest.encounter'],
    ['identifier', 'token', 'ServiceRequest.identifier'],
    ['intent', 'code', 'ServiceRequest.intent'],
    ['occurrence', 'date', 'ServiceRequest.occurrence'],
    ['priority', 'code', 'ServiceRequest.priority'],
    ['requester', 'reference', 'ServiceRequest.requester'],
    ['requisition', 'token', 'ServiceRequest.requisition'],
    ['status', 'code', 'ServiceRequest.status'],
    ...subject('ServiceRequest'),
  ],
  StructureDefinition: [...canonical('StructureDefinition'), ['type', 'uri', 'StructureDefinition.type']],
  Task: [
    ['authored-on', 'date', 'Task.authoredOn'],
    ['based-on', 'reference', 'Task.basedOn'],
    ['business-status', 'token', 'Task.businessStatus'],
    ['code', 'token', 'Task.code'],
    ['encounter', 'reference', 'Task.encounter'],
    ['focus', 'reference', 'Task.focus'],
    ['identifier', 'token', 'Task.identifier'],
    ['intent', 'code', 'Task.intent'],
    ['owner', 'reference', 'Task.owner'],
    ['patient', 'reference', 'Task.for', 'Patient'],
    ['requester', 'reference', 'Task.requester'],
    ['status', 'code', 'Task.status'],
    ['subject', 'reference', 'Task.for'],
  ],
  ValueSet: canonical('ValueSet'),
};

const everyType: readonly Row[] = [
  ['_profile', 'uri', 'Resource.meta.profile'],
  ['_security', 'token', 'Resource.meta.security'],
  ['_tag', 'token', 'Resource.meta.tag'],
];

const table = new Map<string, ReadonlyMap<string, Parameter>>(
  Object.entries(rows).map(([type, list]) => [
    type,
    new Map([...list, ...everyType].map(([name, kind, expression, only = null]) => [name, { name, kind, expression, only }])),
  ]),
);

const none: ReadonlyMap<string, Parameter> = new Map();

/** Parameters of a type that are kept in the index; `_id` and `_lastUpdated` are columns of the resource itself (conditions.ts). */
export function parametersOf(type: ServedType): ReadonlyMap<string, Parameter> {
  return table.get(type) ?? none;
}
