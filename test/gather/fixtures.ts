/** A patient with studies at the PACS and resources on the FHIR server, small enough to be read in a test. */
import type { Order } from '#domain/order.ts';
import type { Patient } from '#domain/patient.ts';
import type { Series, Study } from '#domain/study.ts';
import { parseUid } from '#domain/uid.ts';
import { type Gathered, type GatherRequest, gather } from '#gather/gather.ts';

export const system = 'https://hospital.example/mrn';

export const patient: Patient = {
  id: 'p1',
  identity: {
    identifiers: [{ system, value: '4711' }],
    birthDate: '1960-05-01',
    name: { family: 'Berg', given: ['Ina'] },
    sex: 'female',
    formerNames: [],
  },
};

export const order: Order = {
  reference: 'ServiceRequest/o1',
  status: 'draft',
  codes: [{ system: 'http://loinc.org', code: '36643-5', display: null }],
  text: 'XR Chest 2 Views',
  modality: 'DX',
  regions: ['chest'],
  side: null,
  reasons: ['cough for two weeks'],
  accession: null,
  encounter: null,
  supportingInfo: [],
};

export function series(fields: Partial<Series> = {}): Series {
  return {
    uid: parseUid('1.2.3.9'),
    modality: 'DX',
    number: 1,
    description: null,
    bodyPart: 'CHEST',
    side: null,
    instances: [],
    ...fields,
  };
}

export function study(uid: string, fields: Partial<Study> = {}): Study {
  return {
    uid: parseUid(uid),
    identity: { identifiers: [{ system: null, value: '4711' }], birthDate: '1960-05-01', name: null, sex: null },
    date: '2026-11-24',
    time: '07:30:00',
    accession: null,
    modalities: ['DX'],
    description: 'Chest',
    regions: [],
    side: null,
    series: [series()],
    imagingStudy: null,
    basedOn: [],
    report: null,
    ...fields,
  };
}

export function imagingStudy(id: string, uid: string, fields: object = {}): object {
  return {
    resourceType: 'ImagingStudy',
    id,
    status: 'available',
    subject: { reference: 'Patient/p1' },
    identifier: [{ system: 'urn:dicom:uid', value: `urn:oid:${uid}` }],
    ...fields,
  };
}

export function report(id: string, fields: object = {}): object {
  return {
    resourceType: 'DiagnosticReport',
    id,
    status: 'final',
    subject: { reference: 'Patient/p1' },
    category: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0074', code: 'RAD' }] }],
    ...fields,
  };
}

export interface Hospital {
  readonly studies?: readonly Study[];
  readonly imagingStudies?: readonly object[];
  readonly reports?: readonly object[];
  readonly history?: readonly object[];
}

export function ask(
  { studies = [], imagingStudies = [], reports = [], history = [] }: Hospital,
  changes: Partial<GatherRequest> = {},
): Promise<Gathered> {
  return gather({
    patient,
    order,
    ports: {
      imagingStudies: async () => ({ resources: imagingStudies, warnings: [] }),
      reports: async () => ({ resources: reports, warnings: [] }),
      history: async () => ({ resources: history, warnings: [] }),
      pacsStudies: async () => ({ studies, warnings: [] }),
    },
    bundles: [{ bundle: 'cxr', modalities: ['DX', 'CR'], regions: ['chest'] }],
    identity: { defaultIssuer: 'HOSP', issuers: [{ issuer: 'HOSP', system }] },
    ownReportMarks: ['https://wetread.example/fhir/StructureDefinition/draft-key'],
    today: '2026-11-24',
    ...changes,
  });
}

/** The result as a draft, or a failure that shows what it is. */
export async function draft(hospital: Hospital, changes: Partial<GatherRequest> = {}): Promise<Extract<Gathered, { kind: 'draft' }>> {
  const gathered = await ask(hospital, changes);
  if (gathered.kind !== 'draft') throw new Error(`found ${gathered.kind}, expected a draft: ${JSON.stringify(gathered)}`);
  return gathered;
}
