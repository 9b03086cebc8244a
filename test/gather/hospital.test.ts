import { describe, expect, test } from 'vitest';
import { type StudyFacts, studyFactsOf } from '#dicom/facts.ts';
import { readPart10, uidsOf } from '#dicom/read.ts';
import { reportCodes } from '#domain/codes.ts';
import type { Study } from '#domain/study.ts';
import { parseUid } from '#domain/uid.ts';
import { type Gathered, gather } from '#gather/gather.ts';
import { ordersOf } from '#gather/order.ts';
import { patientOf } from '#gather/patient.ts';
import { type Case, type HospitalPatient, makeHospital } from '#phantom/hospital.ts';
import { patientIssuer, patientSystem } from '#phantom/person.ts';

const hospital = makeHospital({ seed: 'gather', now: new Date('2026-11-24T14:30:00Z'), size: 64 });

function studyOf(uid: string, facts: StudyFacts, series: string): Study {
  return {
    uid: parseUid(uid),
    identity: facts.identity,
    date: facts.date,
    time: facts.time,
    accession: facts.accession,
    modalities: [facts.modality],
    description: facts.description,
    regions: [],
    side: null,
    series: [
      {
        uid: parseUid(series),
        modality: facts.modality,
        number: facts.seriesNumber,
        description: facts.seriesDescription,
        bodyPart: facts.bodyPart,
        side: facts.side,
        instances: [],
      },
    ],
    imagingStudy: null,
    basedOn: [],
    report: null,
  };
}

function pacsOf(patients: readonly HospitalPatient[]): readonly Study[] {
  return patients.flatMap(({ files }) =>
    files.map(({ bytes }) => {
      const { header } = readPart10(bytes);
      const uids = uidsOf(header);
      return studyOf(uids.study, studyFactsOf(header), uids.series);
    }),
  );
}

const draftOrders = {
  resourceType: 'Bundle',
  entry: [
    {
      resource: {
        resourceType: 'ServiceRequest',
        id: 'draft-1',
        status: 'draft',
        code: { coding: [{ system: 'http://loinc.org', code: reportCodes[0]?.code }] },
        reasonCode: [{ text: 'cough' }],
      },
    },
  ],
};

/** Asks for one patient; the PACS answers with everything it has of the identifiers, whoever's. */
async function signFor(name: Case, resourcesOfAll: boolean): Promise<Gathered> {
  const own = hospital.patients.find((one) => one.case === name);
  const [order] = ordersOf(draftOrders).orders;
  if (own === undefined || order === undefined) throw new Error(`no patient shows ${name}`);
  const patient = patientOf(own.resources.find(({ resourceType }) => resourceType === 'Patient'));
  const resources = resourcesOfAll ? hospital.patients.flatMap((one) => one.resources) : own.resources;
  const read = async () => ({ resources, warnings: [] });
  const ids = patient.identity.identifiers.map(({ value }) => value);
  return gather({
    patient,
    order,
    ports: {
      imagingStudies: read,
      reports: read,
      history: read,
      pacsStudies: async ({ studyUids }) => ({
        studies: pacsOf(hospital.patients).filter(
          ({ uid, identity }) => studyUids.includes(uid) || identity.identifiers.some(({ value }) => ids.includes(value)),
        ),
        warnings: [],
      }),
    },
    bundles: [{ bundle: 'phantom-cxr', modalities: ['CR', 'DX'], regions: ['chest'] }],
    identity: { defaultIssuer: patientIssuer, issuers: [{ issuer: patientIssuer, system: patientSystem }] },
    ownReportMarks: [],
    today: '2026-11-24',
  });
}

describe.each([false, true])('the synthetic hospital (FHIR answers with everybody: %s)', (everybody) => {
  test.each<[Case, Gathered['kind']]>([
    ['unread-with-prior', 'draft'],
    ['unread-alone', 'draft'],
    ['reported-only', 'quoted'],
    ['other-modality', 'unsupported-modality'],
    ['no-study', 'nothing'],
    ['identity-conflict', 'identity-conflict'],
  ])('%s is %s', async (name, kind) => expect((await signFor(name, everybody)).kind).toBe(kind));

  test('the draft of an unread film has its prior with its impression, and a history of the patient alone', async () => {
    const gathered = await signFor('unread-with-prior', everybody);
    if (gathered.kind !== 'draft') throw new Error(gathered.kind);
    const own = hospital.patients.find((one) => one.case === 'unread-with-prior');
    expect(gathered.evidence.subject.study.uid).toBe(own?.truth?.studyUid);
    expect(gathered.evidence.priors.map(({ study }) => study.uid)).toEqual([own?.truth?.priorUid]);
    expect(gathered.evidence.quoted).toHaveLength(1);
    const sources = own?.resources.map(({ resourceType, id }) => `${resourceType}/${id}`) ?? [];
    for (const { kind, source } of gathered.evidence.history) if (kind !== 'reason') expect(sources).toContain(source);
  });
});
