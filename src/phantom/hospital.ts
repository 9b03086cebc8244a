/**
 * The sandbox's hospital: a few synthetic patients, one for each thing that can happen when an order is signed.
 *
 * Everything follows from `seed` and `now`; studies "of today" are of the day of `now` (UTC), early enough to be past at any hour.
 */
import type { Bundle, BundleEntry, Resource } from '@medplum/fhirtypes';
import type { FindingTuple } from '#domain/finding.ts';
import { uuidOf } from '#domain/uid.ts';
import { dxForPresentation, type StudyHeader, uidsOfStudy, ultrasoundImage, writeFilm, writeUltrasound } from './dicom.ts';
import { renderFilm } from './film.ts';
import { backgroundOf, dayBefore, encounterOf, type HospitalStudy, patientOf, radiologist, studyResources } from './history.ts';
import { makePerson, type Person } from './person.ts';
import { randomOf } from './random.ts';
import { reportSentences, reportText } from './report.ts';
import { currentLesions, makeStudy, type PhantomStudy, priorLesions, truthOf, type Wanted } from './study.ts';
import { renderUltrasound } from './ultrasound.ts';

/** What a patient is there to show. */
export type Case = 'unread-with-prior' | 'unread-alone' | 'reported-only' | 'other-modality' | 'no-study' | 'identity-conflict';

export interface HospitalPatient {
  readonly person: Person;
  readonly case: Case;
  /** One sentence: what should happen when an order for a chest film is signed. */
  readonly shows: string;
  /** Resources of this patient, references within the hospital. */
  readonly resources: readonly Resource[];
  readonly files: readonly { readonly path: string; readonly bytes: Uint8Array }[];
  /** The truth of the unread study, null where there is none. */
  readonly truth: Truth | null;
}

export interface Truth {
  readonly studyUid: string;
  readonly priorUid: string | null;
  readonly findings: readonly FindingTuple[];
  readonly report: string;
}

export interface Hospital {
  readonly patients: readonly HospitalPatient[];
  readonly radiologist: Resource;
}

interface Plan {
  readonly case: Case;
  readonly shows: string;
  readonly reason: string;
  /** The lesions of the film(s); null = no chest film. */
  readonly wanted: readonly Wanted[] | null;
  /** Days between the films; null = one film only. */
  readonly priorDays: number | null;
}

const plans: readonly Plan[] = [
  {
    case: 'unread-with-prior',
    shows: 'An unread film of today and a reported prior: a draft with a comparison.',
    reason: 'Shortness of breath',
    wanted: [
      { finding: 'effusion', side: 'left', site: 'lower', change: 'larger' },
      { finding: 'nodule', side: 'right', site: 'upper', change: 'new' },
    ],
    priorDays: 267,
  },
  {
    case: 'reported-only',
    shows: 'Two films, both reported: quoted, nothing is drafted.',
    reason: 'Follow-up of consolidation',
    wanted: [{ finding: 'consolidation', side: 'right', site: 'lower', change: 'smaller' }],
    priorDays: 12,
  },
  {
    case: 'other-modality',
    shows: 'An unread ultrasound, which no bundle reads: a card that says so, without a suggestion.',
    reason: 'Right upper abdominal pain',
    wanted: null,
    priorDays: null,
  },
  { case: 'no-study', shows: 'No study at all: no card.', reason: 'Cough', wanted: null, priorDays: null },
  {
    case: 'identity-conflict',
    shows: 'The PACS has another birth date under the same patient number: refused, visibly.',
    reason: 'Fever',
    wanted: [{ finding: 'consolidation', side: 'left', site: 'middle', change: null }],
    priorDays: null,
  },
  {
    case: 'unread-alone',
    shows: 'An unread film of today without a prior: a draft without a comparison.',
    reason: 'Sudden chest pain',
    wanted: [{ finding: 'pneumothorax', side: 'right', site: 'upper', change: null }],
    priorDays: null,
  },
  {
    case: 'unread-with-prior',
    shows: 'An unread film of today on which an enlarged heart is unchanged and an effusion is gone.',
    reason: 'Heart failure, after treatment',
    wanted: [
      { finding: 'cardiomegaly', side: 'left', site: 'lower', change: 'unchanged' },
      { finding: 'effusion', side: 'right', site: 'lower', change: 'resolved' },
    ],
    priorDays: 41,
  },
];

interface MadeStudy {
  readonly study: HospitalStudy;
  readonly bytes: Uint8Array;
}

function headerOf(person: Person, name: string, date: string, time: string, accession: string, description: string): StudyHeader {
  return { name, person, date, time, accession, description, referrer: 'Ward^Three' };
}

/** The report of the prior film: what was on it, with nothing to compare it with. */
function priorStudy(phantom: PhantomStudy): PhantomStudy {
  return { ...phantom, prior: false, lesions: priorLesions(phantom).map((lesion) => ({ current: lesion, prior: null, change: null })) };
}

function reportOf(phantom: PhantomStudy): { text: string; impression: string } {
  const sentences = reportSentences(phantom, 0);
  return { text: reportText(sentences), impression: sentences.at(-1)?.text ?? '' };
}

function film(
  header: StudyHeader,
  phantom: PhantomStudy,
  which: 'current' | 'prior',
  reason: string,
  reported: boolean,
  size: number,
): MadeStudy {
  const seed = `${phantom.seed} ${which}`;
  const lesions = which === 'current' ? currentLesions(phantom) : priorLesions(phantom);
  const drawn = renderFilm({ anatomy: phantom.anatomy, lesions, seed, size });
  const own = which === 'current' ? phantom : priorStudy(phantom);
  return {
    study: { header, modality: 'DX', sopClass: dxForPresentation, reason, report: reported ? reportOf(own) : null },
    bytes: writeFilm(header, drawn, seed),
  };
}

function ultrasound(header: StudyHeader, reason: string): MadeStudy {
  return {
    study: { header, modality: 'US', sopClass: ultrasoundImage, reason, report: null },
    bytes: writeUltrasound(header, renderUltrasound(header.name)),
  };
}

/** Eleven years later than the person's: not to be taken for a typing slip. */
function otherBirthDate(person: Person): string {
  return `${Number(person.birthDate.slice(0, 4)) + 11}${person.birthDate.slice(4)}`;
}

function studiesOf(plan: Plan, person: Person, phantom: PhantomStudy | null, name: string, now: Date, size: number): readonly MadeStudy[] {
  const today = dayBefore(now, 0);
  const accession = (number: number): string => `${person.number.replace('LH', 'A')}${number}`;
  if (plan.case === 'other-modality') {
    return [ultrasound(headerOf(person, `${name} us`, today, '00:05:00', accession(1), 'US abdomen'), plan.reason)];
  }
  if (phantom === null) return [];
  const made: MadeStudy[] = [];
  const reported = plan.case === 'reported-only';
  if (plan.priorDays !== null) {
    const before = headerOf(person, `${name} prior`, dayBefore(now, plan.priorDays), '10:20:00', accession(1), 'XR chest PA');
    made.push(film(before, phantom, 'prior', plan.reason, true, size));
  }
  const header = headerOf(person, `${name} current`, reported ? dayBefore(now, 3) : today, '00:10:00', accession(2), 'XR chest PA');
  const known = plan.case === 'identity-conflict' ? { ...header, birthDate: otherBirthDate(person) } : header;
  made.push(film(known, phantom, 'current', plan.reason, reported, size));
  return made;
}

function makePatient(plan: Plan, index: number, seed: string, now: Date, size: number): HospitalPatient {
  const name = `hospital ${seed} ${index}`;
  const random = randomOf(name);
  const person = makePerson(random, seed, index, now);
  const phantom =
    plan.wanted === null ? null : makeStudy(name, { prior: plan.priorDays !== null, wanted: plan.wanted, female: person.female });
  const made = studiesOf(plan, person, phantom, name, now, size);
  const unread = made.find(({ study }) => study.report === null && study.modality === 'DX');
  const prior = made.find(({ study }) => study.report !== null);
  return {
    person,
    case: plan.case,
    shows: plan.shows,
    resources: [
      patientOf(person),
      encounterOf(person, now),
      ...backgroundOf(person, random, now),
      ...made.flatMap(({ study }) => studyResources(study)),
    ],
    files: made.map(({ study, bytes }) => ({ path: `${person.id}/${study.header.accession}.dcm`, bytes })),
    truth:
      unread === undefined || phantom === null
        ? null
        : {
            studyUid: uidsOfStudy(unread.study.header.name).study,
            priorUid: prior === undefined ? null : uidsOfStudy(prior.study.header.name).study,
            findings: truthOf(phantom),
            report: reportOf(phantom).text,
          },
  };
}

/** @param options.size side of the films in pixels */
export function makeHospital(options: { seed: string; now: Date; size?: number }): Hospital {
  const { seed, now, size = 512 } = options;
  return { patients: plans.map((plan, index) => makePatient(plan, index, seed, now, size)), radiologist: radiologist() };
}

/** The hospital's resources as one transaction, each put under its own id. */
export function hospitalBundle(hospital: Hospital): Bundle {
  const resources = [hospital.radiologist, ...hospital.patients.flatMap((patient) => patient.resources)];
  const entry = resources.map((resource): BundleEntry => {
    const url = `${resource.resourceType}/${resource.id}`;
    return { fullUrl: `urn:uuid:${uuidOf(url)}`, resource, request: { method: 'PUT', url } };
  });
  return { resourceType: 'Bundle', type: 'transaction', entry };
}
