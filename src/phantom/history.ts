/**
 * FHIR R4 resources of a synthetic patient: identity, problems, drugs, allergies, results, orders, studies and their reports.
 *
 * What the resources say fits the films: a prior's report is the report of its film. Codes: SNOMED CT, RxNorm, LOINC as published; dates
 * count back from `now`. Form: reference/cds-hooks-smart-fhir section 3 (study UID as urn:oid identifier, series UID bare).
 */
import type {
  AllergyIntolerance,
  CodeableConcept,
  Condition,
  DiagnosticReport,
  Encounter,
  ImagingStudy,
  MedicationRequest,
  Observation,
  Patient,
  Practitioner,
  Resource,
  ServiceRequest,
} from '@medplum/fhirtypes';
import { systems } from '#domain/code.ts';
import { type StudyHeader, uidsOfStudy } from './dicom.ts';
import { accessionSystem, type Person, patientSystem } from './person.ts';
import type { Random } from './random.ts';

const terminology = 'http://terminology.hl7.org/CodeSystem';

function concept(system: string, code: string, display: string): CodeableConcept {
  return { coding: [{ system, code, display }], text: display };
}

/** A day before `now`, YYYY-MM-DD. */
export function dayBefore(now: Date, days: number): string {
  return new Date(now.getTime() - days * 86_400_000).toISOString().slice(0, 10);
}

const problems = [
  ['38341003', 'Hypertensive disorder'],
  ['44054006', 'Diabetes mellitus type 2'],
  ['13645005', 'Chronic obstructive lung disease'],
  ['84114007', 'Heart failure'],
  ['49436004', 'Atrial fibrillation'],
  ['195967001', 'Asthma'],
] as const;

const drugs = [
  ['6809', 'metformin'],
  ['17767', 'amlodipine'],
  ['4603', 'furosemide'],
  ['83367', 'atorvastatin'],
  ['11289', 'warfarin'],
] as const;

const allergies = [
  ['91936005', 'Allergy to penicillin'],
  ['293637006', 'Allergy to contrast media'],
  ['716186003', 'No known allergy'],
] as const;

export function patientOf(person: Person): Patient {
  return {
    resourceType: 'Patient',
    id: person.id,
    identifier: [
      {
        use: 'usual',
        type: concept(`${terminology}/v2-0203`, 'MR', 'Medical record number'),
        system: patientSystem,
        value: person.number,
      },
    ],
    active: true,
    name: [{ use: 'official', family: person.family, given: [person.given] }],
    gender: person.female ? 'female' : 'male',
    birthDate: person.birthDate,
  };
}

/** The sandbox's user, a radiologist. */
export function radiologist(): Practitioner {
  return {
    resourceType: 'Practitioner',
    id: 'phantom-radiologist',
    identifier: [{ system: 'urn:oid:2.25.186402116702441880203981223045108411203', value: 'RAD1' }],
    active: true,
    name: [{ use: 'official', family: 'Weißenfels', given: ['Johanna'], prefix: ['Dr.'] }],
    qualification: [{ code: { text: 'Radiologist' } }],
  };
}

export function encounterOf(person: Person, now: Date): Encounter {
  return {
    resourceType: 'Encounter',
    id: `${person.id}-encounter`,
    status: 'in-progress',
    class: { system: `${terminology}/v3-ActCode`, code: 'IMP', display: 'inpatient encounter' },
    subject: { reference: `Patient/${person.id}` },
    period: { start: `${dayBefore(now, 1)}T09:30:00Z` },
  };
}

/** Problems, drugs, one allergy, results. */
export function backgroundOf(person: Person, random: Random, now: Date): readonly Resource[] {
  const subject = { reference: `Patient/${person.id}` };
  const count = random.integer(1, 3);
  const start = random.integer(0, problems.length - 1);
  const conditions = Array.from({ length: count }, (_, index): Condition => {
    const [code, display] = problems[(start + index) % problems.length] ?? problems[0];
    return {
      resourceType: 'Condition',
      id: `${person.id}-problem-${index + 1}`,
      clinicalStatus: concept(`${terminology}/condition-clinical`, 'active', 'Active'),
      verificationStatus: concept(`${terminology}/condition-ver-status`, 'confirmed', 'Confirmed'),
      category: [concept(`${terminology}/condition-category`, 'problem-list-item', 'Problem List Item')],
      code: concept(systems.snomed, code, display),
      subject,
      recordedDate: dayBefore(now, random.integer(200, 3000)),
    };
  });
  const [drug, name] = random.pick(drugs);
  const medication: MedicationRequest = {
    resourceType: 'MedicationRequest',
    id: `${person.id}-medication-1`,
    status: 'active',
    intent: 'order',
    medicationCodeableConcept: concept('http://www.nlm.nih.gov/research/umls/rxnorm', drug, name),
    subject,
    authoredOn: dayBefore(now, random.integer(20, 400)),
  };
  const [allergen, allergic] = random.pick(allergies);
  const allergy: AllergyIntolerance = {
    resourceType: 'AllergyIntolerance',
    id: `${person.id}-allergy-1`,
    clinicalStatus: concept(`${terminology}/allergyintolerance-clinical`, 'active', 'Active'),
    verificationStatus: concept(`${terminology}/allergyintolerance-verification`, 'confirmed', 'Confirmed'),
    code: concept(systems.snomed, allergen, allergic),
    patient: subject,
  };
  return [
    ...conditions,
    medication,
    allergy,
    resultOf(person, 'creatinine', ['2160-0', 'Creatinine [Mass/volume] in Serum or Plasma'], [random.integer(6, 16) / 10, 'mg/dL'], now),
    resultOf(person, 'crp', ['1988-5', 'C reactive protein [Mass/volume] in Serum or Plasma'], [random.integer(1, 90), 'mg/L'], now),
  ];
}

function resultOf(
  person: Person,
  name: string,
  [code, display]: readonly [string, string],
  [value, unit]: readonly [number, string],
  now: Date,
): Observation {
  return {
    resourceType: 'Observation',
    id: `${person.id}-${name}`,
    status: 'final',
    category: [concept(`${terminology}/observation-category`, 'laboratory', 'Laboratory')],
    code: concept(systems.loinc, code, display),
    subject: { reference: `Patient/${person.id}` },
    effectiveDateTime: `${dayBefore(now, 1)}T06:15:00Z`,
    valueQuantity: { value, unit, system: 'http://unitsofmeasure.org', code: unit },
  };
}

/** What was ordered, made and (perhaps) reported. */
export interface HospitalStudy {
  readonly header: StudyHeader;
  readonly modality: 'DX' | 'US';
  readonly sopClass: string;
  readonly reason: string;
  /** Null = nobody has reported it. */
  readonly report: { readonly text: string; readonly impression: string } | null;
}

const exams = {
  DX: {
    procedure: concept(systems.loinc, '24648-8', 'XR Chest PA upright'),
    site: { system: systems.snomed, code: '51185008', display: 'Thoracic structure' },
  },
  US: {
    procedure: concept(systems.loinc, '24558-9', 'US Abdomen'),
    site: { system: systems.snomed, code: '818983003', display: 'Abdomen' },
  },
} as const;

/** ServiceRequest, ImagingStudy and, when reported, the final DiagnosticReport. */
export function studyResources({ header, modality, sopClass, reason, report }: HospitalStudy): readonly Resource[] {
  const { person, accession, date, time } = header;
  const subject = { reference: `Patient/${person.id}` };
  const id = `${person.id}-${accession.toLowerCase()}`;
  const exam = exams[modality];
  const uids = uidsOfStudy(header.name);
  const number = { type: concept(`${terminology}/v2-0203`, 'ACSN', 'Accession ID'), system: accessionSystem, value: accession };
  const order: ServiceRequest = {
    resourceType: 'ServiceRequest',
    id: `${id}-order`,
    identifier: [number],
    status: report === null ? 'active' : 'completed',
    intent: 'order',
    category: [concept(systems.snomed, '363679005', 'Imaging')],
    code: exam.procedure,
    subject,
    authoredOn: `${date}T${time}Z`,
    reasonCode: [{ text: reason }],
    bodySite: [{ coding: [exam.site] }],
  };
  const study: ImagingStudy = {
    resourceType: 'ImagingStudy',
    id: `${id}-study`,
    identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${uids.study}` }, number],
    status: 'available',
    modality: [{ system: systems.dcm, code: modality }],
    subject,
    started: `${date}T${time}Z`,
    basedOn: [{ reference: `ServiceRequest/${order.id}` }],
    numberOfSeries: 1,
    numberOfInstances: 1,
    procedureCode: [exam.procedure],
    description: header.description,
    series: [
      {
        uid: uids.series,
        number: 1,
        modality: { system: systems.dcm, code: modality },
        numberOfInstances: 1,
        bodySite: exam.site,
        instance: [{ uid: uids.instance, sopClass: { system: 'urn:ietf:rfc:3986', code: `urn:oid:${sopClass}` }, number: 1 }],
      },
    ],
  };
  if (report === null) return [order, study];
  const final: DiagnosticReport = {
    resourceType: 'DiagnosticReport',
    id: `${id}-report`,
    identifier: [{ system: `${accessionSystem}.1`, value: accession }],
    basedOn: [{ reference: `ServiceRequest/${order.id}` }],
    status: 'final',
    category: [concept(`${terminology}/v2-0074`, 'RAD', 'Radiology')],
    code: exam.procedure,
    subject,
    effectiveDateTime: `${date}T${time}Z`,
    issued: `${date}T20:00:00.000Z`,
    resultsInterpreter: [{ reference: 'Practitioner/phantom-radiologist' }],
    imagingStudy: [{ reference: `ImagingStudy/${study.id}` }],
    conclusion: report.impression,
    presentedForm: [{ contentType: 'text/plain', data: Buffer.from(report.text, 'utf8').toString('base64'), title: header.description }],
  };
  return [order, study, final];
}
