/**
 * A draft as the road ends with one: a film of today and its prior, five statements, one in each state of dependence and one held.
 *
 * The tests of this room, the examples in fhir-profiles/ and cds-hooks/ and the e2e page are made from it, so that they cannot drift apart.
 */
import type { Draft, DraftImage } from '#domain/draft.ts';
import { draftKey } from '#domain/draft.ts';
import type { Statement } from '#domain/statement.ts';
import type { ImageRef, Study } from '#domain/study.ts';
import { parseUid } from '#domain/uid.ts';
import type { SrHeader } from '#report/sr-header.ts';

const digitalXRay = parseUid('1.2.840.10008.5.1.4.1.1.1.1');

function ref(study: string, series: string, instance: string): ImageRef {
  return { study: parseUid(study), series: parseUid(series), instance: parseUid(instance), sopClass: digitalXRay, frame: null };
}

export const currentRef = ref('2.25.1001', '2.25.1001.1', '2.25.1001.1.1');
export const priorRef = ref('2.25.1000', '2.25.1000.1', '2.25.1000.1.1');

const identity = {
  identifiers: [{ system: 'urn:oid:2.25.77', value: 'WR-0001' }],
  birthDate: '1958-03-14',
  name: { family: 'Phantom', given: ['Ada'] },
  sex: 'female',
} as const;

function film(image: ImageRef, date: string, accession: string, imagingStudy: string, description: string): Study {
  return {
    uid: image.study,
    identity,
    date,
    time: '08:15:00',
    accession,
    modalities: ['DX'],
    description,
    regions: ['chest'],
    side: null,
    series: [
      {
        uid: image.series,
        modality: 'DX',
        number: 1,
        description: 'Chest PA',
        bodyPart: 'CHEST',
        side: null,
        instances: [{ uid: image.instance, sopClass: image.sopClass, number: 1, frames: 1 }],
      },
    ],
    imagingStudy,
    basedOn: [],
    report: null,
  };
}

export const exampleImages: readonly [DraftImage, DraftImage] = [
  image(currentRef, '2026-11-24', 'image 1: today, PA', false),
  image(priorRef, '2026-08-02', 'image 2: prior, PA', true),
];

function image(ofRef: ImageRef, date: string, label: string, prior: boolean): DraftImage {
  return {
    ref: ofRef,
    label,
    modality: 'DX',
    width: 512,
    height: 512,
    seriesNumber: 1,
    instanceNumber: 1,
    date,
    prior,
    picture: null,
  };
}

const statements: readonly Statement[] = [
  {
    number: 1,
    section: 'findings',
    text: 'There is a small left pleural effusion.',
    dependence: 'depends',
    citations: [{ image: 1, ref: currentRef, share: 0.93 }],
    support: 1.82,
    calibrated: true,
    holds: [],
  },
  {
    number: 2,
    section: 'comparison',
    text: 'The effusion has increased since the prior film.',
    dependence: 'depends',
    citations: [
      { image: 1, ref: currentRef, share: 0.61 },
      { image: 2, ref: priorRef, share: 0.39 },
    ],
    support: 0.74,
    calibrated: true,
    holds: [],
  },
  {
    number: 3,
    section: 'findings',
    text: 'The patient is a 68 year old woman with cough.',
    dependence: 'depends-on-none',
    citations: [],
    support: 0.01,
    calibrated: true,
    holds: [],
  },
  {
    number: 4,
    section: 'findings',
    text: 'No pneumothorax.',
    dependence: 'cannot-be-tested',
    citations: [],
    support: 0.02,
    calibrated: true,
    holds: [],
  },
  {
    number: 5,
    section: 'findings',
    text: 'The nodule in the right upper lobe measures 8 mm.',
    dependence: 'depends',
    citations: [{ image: 1, ref: currentRef, share: 1 }],
    support: 0.9,
    calibrated: true,
    holds: [{ rule: 'measurement-without-spacing', message: 'The sentence gives a size in millimetres and no image has a known spacing.' }],
  },
  {
    number: 6,
    section: 'impression',
    text: 'Increasing left pleural effusion.',
    dependence: 'depends',
    citations: [
      { image: 1, ref: currentRef, share: 0.7 },
      { image: 2, ref: priorRef, share: 0.3 },
    ],
    support: 1.1,
    calibrated: true,
    holds: [],
  },
];

const bundleDigest = 'b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c';

export const exampleDraft: Draft = {
  key: draftKey({
    patientId: 'ada',
    studyUid: currentRef.study,
    instanceUids: [currentRef.instance],
    priorUids: [priorRef.study],
    historyDigest: 'none',
    bundleDigest,
    promptVersion: '1',
    task: 'report',
  }),
  patient: { id: 'ada', identity },
  subject: {
    study: film(currentRef, '2026-11-24', 'ACC1001', 'ImagingStudy/chest-today', 'Chest PA'),
    score: 38,
    reasons: ['same region (chest)', 'same modality (DX)', 'today', 'not reported'],
  },
  priors: [
    {
      study: film(priorRef, '2026-08-02', 'ACC1000', 'ImagingStudy/chest-prior', 'Chest PA'),
      score: 27,
      reasons: ['same region (chest)', '114 days old', 'reported'],
    },
  ],
  quoted: [
    {
      study: film(priorRef, '2026-08-02', 'ACC1000', 'ImagingStudy/chest-prior', 'Chest PA'),
      reference: 'DiagnosticReport/chest-prior',
      issued: '2026-08-02T11:20:00Z',
      impression: 'Trace left pleural effusion.',
    },
  ],
  basedOn: ['ServiceRequest/chest-order'],
  encounter: 'Encounter/ward-visit',
  reportCode: { system: 'http://loinc.org', code: '24648-8', display: 'XR Chest PA upright' },
  images: exampleImages,
  history: [
    { kind: 'reason', text: 'Cough and shortness of breath', date: '2026-11-24', source: 'ServiceRequest/chest-order' },
    { kind: 'problem', text: 'Heart failure', date: '2024-02-01', source: 'Condition/heart-failure' },
  ],
  statements,
  attribution: {
    method: 'shapley',
    nulls: ['black', 'mean'],
    line: 'Attribution: exact Shapley values over 2 images under two null images (black, mean).',
  },
  model: {
    bundle: 'phantom-cxr',
    digest: bundleDigest,
    name: 'phantom-cxr 1',
    manufacturer: 'The wetread authors',
    license: 'Apache-2.0',
    stamped: null,
    device: 'cpu',
    promptVersion: '1',
  },
  leftOut: [{ what: 'CT of 2019-01-05 (Abdomen)', reason: 'other region, older than 3 years' }],
  warnings: [{ code: 'issuer-default', message: 'The images name no issuer of the patient id; the configured one was assumed.' }],
  supersedes: [],
  generatedAt: '2026-11-24T09:05:31Z',
};

export const writeOptions = {
  imageRoot: 'https://pacs.hospital.example/dicom-web',
  organization: 'Organization/radiology',
  serviceVersion: '0.1.0',
};

export const exampleHeader: SrHeader = {
  studyInstanceUid: currentRef.study,
  patientName: 'Phantom^Ada',
  patientId: 'WR-0001',
  issuerOfPatientId: null,
  patientBirthDate: '19580314',
  patientSex: 'F',
  studyDate: '20261124',
  studyTime: '081500',
  studyId: '1001',
  accessionNumber: 'ACC1001',
  referringPhysicianName: 'Lovelace^Ward',
  timezoneOffsetFromUtc: null,
};
