/** What the page knows, as signals, and the steps that change it. */
import { signal } from '@preact/signals';
import { type Card, exams, type OrderForm, sendFeedback, signOrder } from './cds.ts';
import { type DicomJson, dicom, placeOfPage, type Resource, search, value } from './fhir.ts';

export const place = placeOfPage();

export interface PatientRow {
  readonly id: string;
  readonly name: string;
  readonly birthDate: string;
  readonly gender: string;
  readonly shows: string;
}

export const patients = signal<readonly PatientRow[] | null>(null);
export const patient = signal<PatientRow | null>(null);
export const exam = signal(exams[0]?.code ?? '');
export const side = signal<'left' | 'right' | null>(null);
export const reason = signal('cough and fever');
export const signing = signal(false);
export const failure = signal<string | null>(null);
/** null = nothing was signed yet. */
export const answer = signal<{
  readonly cards: readonly Card[];
  readonly service: string;
  readonly milliseconds: number;
  readonly order: OrderForm;
} | null>(null);
export const settled = signal<Readonly<Record<string, string>>>({});
export const reports = signal<readonly { readonly report: Resource; readonly statements: readonly Resource[] }[]>([]);
export const objects = signal<readonly { readonly study: string; readonly series: string; readonly instance: DicomJson }[]>([]);
export const studies = signal<readonly DicomJson[]>([]);

interface Named {
  readonly family?: string;
  readonly given?: readonly string[];
}

export async function loadPatients(): Promise<void> {
  const found = await search(`${place.fhir}/Patient?_count=100&_sort=family`);
  patients.value = found.map((resource) => {
    const [name] = (resource.name ?? []) as readonly Named[]; // R4 HumanName
    return {
      id: resource.id ?? '',
      name: [name?.family, name?.given?.join(' ')].filter(Boolean).join(', '),
      birthDate: String(resource.birthDate ?? ''),
      gender: String(resource.gender ?? ''),
      shows: place.cases[resource.id ?? ''] ?? '',
    };
  });
}

export async function choosePatient(row: PatientRow): Promise<void> {
  patient.value = row;
  answer.value = null;
  failure.value = null;
  settled.value = {};
  await refresh();
}

/** Newest state of FHIR server and PACS for the patient in view. */
export async function refresh(): Promise<void> {
  const row = patient.value;
  if (row === null) return;
  const found = await search(`${place.fhir}/DiagnosticReport?patient=${encodeURIComponent(row.id)}&_sort=-date&_count=20`);
  const withStatements = await Promise.all(
    found.map(async (report) => {
      const results = (report.result ?? []) as readonly { readonly reference: string }[];
      const ids = results.map((one) => one.reference.split('/').at(-1)).join(',');
      return { report, statements: ids === '' ? [] : await search(`${place.fhir}/Observation?_id=${ids}&_count=100`) };
    }),
  );
  const [identifier] = await identifiersOf(row.id);
  const mine = identifier === undefined ? [] : await dicom(`${place.dicomweb}/studies?PatientID=${encodeURIComponent(identifier)}`);
  const structured = await Promise.all(mine.map((study) => srOf(value(study, '0020000D'))));
  if (patient.value !== row) return;
  reports.value = withStatements;
  studies.value = mine;
  objects.value = structured.flat();
}

async function identifiersOf(id: string): Promise<readonly string[]> {
  const [resource] = await search(`${place.fhir}/Patient?_id=${encodeURIComponent(id)}`);
  return ((resource?.identifier ?? []) as readonly { readonly value: string }[]).map((one) => one.value);
}

async function srOf(study: string): Promise<{ study: string; series: string; instance: DicomJson }[]> {
  const series = await dicom(`${place.dicomweb}/studies/${study}/series?Modality=SR`);
  const all = await Promise.all(
    series.map(async (one) => {
      const uid = value(one, '0020000E');
      const metadata = await dicom(`${place.dicomweb}/studies/${study}/series/${uid}/metadata`);
      return metadata.map((instance) => ({ study, series: uid, instance }));
    }),
  );
  return all.flat();
}

const preparing = 'draft-preparing';

/** Signs the order of the form, and asks again while a draft is being prepared, as an EHR does when the chart stays open. */
export async function sign(again: OrderForm | null = null): Promise<void> {
  const row = patient.value;
  const chosen = exams.find((one) => one.code === exam.value);
  if (row === null || chosen === undefined) return;
  const order = again ?? { patient: row.id, exam: chosen, side: side.value, reason: reason.value.trim(), id: crypto.randomUUID() };
  signing.value = true;
  failure.value = null;
  try {
    const result = await signOrder(order, place);
    if (patient.value !== row) return;
    // While the draft is being prepared this is said once; an empty answer then keeps the card that said it.
    const waiting = answer.value?.cards.some((card) => card.source.topic?.code === preparing) ?? false;
    if (result.cards.length > 0 || !(again !== null && waiting)) answer.value = { ...result, order };
    const pending = answer.value?.cards.some((card) => card.source.topic?.code === preparing) ?? false;
    if (pending) setTimeout(() => void (patient.value === row ? sign(order) : undefined), 2000);
  } catch (error) {
    failure.value = error instanceof Error ? error.message : String(error);
  } finally {
    signing.value = false;
  }
}

export async function settle(card: Card, outcome: 'accepted' | 'overridden', detail: Readonly<Record<string, unknown>>): Promise<void> {
  const service = answer.value?.service;
  if (card.uuid === undefined || service === undefined) return;
  try {
    await sendFeedback(place, service, { card: card.uuid, outcome, ...detail });
    settled.value = { ...settled.value, [card.uuid]: outcome };
    for (let round = 0; round < 10 && outcome === 'accepted'; round += 1) {
      await new Promise((later) => setTimeout(later, 1000));
      await refresh();
      if (objects.value.length > 0) break;
    }
  } catch (error) {
    failure.value = error instanceof Error ? error.message : String(error);
  }
}

/** Opens a SMART link as the EHR: the launch is made by the EHR's server, with the card's appContext. */
export async function openLink(link: { readonly url: string; readonly type: string; readonly appContext?: string }): Promise<void> {
  const row = patient.value;
  if (row === null) return;
  if (link.type !== 'smart') {
    window.open(link.url, '_blank', 'noopener');
    return;
  }
  const tab = window.open('', '_blank');
  const response = await fetch('/launch', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ patient: row.id, url: link.url, appContext: link.appContext ?? null }),
  });
  const { url } = (await response.json()) as { url: string };
  if (tab !== null) tab.location.href = url;
}
