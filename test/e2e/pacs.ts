/**
 * `npm run e2e:pacs`: the program against Orthanc with real studies, and FHIR records made from their headers.
 *
 * Orthanc, the FHIR server and the service are processes of their own; the bundle has random weights and cites without a threshold. Any
 * folder will do (WETREAD_TEST_DATA: DICOM files below dicom/, FHIR bundles below fhir/); nothing here knows a file of it.
 * Prints one line per study, `drafted` or `refused CODE`, and one per check. Nothing drafted, cited or looked at is a failure.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { makeRandomBundle } from '#model/random.ts';
import { cardUuid } from '#report/card.ts';
import { srInstanceUid } from '#report/sr.ts';
import { openStore } from '#work/store.ts';
import { type Orthanc, startOrthanc } from '../orthanc/orthanc.ts';
import { sharedPath, things } from '../setup/require.ts';
import { type HeldStudy, heldInstances, heldStudies, instanceCounts } from './pacs/archive.ts';
import { type Check, check, checkStore, checkWritten, failed, leftOut } from './pacs/checks.ts';
import { type StartedProcess, startProcess } from './pacs/process.ts';
import { makeRecords, type OrderedStudy, type Records, readBundles } from './pacs/records.ts';
import { accept, type Settled, signOnce, signUntilSettled, startService, writeSite } from './pacs/service.ts';
import { type Written, writtenFor } from './pacs/written.ts';

const settleMs = 600_000;
const deliverMs = 180_000;
const neverSettled = 'never-settled';
/** Orders signed at a time. */
const atOnce = 4;

interface Row {
  readonly study: HeldStudy;
  readonly outcome: string;
  readonly statements: number;
  readonly cited: number;
  readonly seconds: number | null;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile())
    .sort();
}

function dataFolder(): string {
  const folder = process.env.WETREAD_TEST_DATA ?? sharedPath('data');
  for (const part of ['dicom', 'fhir']) {
    if (!existsSync(join(folder, part))) throw new Error(`${resolve(folder)} has no folder ${part}; name another with WETREAD_TEST_DATA`);
  }
  return folder;
}

/** Works on all items, `atOnce` of them at a time. */
async function each<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  const queue = [...items];
  const lane = async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

async function startHospital(folder: string, records: Records): Promise<{ process: StartedProcess; fhir: string }> {
  mkdirSync(folder, { recursive: true });
  const paths = records.bundles.map((bundle, index) => {
    const path = join(folder, `${String(index).padStart(4, '0')}.json`);
    writeFileSync(path, JSON.stringify(bundle));
    return path;
  });
  const started = await startProcess({ args: ['test/e2e/pacs/hospital.ts', folder, ...paths], ready: /^(\{.*\})$/m });
  const { fhir, refused }: { fhir: string; refused: { path: string; reason: string }[] } = JSON.parse(started.said); // hospital.ts wrote it
  for (const { path, reason } of refused) {
    if (path === paths[0]) {
      await started.stop();
      throw new Error(`the FHIR server refuses the records: ${reason}`);
    }
    say(`a history was left out: ${reason}`);
  }
  return { process: started, fhir };
}

/** Before anything is drafted: the contradicting record gets a card that says so, and nothing else comes of it. */
async function conflictCheck(service: string, fhir: string, records: Records, orthanc: Orthanc): Promise<Check> {
  const name = 'a patient conflict releases nothing';
  const { conflict } = records;
  if (conflict === null) return leftOut(name, 'no header says a birth date, a sex or a name that a record could contradict');
  const { see, done } = check(name);
  const { uid } = conflict.study;
  const before = (await instanceCounts(orthanc)).get(uid);
  const settled = await signUntilSettled(service, conflict, { timeoutMs: settleMs, pollMs: 1000 });
  const told = settled.kind === 'refused' && settled.code === 'identity-conflict';
  see(told ? null : `a record with another ${conflict.field} led to ${JSON.stringify(settled)}`);
  // Time in which a job or a delivery would start.
  await wait(3000);
  const written = await writtenFor(fhir, conflict.patient);
  see(written.length === 0 ? null : 'a report was written for it');
  const after = (await instanceCounts(orthanc)).get(uid);
  see(after === before ? null : `the study had ${before} instances and has ${after} now`);
  return done();
}

interface Drafted {
  readonly ordered: OrderedStudy;
  readonly settled: Extract<Settled, { kind: 'ready' }>;
}

async function signAll(service: string, ordered: readonly OrderedStudy[]): Promise<{ ready: Drafted[]; refused: Map<string, string> }> {
  const ready: Drafted[] = [];
  const refused = new Map<string, string>();
  await each(ordered, async (one) => {
    const settled = await signUntilSettled(service, one, { timeoutMs: settleMs, pollMs: 1000 });
    if (settled.kind === 'ready') {
      await accept(service, settled.card);
      ready.push({ ordered: one, settled });
    } else refused.set(one.study.uid, settled.kind === 'refused' ? settled.code : neverSettled);
    say(`${ready.length + refused.size}/${ordered.length} ${settled.kind === 'refused' ? `refused ${settled.code}` : settled.kind}`);
  });
  return { ready, refused };
}

/** Waits until each accepted draft is on the FHIR server with its Provenance. @returns uuid of the card -> what was written */
async function waitForReports(fhir: string, ready: readonly Drafted[]): Promise<Map<string, Written>> {
  const until = Date.now() + deliverMs;
  const found = new Map<string, Written>();
  for (;;) {
    const missing = new Set(ready.filter(({ settled }) => !found.has(settled.card.uuid)).map(({ ordered }) => ordered.patient));
    if (missing.size === 0 || Date.now() > until) return found;
    for (const patient of missing) {
      for (const one of await writtenFor(fhir, patient)) {
        // The user is a radiologist, whose card shows statements.
        const whole = one.resources.some(({ resourceType }) => resourceType === 'Provenance');
        if (whole) found.set(cardUuid(one.draftKey, 'statements'), one);
      }
    }
    await wait(500);
  }
}

/** Waits until the SR of every draft is in Orthanc. */
async function waitForSrs(orthanc: Orthanc, written: readonly Written[]): Promise<void> {
  const until = Date.now() + deliverMs;
  for (;;) {
    const held = await heldInstances(orthanc);
    if (written.every(({ draftKey }) => held.has(srInstanceUid(draftKey))) || Date.now() > until) return;
    await wait(500);
  }
}

/** Every order once more, after delivery: the same card, and in the end one report and one SR for each study. */
async function againCheck(
  service: string,
  fhir: string,
  orthanc: Orthanc,
  before: ReadonlyMap<string, number>,
  drafted: readonly Drafted[],
): Promise<Check> {
  const { see, done } = check('the order signed again after delivery gives the same draft, one report and one SR');
  const again = new Map<string, string>();
  await each(drafted, async ({ ordered, settled }) => {
    const cards = await signOnce(service, ordered);
    const reports = (await writtenFor(fhir, ordered.patient)).filter(({ imagingStudy }) => imagingStudy.includes(ordered.imagingStudy));
    if ('code' in cards) again.set(ordered.study.uid, `refused ${cards.code}`);
    else if (!cards.some(({ uuid }) => uuid === settled.card.uuid)) {
      again.set(
        ordered.study.uid,
        `found ${cards.map(({ source }) => source.topic.code).join(', ') || 'no card'}, expected the first card`,
      );
    } else if (reports.length !== 1) again.set(ordered.study.uid, `${reports.length} reports`);
  });
  const now = await instanceCounts(orthanc);
  for (const { ordered } of drafted) {
    const { uid } = ordered.study;
    const added = (now.get(uid) ?? 0) - (before.get(uid) ?? 0);
    const failure = again.get(uid) ?? (added === 1 ? null : `${added} instances were added to the study, expected the SR`);
    see(failure === null ? null : `${uid}: ${failure}`);
  }
  return done();
}

function rowsOf(
  studies: readonly HeldStudy[],
  drafted: readonly Drafted[],
  refused: ReadonlyMap<string, string>,
  written: ReadonlyMap<string, Written>,
): Row[] {
  return studies.map((study) => {
    const settled = drafted.find(({ ordered }) => ordered.study.uid === study.uid)?.settled;
    const own = settled === undefined ? undefined : written.get(settled.card.uuid);
    const outcome = settled === undefined ? `refused ${refused.get(study.uid) ?? 'no-patient-id'}` : 'drafted';
    return {
      study,
      outcome,
      statements: own?.sentences.length ?? 0,
      cited: new Set(own?.cited.map(({ instance, frame }) => `${instance}#${frame}`)).size,
      seconds: settled?.seconds ?? null,
    };
  });
}

function print(rows: readonly Row[], checks: readonly Check[], asJson: boolean): void {
  if (asJson) {
    const studies = rows.map(({ study, ...row }) => ({
      study: study.uid,
      modalities: [...new Set(study.series.map(({ modality }) => modality))],
      ...row,
    }));
    process.stdout.write(`${JSON.stringify({ studies, checks })}\n`);
    return;
  }
  for (const { study, outcome, statements, cited, seconds } of rows) {
    const what = [...new Set(study.series.map(({ modality }) => modality))].join('/');
    const more = seconds === null ? '' : `${statements} statements, ${cited} images cited, ${seconds.toFixed(1)} s`;
    process.stdout.write(`${study.uid.padEnd(66)}${what.padEnd(8)}${outcome.padEnd(34)}${more}\n`);
  }
  process.stdout.write('\n');
  for (const one of checks) {
    const state = one.leftOut !== null ? 'left out' : failed(one) ? 'FAILED' : 'ok';
    process.stdout.write(`${state.padEnd(10)}${one.name} (${one.leftOut ?? `looked at ${one.looked}`})\n`);
    for (const failure of one.failures.slice(0, 20)) process.stdout.write(`          ${failure}\n`);
  }
}

async function run(asJson: boolean): Promise<boolean> {
  const data = dataFolder();
  if (!things.orthanc.here()) throw new Error(`Orthanc is not here: ${things.orthanc.how}`);
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), 'wetread-e2e-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const orthanc = stack.adopt(await startOrthanc(), (one) => one.stop());
  const files = filesBelow(join(data, 'dicom'));
  const loaded = await orthanc.load(files);
  const studies = await heldStudies(orthanc);
  const histories = readBundles(join(data, 'fhir'));
  say(
    `${files.length} files, ${loaded.stored} taken by Orthanc, ${loaded.refused.length} refused; ${studies.length} studies; ${histories.bundles.length} histories`,
  );
  if (studies.length === 0 || histories.bundles.length === 0) throw new Error('found no study or no FHIR bundle: nothing was looked at');
  const records = makeRecords(studies, histories.bundles);
  const bundle = join(folder, 'bundle');
  await makeRandomBundle({ dir: bundle, seed: 8, modalities: ['CT', 'CR', 'DX', 'MR'], maxImages: 4, citeUncalibrated: true });
  const hospital = await startHospital(join(folder, 'hospital'), records);
  stack.adopt(hospital.process, (one) => one.stop());
  const site = writeSite(join(folder, 'service'), {
    fhir: { base: hospital.fhir, auth: { kind: 'none' } },
    dicomweb: { root: orthanc.root, auth: { kind: 'basic', user: orthanc.user, password: { env: 'WETREAD_E2E_PACS_PASSWORD' } } },
    patients: { defaultIssuer: records.issuers.defaultIssuer, issuers: [...records.issuers.issuers] },
    writeOn: 'accepted',
    store: { kind: 'embedded' },
    bundle,
    deadlineMs: 30_000,
  });
  const service = await startService('bin/wetread', site, { WETREAD_E2E_PACS_PASSWORD: orthanc.password });
  let stopped = false;
  stack.defer(async () => {
    if (!stopped) await service.stop();
  });
  say(`the service answers on ${service.said}`);

  const before = await instanceCounts(orthanc);
  const checks: Check[] = [await conflictCheck(service.said, hospital.fhir, records, orthanc)];
  const { ready, refused } = await signAll(service.said, records.ordered);
  const written = await waitForReports(hospital.fhir, ready);
  const all = [...written.values()];
  await waitForSrs(orthanc, all);
  const arrived = check('every accepted draft was written to the FHIR server');
  for (const { ordered, settled } of ready) arrived.see(written.has(settled.card.uuid) ? null : `${ordered.study.uid}: no report`);
  checks.push(arrived.done());
  const drafted = ready.filter(({ ordered, settled }) => {
    const own = written.get(settled.card.uuid)?.imagingStudy.includes(ordered.imagingStudy) ?? true;
    // No bundle reads the ordered study, and another one of the patient bears on the order.
    if (!own) refused.set(ordered.study.uid, 'another-study-drafted');
    return own;
  });
  checks.push(await againCheck(service.said, hospital.fhir, orthanc, before, drafted));
  await service.stop();
  stopped = true;
  const store = await openStore({ kind: 'embedded', folder: join(folder, 'service/data/store') });
  try {
    checks.push(await checkStore(all, store));
    if (records.conflict !== null) {
      const rows = await store.query('select key from draft where patient_id = $1', [records.conflict.patient]);
      const { see, done } = check('the store holds no draft of the patient conflict');
      see(rows.length === 0 ? null : `${rows.length} drafts`);
      checks.push(done());
    }
  } finally {
    await store.close();
  }
  checks.push(...(await checkWritten(all, orthanc, folder)));
  const rows = rowsOf(studies, drafted, refused, written);
  print(rows, checks, asJson);
  const cited = rows.reduce((sum, row) => sum + row.cited, 0);
  const never = rows.filter(({ outcome }) => outcome === `refused ${neverSettled}`).length;
  say(`${drafted.length} drafted, ${rows.length - drafted.length} refused, ${cited} images cited`);
  const good = drafted.length > 0 && cited > 0 && never === 0 && !checks.some(failed);
  if (!good) say(`\nthe service's last words:\n${service.output().slice(-6000)}`);
  return good;
}

try {
  if (!(await run(process.argv.includes('--json')))) process.exitCode = 1;
} catch (error) {
  say(`e2e:pacs: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
