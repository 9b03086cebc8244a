/**
 * What Orthanc holds, by its own REST interface and not by wetread's client: studies with their headers, instances with their files.
 *
 * Source: Orthanc 1.10 REST API (/studies?expand, /instances/{id}/simplified-tags, /instances/{id}/file).
 */
import { z } from 'zod';
import { dateOf, timeOf } from '#dicom/facts.ts';
import type { Orthanc } from '../../orthanc/orthanc.ts';

export interface HeldStudy {
  readonly uid: string;
  readonly patientId: string | null;
  readonly issuer: string | null;
  /** PN as it stands in the header. */
  readonly patientName: string | null;
  /** YYYY-MM-DD; null = absent or no date. */
  readonly birthDate: string | null;
  readonly sex: 'male' | 'female' | 'other' | null;
  readonly date: string | null;
  readonly time: string | null;
  readonly description: string | null;
  readonly series: readonly { readonly uid: string; readonly modality: string }[];
  readonly instances: number;
}

export interface HeldInstance {
  /** Orthanc's own id. */
  readonly id: string;
  readonly study: string;
  readonly series: string;
}

const tags = z.record(z.string(), z.unknown());
const level = z.array(
  z.object({
    ID: z.string(),
    ParentStudy: z.string().optional(),
    ParentSeries: z.string().optional(),
    MainDicomTags: tags,
  }),
);
const sexes = { M: 'male', F: 'female', O: 'other' } as const;

export function authorizationOf({ user, password }: Orthanc): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

/** @throws when Orthanc does not answer 200 */
export async function orthancBytes(orthanc: Orthanc, path: string, accept?: string): Promise<{ type: string; bytes: Buffer }> {
  const headers = { authorization: authorizationOf(orthanc), ...(accept === undefined ? {} : { accept }) };
  const response = await fetch(`${orthanc.origin}${path}`, { headers });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (!response.ok) throw new Error(`Orthanc: ${path} gave ${response.status}`);
  return { type: response.headers.get('content-type') ?? '', bytes };
}

async function orthancJson(orthanc: Orthanc, path: string): Promise<unknown> {
  return JSON.parse((await orthancBytes(orthanc, path)).bytes.toString('utf8'));
}

function textOf(values: z.infer<typeof tags>, name: string): string | null {
  const value = values[name];
  return typeof value === 'string' && value.trim() !== '' ? value.trim() : null;
}

async function levels(orthanc: Orthanc) {
  const [studies, series, instances] = await Promise.all(
    ['studies', 'series', 'instances'].map(async (name) => level.parse(await orthancJson(orthanc, `/${name}?expand`))),
  );
  return { studies: studies ?? [], series: series ?? [], instances: instances ?? [] };
}

/** SOP Instance UID -> where Orthanc files it. */
export async function heldInstances(orthanc: Orthanc): Promise<ReadonlyMap<string, HeldInstance>> {
  const { studies, series, instances } = await levels(orthanc);
  const studyUids = new Map(studies.map(({ ID, MainDicomTags }) => [ID, textOf(MainDicomTags, 'StudyInstanceUID') ?? '']));
  const parents = new Map(
    series.map(({ ID, ParentStudy, MainDicomTags }) => [
      ID,
      { study: studyUids.get(ParentStudy ?? '') ?? '', series: textOf(MainDicomTags, 'SeriesInstanceUID') ?? '' },
    ]),
  );
  return new Map(
    instances.map(({ ID, ParentSeries, MainDicomTags }) => [
      textOf(MainDicomTags, 'SOPInstanceUID') ?? ID,
      { id: ID, ...(parents.get(ParentSeries ?? '') ?? { study: '', series: '' }) },
    ]),
  );
}

/**
 * Study Instance UID -> instances filed under it. Orthanc makes two studies of one UID when their PatientIDs differ; they are counted
 * together.
 */
export async function instanceCounts(orthanc: Orthanc): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const { study } of (await heldInstances(orthanc)).values()) counts.set(study, (counts.get(study) ?? 0) + 1);
  return counts;
}

/** Every study once, by its UID, as the header of its first instance has it; sorted by patient and UID. */
export async function heldStudies(orthanc: Orthanc): Promise<readonly HeldStudy[]> {
  const { studies, series, instances } = await levels(orthanc);
  const found = new Map<string, HeldStudy>();
  for (const study of studies) {
    const own = series.filter(({ ParentStudy }) => ParentStudy === study.ID);
    const ids = new Set(own.map(({ ID }) => ID));
    const parts = instances.filter(({ ParentSeries }) => ids.has(ParentSeries ?? ''));
    const [first] = parts;
    if (first === undefined) continue;
    const header = tags.parse(await orthancJson(orthanc, `/instances/${first.ID}/simplified-tags`));
    const sex = textOf(header, 'PatientSex');
    const uid = textOf(study.MainDicomTags, 'StudyInstanceUID') ?? study.ID;
    if (found.has(uid)) continue;
    found.set(uid, {
      uid,
      patientId: textOf(header, 'PatientID'),
      issuer: textOf(header, 'IssuerOfPatientID'),
      patientName: textOf(header, 'PatientName'),
      birthDate: dateOf(textOf(header, 'PatientBirthDate')),
      sex: sex === 'M' || sex === 'F' || sex === 'O' ? sexes[sex] : null,
      date: dateOf(textOf(header, 'StudyDate')),
      time: timeOf(textOf(header, 'StudyTime')),
      description: textOf(header, 'StudyDescription'),
      series: own.map(({ MainDicomTags }) => ({
        uid: textOf(MainDicomTags, 'SeriesInstanceUID') ?? '',
        modality: textOf(MainDicomTags, 'Modality') ?? 'OT',
      })),
      instances: parts.length,
    });
  }
  return [...found.values()].sort((a, b) => (a.patientId ?? '').localeCompare(b.patientId ?? '') || a.uid.localeCompare(b.uid));
}
