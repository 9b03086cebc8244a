/** A patient's chart as the page shows it: studies and structured reports of the PACS, reports of the FHIR server with their sentences. */
import { type DicomJson, dicom, type Place, type Resource, read, readAll, search, srText, value } from './fhir.ts';

export interface Study {
  readonly uid: string;
  readonly words: string;
}

export interface Report {
  readonly id: string;
  readonly status: string;
  readonly issued: string;
  readonly title: string;
  readonly conclusion: string;
  readonly statements: readonly { readonly id: string; readonly text: string; readonly note: string }[];
  readonly images: readonly { readonly id: string; readonly url: string; readonly words: string }[];
}

export interface StructuredReport {
  readonly id: string;
  readonly series: string;
  readonly state: string;
  readonly lines: readonly { readonly depth: number; readonly text: string }[];
}

export interface Chart {
  readonly studies: readonly Study[];
  readonly reports: readonly Report[];
  readonly objects: readonly StructuredReport[];
}

export const emptyChart: Chart = { studies: [], reports: [], objects: [] };

interface Referring {
  readonly reference: string;
}

function textOf(resource: Resource): string {
  const { code } = resource as { code?: { text?: string; coding?: readonly { display?: string }[] } };
  return code?.text ?? code?.coding?.[0]?.display ?? '';
}

async function reportOf(place: Place, report: Resource): Promise<Report> {
  const results = (report.result ?? []) as readonly Referring[];
  const media = (report.media ?? []) as readonly { readonly link: Referring; readonly comment?: string }[];
  const [statements, images] = await Promise.all([
    readAll(
      place.fhir,
      results.map(({ reference }) => reference),
    ),
    readAll(
      place.fhir,
      media.map(({ link }) => link.reference),
    ),
  ]);
  return {
    id: report.id ?? '',
    status: String(report.status),
    issued: String(report.issued ?? '')
      .slice(0, 16)
      .replace('T', ' '),
    title: textOf(report),
    conclusion: String(report.conclusion ?? ''),
    statements: statements.map((one) => ({
      id: one.id ?? '',
      text: String(one.valueString ?? ''),
      note: ((one.note ?? []) as readonly { readonly text: string }[]).map(({ text }) => text).join(' '),
    })),
    images: images.map((one, index) => ({
      id: one.id ?? '',
      url: (one.content as { readonly url?: string } | undefined)?.url ?? '',
      words: media[index]?.comment ?? `image ${index + 1}`,
    })),
  };
}

const dateWords = (date: string) => date.replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3');

function studyOf(study: DicomJson): Study {
  const modalities = (study['00080061']?.Value ?? []).join('/');
  const words = [dateWords(value(study, '00080020')), modalities, value(study, '00081030')].filter(Boolean).join(' ');
  return { uid: value(study, '0020000D'), words };
}

async function structuredReportsOf(place: Place, study: string): Promise<readonly StructuredReport[]> {
  const found = await dicom(`${place.dicomweb}/studies/${study}/series?Modality=SR`);
  const all = await Promise.all(
    found.map(async (one) => {
      const series = value(one, '0020000E');
      const instances = await dicom(`${place.dicomweb}/studies/${study}/series/${series}/metadata`);
      return instances.map((instance) => ({
        id: value(instance, '00080018'),
        series,
        state: [value(instance, '0040A491'), value(instance, '0040A493')].join(', ').toLowerCase(),
        lines: srText(instance),
      }));
    }),
  );
  return all.flat();
}

async function pacsOf(place: Place, patientId: string): Promise<Pick<Chart, 'studies' | 'objects'>> {
  const patient = await read(`${place.fhir}/Patient/${encodeURIComponent(patientId)}`);
  const identifiers = ((patient?.identifier ?? []) as readonly { readonly value?: string }[]).flatMap(({ value: one }) => one ?? []);
  const found = await Promise.all(
    identifiers.map((one) => dicom(`${place.dicomweb}/studies?PatientID=${encodeURIComponent(one)}&includefield=00081030`)),
  );
  const studies = [...new Map(found.flat().map((study) => [value(study, '0020000D'), study])).values()].map(studyOf);
  const objects = await Promise.all(studies.map(({ uid }) => structuredReportsOf(place, uid)));
  return { studies, objects: objects.flat() };
}

/** @throws Error when a server refuses */
export async function readChart(place: Place, patientId: string): Promise<Chart> {
  const [found, pacs] = await Promise.all([
    search(`${place.fhir}/DiagnosticReport?patient=${encodeURIComponent(patientId)}&_sort=-date&_count=20`),
    pacsOf(place, patientId),
  ]);
  return { ...pacs, reports: await Promise.all(found.map((report) => reportOf(place, report))) };
}
