/** A study whose films arrive while it is asked for, read and reported: never half of it, and what is newer takes the place of what is older. */
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { readUids } from '#dicom/read.ts';
import { startSandbox } from '#sandbox/sandbox.ts';
import { openStore } from '#work/store.ts';
import { Browser } from '../launch/browser.ts';
import { anotherFilm, type Gate, openGate, otherDigits, storeFilm } from './films.ts';
import { type Answered, openWard, orderSign, sign, signUntilSettled, type Ward } from './ward.ts';

let ward: Ward;
let gate: Gate;
let service: Awaited<ReturnType<Ward['start']>>;

beforeAll(async () => {
  ward = await openWard();
  gate = await openGate(ward.sandbox.dicomweb);
  service = await ward.start('growing', {
    dicomweb: { root: gate.root, auth: { kind: 'none' } },
    launch: { clientId: 'wetread-review', issuers: [ward.sandbox.fhir] },
  });
  ward.sandbox.smart.registerApp({ clientId: 'wetread-review', redirectUris: [`${service.url}/launch/callback`] });
});
afterAll(async () => {
  await gate.close();
  await ward.close();
});

async function json(url: string): Promise<unknown> {
  const response = await fetch(url, { headers: { accept: 'application/json' } });
  return response.status === 204 ? [] : response.json();
}

interface Report {
  readonly id: string;
  readonly identifier: readonly { readonly value: string }[];
  readonly extension: readonly { readonly url: string; readonly valueReference?: unknown }[];
}

async function reports(patientId: string): Promise<Report[]> {
  const found = (await json(`${ward.sandbox.fhir}/DiagnosticReport?patient=${patientId}&status=partial`)) as {
    entry?: { resource: Report }[];
  };
  return (found.entry ?? []).map(({ resource }) => resource);
}

/** The structured reports of a study as DICOM JSON, with their predecessors' SOP Instance UIDs. */
async function structured(study: string): Promise<{ uid: string; predecessors: string[] }[]> {
  const all = (await json(`${ward.sandbox.dicomweb}/studies/${study}/instances?Modality=SR`)) as Record<string, { Value: string[] }>[];
  return Promise.all(
    all.map(async (one) => {
      const series = one['0020000E']?.Value[0];
      const uid = one['00080018']?.Value[0] ?? '';
      const metadata = await json(`${ward.sandbox.dicomweb}/studies/${study}/series/${series}/instances/${uid}/metadata`);
      const predecessors = JSON.stringify((metadata as Record<string, unknown>[])[0]?.['0040A360'] ?? '');
      return {
        uid,
        predecessors: [...predecessors.matchAll(/"00081155":\{"vr":"UI","Value":\["([\d.]+)"/g)].map(([, found = '']) => found),
      };
    }),
  );
}

async function accept({ cards: [card] }: Answered): Promise<void> {
  const entry = {
    card: card?.uuid,
    outcome: 'accepted',
    acceptedSuggestions: [{ id: card?.suggestions?.[0]?.uuid }],
    outcomeTimestamp: '2026-11-24T10:00:00Z',
  };
  const url = `${service.url}/cds-services/wetread-order-sign/feedback`;
  const body = JSON.stringify({ feedback: [entry] });
  expect((await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).status).toBe(200);
}

/** The review page's document behind the link of a card. */
async function pageOf({ cards: [card] }: Answered, patient: string): Promise<Record<string, unknown>> {
  const [link] = (card as { links?: { url: string; appContext: string }[] }).links ?? [];
  if (link === undefined) throw new Error('the card has no link');
  const launch = ward.sandbox.smart.createLaunch({
    patient,
    appContext: link.appContext,
    encounter: null,
    user: 'Practitioner/sandbox-radiologist',
  });
  const browser = new Browser();
  const page = await browser.open(`${link.url}?${new URLSearchParams({ iss: ward.sandbox.fhir, launch })}`);
  return JSON.parse((await browser.open(new URL('draft.json', page.url))).body);
}

const waiting = { timeout: 30_000, interval: 200 };

test('a study that grows while it is read gets no draft from half of it, and a superseding one when it is whole', async () => {
  const patient = ward.patients.find((one) => one.case === 'unread-alone');
  const [film] = patient?.files ?? [];
  if (patient === undefined || film === undefined) throw new Error('the ward lacks the patient');
  const { id } = patient.person;
  const { study } = readUids(film.bytes);
  const [second = '', third = ''] = otherDigits(film.bytes);

  // The first film alone is drafted, accepted and written.
  const first = await signUntilSettled(service.url, orderSign(id));
  expect(first.topics).toEqual(['draft-ready']);
  await accept(first);
  await vi.waitFor(async () => expect([await reports(id), await structured(study)].map((all) => all.length)).toEqual([1, 1]), waiting);
  const [early] = await reports(id);
  const [earlySr] = await structured(study);

  // A second one arrives, and a third while the two are fetched: there is never a draft of two.
  await storeFilm(ward.sandbox.dicomweb, anotherFilm(film.bytes, second));
  gate.beforePixels = () => storeFilm(ward.sandbox.dicomweb, anotherFilm(film.bytes, third));
  const asked = await sign(service.url, orderSign(id, { order: 'order-2' }));
  expect(asked.topics).toEqual(['draft-preparing']);
  // Nobody signs again: the link of the first answer leads to what came of it.
  await vi.waitFor(async () => expect(await pageOf(asked, id)).toMatchObject({ state: 'ready' }), waiting);
  const whole = await signUntilSettled(service.url, orderSign(id, { order: 'order-2' }));
  expect(whole.topics).toEqual(['draft-ready']);
  expect(whole.cards[0]?.uuid).not.toBe(first.cards[0]?.uuid);

  // It says on card, page, report and SR what it takes the place of.
  expect(whole.cards[0]?.detail).toContain('Supersedes the draft of');
  const page = await pageOf(whole, id);
  expect(page.supersedes).toEqual([expect.stringContaining('Supersedes the draft of')]);
  await accept(whole);
  await vi.waitFor(async () => expect([await reports(id), await structured(study)].map((all) => all.length)).toEqual([2, 2]), waiting);
  const late = (await reports(id)).find((report) => report.id !== early?.id);
  expect(late?.extension).toContainEqual({
    url: 'http://hl7.org/fhir/StructureDefinition/diagnosticReport-replaces',
    valueReference: { type: 'DiagnosticReport', identifier: expect.objectContaining({ value: early?.identifier[0]?.value }) },
  });
  const lateSr = (await structured(study)).find(({ uid }) => uid !== earlySr?.uid);
  expect(lateSr?.predecessors).toEqual([earlySr?.uid]);
  expect(earlySr?.predecessors).toEqual([]);

  // The older card's link leads to the newer draft; so does an archive that lists the first film alone again.
  const { generatedAt, sections } = page;
  expect(await pageOf(first, id)).toMatchObject({ generatedAt, sections });
  const old = await startSandbox({
    dataDir: join(ward.folder, 'old-pacs'),
    ports: { fhir: 0, dicomweb: 0, authorization: 0 },
    dicomFolders: [join(ward.folder, 'dicom')],
    fhirBundles: [],
    now: () => new Date(),
  });
  gate.target = old.dicomweb;
  const again = await sign(service.url, orderSign(id, { order: 'order-3' }));
  await old.close();
  expect(again.topics).toEqual(['draft-superseded']);
  expect(again.cards[0]?.suggestions).toBeUndefined();
  expect(await pageOf(again, id)).toMatchObject({ generatedAt, sections });

  await service.stop();
  const store = await openStore({ kind: 'embedded', folder: join(service.dataFolder, 'store') });
  const rows = await store.query<{ state: string; code: string | null; images: number | null; leads: boolean }>(
    `select state, code, jsonb_array_length(document #> '{subject,study,series,0,instances}') as images, superseded_by is not null as leads
       from draft order by created_at`,
  );
  await store.close();
  expect(rows).toEqual([
    { state: 'ready', code: null, images: 1, leads: true },
    { state: 'failed', code: 'study-growing', images: null, leads: true },
    { state: 'ready', code: null, images: 3, leads: false },
  ]);
}, 120_000);
