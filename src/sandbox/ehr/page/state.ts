/** What the page knows, as signals, and the steps that change it. */
import { computed, signal } from '@preact/signals';
import { type Card, exams, type OrderForm, priorities, type Signed, sendFeedback, signOrder } from './cds.ts';
import { type Chart, emptyChart, readChart } from './chart.ts';
import { placeOfPage, search } from './fhir.ts';

export const place = placeOfPage();

export interface PatientRow {
  readonly id: string;
  readonly name: string;
  readonly birthDate: string;
  readonly gender: string;
  /** What this patient is there to show, '' = nothing is said. */
  readonly shows: string;
}

/** null = still loading. */
export const patients = signal<readonly PatientRow[] | null>(null);
export const patient = signal<PatientRow | null>(null);
export const form = {
  exam: signal(exams[0]?.code ?? ''),
  side: signal<OrderForm['side']>(null),
  reason: signal('cough and fever'),
  priority: signal<OrderForm['priority']>(priorities[0]),
};
export const signing = signal(false);
export const failure = signal<string | null>(null);
/** null = nothing was signed yet. */
export const answer = signal<Signed | null>(null);
/** Outcome by the card's uuid. */
export const settled = signal<Readonly<Record<string, string>>>({});
export const chart = signal<Chart>(emptyChart);
/** What the chart had when the patient was chosen: all else has arrived since. */
export const known = signal<ReadonlySet<string>>(new Set());
export const delivery = signal<'none' | 'awaited' | 'arrived' | 'late'>('none');

const shows = (topic: string) => answer.value?.cards.some((card) => card.source.topic?.code === topic) ?? false;
/** A draft is being prepared, or the studies were not read in time: the page asks again until there is an answer. */
export const waiting = computed(() => shows('draft-preparing') || shows('not-read-in-time'));

/** Counts what the person at the page began, so that the end of something older changes nothing. */
let begun = 0;

function fail(error: unknown): void {
  failure.value = error instanceof Error ? error.message : String(error);
}

const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Named {
  readonly family?: string;
  readonly given?: readonly string[];
}

export async function loadPatients(): Promise<void> {
  try {
    const found = await search(`${place.fhir}/Patient?_count=100&_sort=family`);
    patients.value = found.map((resource) => {
      const [name] = (resource.name ?? []) as readonly Named[]; // R4 HumanName
      const id = resource.id ?? '';
      return {
        id,
        name: [name?.family, name?.given?.join(' ')].filter(Boolean).join(', ') || id,
        birthDate: String(resource.birthDate ?? ''),
        gender: String(resource.gender ?? ''),
        shows: place.cases[id] ?? '',
      };
    });
  } catch (error) {
    patients.value = [];
    fail(error);
  }
}

export async function choosePatient(row: PatientRow): Promise<void> {
  begun += 1;
  patient.value = row;
  answer.value = null;
  failure.value = null;
  settled.value = {};
  delivery.value = 'none';
  chart.value = emptyChart;
  await refresh();
  if (patient.value === row) known.value = new Set([...chart.value.reports, ...chart.value.objects].map(({ id }) => id));
}

/** Newest state of FHIR server and PACS for the patient in view. */
export async function refresh(): Promise<void> {
  const row = patient.value;
  if (row === null) return;
  try {
    const found = await readChart(place, row.id);
    if (patient.value === row) chart.value = found;
  } catch (error) {
    fail(error);
  }
}

/** Signs the order of the form, and asks again while a draft is being prepared, as an EHR does when the chart stays open. */
export async function sign(): Promise<void> {
  const row = patient.value;
  const chosen = exams.find((one) => one.code === form.exam.value);
  if (row === null || chosen === undefined) return;
  begun += 1;
  const mine = begun;
  const { side, reason, priority } = form;
  const order: OrderForm = {
    patient: row.id,
    exam: chosen,
    side: side.value,
    reason: reason.value.trim(),
    priority: priority.value,
    id: crypto.randomUUID(),
  };
  signing.value = true;
  failure.value = null;
  answer.value = null;
  settled.value = {};
  delivery.value = 'none';
  try {
    const first = await signOrder(order, place);
    if (begun === mine) answer.value = first;
    signing.value = false;
    while (begun === mine && waiting.value) {
      await later(2000);
      const next = begun === mine ? await signOrder(order, place) : null;
      if (begun !== mine || next === null) return;
      // That a draft is being prepared is said once an order: an empty answer leaves the card that said it.
      if (next.cards.length > 0 || !shows('draft-preparing')) answer.value = next;
    }
  } catch (error) {
    if (begun === mine) fail(error);
  } finally {
    if (begun === mine) signing.value = false;
  }
}

const mostRounds = 60;

/** Looks every second whether a new report and a new object have come. */
async function awaitDelivery(mine: number): Promise<void> {
  const before = { reports: chart.value.reports.length, objects: chart.value.objects.length };
  delivery.value = 'awaited';
  for (let round = 0; round < mostRounds && begun === mine; round += 1) {
    await later(1000);
    await refresh();
    if (chart.value.reports.length > before.reports && chart.value.objects.length > before.objects) {
      delivery.value = 'arrived';
      return;
    }
  }
  if (begun === mine) delivery.value = 'late';
}

export async function settle(card: Card, outcome: 'accepted' | 'overridden', detail: Readonly<Record<string, unknown>>): Promise<void> {
  const service = answer.value?.service;
  if (card.uuid === undefined || service === undefined) return;
  try {
    await sendFeedback(place, service, { card: card.uuid, outcome, ...detail });
    settled.value = { ...settled.value, [card.uuid]: outcome };
    if (outcome === 'accepted') await awaitDelivery(begun);
  } catch (error) {
    fail(error);
  }
}

/** Opens a card's link as the EHR does: for a SMART link its server makes the launch, with the card's appContext. */
export async function openLink(link: { readonly url: string; readonly type: string; readonly appContext?: string }): Promise<void> {
  const row = patient.value;
  if (row === null || !/^https?:/.test(link.url)) return;
  if (link.type !== 'smart') {
    window.open(link.url, '_blank', 'noopener');
    return;
  }
  // Opened at the click: after an answer the browser would take it for a pop-up.
  const tab = window.open('', '_blank');
  try {
    const response = await fetch('/launch', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ patient: row.id, url: link.url, appContext: link.appContext ?? null }),
    });
    if (!response.ok) throw new Error(`the launch could not be made: status ${response.status}`);
    const { url } = (await response.json()) as { url: string };
    if (tab === null) throw new Error('the browser opened no tab for the link');
    tab.opener = null;
    tab.location.replace(url);
  } catch (error) {
    tab?.close();
    fail(error);
  }
}
