/** An exam's way through a hospital with one service: signed, prepared, drafted, accepted, delivered, and read back from where it was written. */
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import type { Draft } from '#domain/draft.ts';
import { srInstanceUid } from '#report/sr.ts';
import { readDraft } from '#work/drafts.ts';
import { deliveriesOf, type OutboxRow } from '#work/outbox.ts';
import type { Store } from '#work/store.ts';
import { accept, type ShownCard, signOnce } from '../pacs/service.ts';
import { type Written, writtenFor } from '../pacs/written.ts';
import type { Exam } from './exams.ts';

export type Signed = Awaited<ReturnType<typeof signOnce>>;

export interface Way {
  /** The answer to the first signature. */
  readonly first: Signed;
  /** The first answer after it that says anything; null = none came in time. */
  readonly settled: Signed | null;
  /** Null = it came to no draft, or none was written in time. */
  readonly written: Written | null;
  /** The structured report as the PACS gives it. */
  readonly sr: Uint8Array | null;
}

export interface Place {
  readonly fhir: string;
  readonly dicomweb: string;
  /** Origin of the service. */
  readonly service: string;
}

const timeoutMs = 120_000;
const pollMs = 100;

const hits = z.array(z.record(z.string(), z.object({ Value: z.array(z.unknown()).optional() })));

/** One instance by WADO-RS; null when the PACS has none. */
async function instanceBytes(root: string, study: string, instance: string): Promise<Uint8Array | null> {
  const found = await fetch(`${root}/studies/${study}/instances?SOPInstanceUID=${instance}`);
  const [hit] = found.status === 200 ? hits.parse(await found.json()) : [];
  if (hit === undefined) return null;
  const series = hit['0020000E']?.Value?.[0];
  const response = await fetch(`${root}/studies/${study}/series/${series}/instances/${instance}`, {
    headers: { accept: 'multipart/related; type="application/dicom"; transfer-syntax=*' },
  });
  const boundary = /boundary="?([^";]+)"?/.exec(response.headers.get('content-type') ?? '')?.[1];
  const body = Buffer.from(await response.arrayBuffer());
  return body.subarray(body.indexOf('\r\n\r\n') + 4, body.lastIndexOf(`\r\n--${boundary}--`));
}

/** What `look` gives once it is something; null when the time passed. */
async function until<Found>(look: () => Promise<Found | null | undefined>): Promise<Found | null> {
  for (const end = Date.now() + timeoutMs; Date.now() < end; await wait(pollMs)) {
    const found = await look();
    if (found !== null && found !== undefined) return found;
  }
  return null;
}

/** The card of a finished draft among the answer's. */
export function readyCard(answer: Signed | null): ShownCard | null {
  if (answer === null || 'code' in answer) return null;
  return answer.find(({ source }) => source.topic.code === 'draft-ready') ?? null;
}

/** Signs all orders, then follows each to its end. */
export async function goAll(exams: readonly Exam[], place: Place): Promise<readonly Way[]> {
  const ways: Way[] = [];
  const requests = exams.map(({ patient, order }) => ({ patient: patient.id ?? '', order }));
  const firsts: Signed[] = [];
  for (const request of requests) firsts.push(await signOnce(place.service, request));
  for (const [index, request] of requests.entries()) {
    // "Being prepared" is said once for each order: until the draft is settled an answer is empty.
    const settled = await until(async () => {
      const cards = await signOnce(place.service, request);
      return 'code' in cards || cards.length > 0 ? cards : null;
    });
    const ready = readyCard(settled);
    if (ready !== null) await accept(place.service, ready);
    ways.push({ first: firsts[index] ?? [], settled, written: null, sr: null });
  }
  return Promise.all(ways.map((way, index) => delivered(way, exams[index], place)));
}

async function delivered(way: Way, exam: Exam | undefined, { fhir, dicomweb }: Place): Promise<Way> {
  if (readyCard(way.settled) === null || exam === undefined) return way;
  const written = await until(async () => (await writtenFor(fhir, exam.patient.id ?? ''))[0]);
  if (written === null) return way;
  const sr = await until(() => instanceBytes(dicomweb, exam.studyUid, srInstanceUid(written.draftKey)));
  return { ...way, written, sr };
}

export interface Kept {
  readonly draft: Draft | null;
  readonly deliveries: readonly OutboxRow[];
}

/** What the service's store has of a written draft. */
export async function keptOf(store: Store, { draftKey }: Written): Promise<Kept> {
  const state = await readDraft(store.query, draftKey);
  return { draft: state?.state === 'ready' ? state.draft : null, deliveries: await deliveriesOf(store.query, draftKey) };
}
