/**
 * Every family of the registry from a signed order to the report: its tiny random checkpoint, imported as its authors' files are and stamped
 * as a test, reads the one modality that is its own; one service has all of them, one hospital serves them all.
 *
 * A family without `test/model/families/<family>/checkpoint.ts` (writeTinyCheckpoint) fails by its name.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pino from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readPart10 } from '#dicom/read.ts';
import { writePart10 } from '#dicom/write.ts';
import { type Draft, released } from '#domain/draft.ts';
import { families } from '#model/families/registry.ts';
import { importCheckpoint } from '#model/import.ts';
import { patientIssuer, patientSystem } from '#phantom/person.ts';
import { srHeaderOf } from '#reading/deliver.ts';
import { srDocument } from '#report/sr.ts';
import { dependenceWords, stampNotice } from '#report/words.ts';
import { startSandbox } from '#sandbox/sandbox.ts';
import { serve } from '#service/serve.ts';
import { parseSite } from '#site/site.ts';
import { listen } from '#src/listen.ts';
import { serviceVersion } from '#src/version.ts';
import { openStore } from '#work/store.ts';
import { type Exam, examsOf, writeExams } from './families/exams.ts';
import { goAll, type Kept, keptOf, readyCard, type Signed, type Way } from './families/way.ts';

const explicitLittleEndian = '1.2.840.10008.1.2.1';
const radiologist = '66862007';

const folder = mkdtempSync(join(tmpdir(), 'wetread-families-'));
const exams = examsOf(families.length, new Date());
const cases = families.flatMap(({ name }, index) => {
  const exam = exams[index];
  return exam === undefined ? [] : [{ name, exam }];
});

interface Writer {
  /** Writes a checkpoint in the authors' form into the new folder `to`; what no file of theirs says stands in its wetread.json. */
  writeTinyCheckpoint(to: string, seed: number): Promise<void>;
}

/** Folder of the family's bundle. */
async function importTiny(family: string, modality: string): Promise<string> {
  const { writeTinyCheckpoint } = (await import(`../model/families/${family}/checkpoint.ts`)) as Writer; // the convention of this test
  const from = join(folder, 'checkpoints', family);
  mkdirSync(join(folder, 'checkpoints'), { recursive: true });
  await writeTinyCheckpoint(from, 11);
  const metadata = {
    name: `tiny ${family}`,
    stamped: 'test' as const,
    intendedUse: { modalities: [modality] },
    limits: { maxNewTokens: 64 },
    attribution: { citeUncalibrated: true },
  };
  const { bundle, report } = await importCheckpoint({ from, to: join(folder, 'bundles', family), metadata });
  if (report.family !== family) throw new Error(`the checkpoint of ${family} was taken for one of ${report.family}`);
  return bundle.dir;
}

const bundles = new Map<string, string>();
const problems = new Map<string, unknown>();
const ways = new Map<string, Way>();
const kept = new Map<string, Kept>();

/** One hospital, one service with every bundle there is; both are closed when everything was delivered. */
async function run(): Promise<void> {
  const written = writeExams(exams, join(folder, 'hospital'));
  await using stack = new AsyncDisposableStack();
  const hospital = await startSandbox({
    dataDir: join(folder, 'sandbox'),
    ports: { fhir: 0, dicomweb: 0, authorization: 0 },
    dicomFolders: [written.dicom],
    fhirBundles: [written.fhir],
    now: () => new Date(),
  });
  stack.defer(() => hospital.close());
  expect(hospital.bundles.map(({ refused }) => refused)).toEqual([null]);
  expect(hospital.refusedFiles).toEqual([]);
  const listening = await listen('service', 0);
  const site = parseSite(
    {
      environment: 'test',
      service: { publicUrl: listening.origin, port: 0 },
      dataFolder: 'service',
      fhir: { base: hospital.fhir, auth: { kind: 'none' } },
      dicomweb: { root: hospital.dicomweb, auth: { kind: 'none' } },
      patients: { defaultIssuer: patientIssuer, issuers: [{ issuer: patientIssuer, system: patientSystem }] },
      hooks: { requireJwt: false, allowAnonymousLoopback: true, deadlineMs: 30_000 },
      cards: { statementsFor: [radiologist] },
      store: { kind: 'embedded' },
      snapshotKey: { env: 'KEY' },
      bundles: [...bundles.values()].map((path) => ({ path, device: 'cpu', threads: 1 })),
    },
    'test',
    folder,
    { env: { KEY: '5e'.repeat(32) } },
  );
  const service = await serve(site, { role: 'all', listening, log: pino({ level: 'silent' }), now: () => new Date() });
  const going = cases.filter(({ name }) => bundles.has(name));
  const place = { fhir: hospital.fhir, dicomweb: hospital.dicomweb, service: listening.origin };
  const gone = await goAll(
    going.map(({ exam }) => exam),
    place,
  ).finally(async () => {
    await listening.close();
    await service.close();
  });
  const store = await openStore({ kind: 'embedded', folder: join(folder, 'service', 'store') });
  stack.defer(() => store.close());
  for (const [index, { name }] of going.entries()) {
    const way = gone[index];
    if (way === undefined) continue;
    ways.set(name, way);
    if (way.written !== null) kept.set(name, await keptOf(store, way.written));
  }
}

beforeAll(async () => {
  for (const { name, exam } of cases) {
    try {
      bundles.set(name, await importTiny(name, exam.modality));
    } catch (error) {
      problems.set(name, error);
    }
  }
  await run();
}, 300_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Topics of the cards, or the code of a refusal; a card without a draft brings its words, which say why. */
function topicsOf(answer: Signed | null | undefined): unknown {
  if (answer === null || answer === undefined || 'code' in answer) return answer;
  return answer.map(({ source, detail }) => (source.topic.code === 'draft-failed' ? detail : source.topic.code));
}

/** The structured report as it was sent: it follows from the draft and an image of the study. */
function sent(draft: Draft, { files }: Exam): Uint8Array {
  const shown = files
    .map((bytes) => readPart10(bytes))
    .find(({ header }) => header.text('SOPInstanceUID') === draft.images[0]?.ref.instance);
  if (shown === undefined) throw new Error('the draft shows no image of the study');
  const { dataset, sopClass, sopInstance } = srDocument(draft, srHeaderOf(shown), serviceVersion);
  return writePart10(dataset, { sopClass, sopInstance, transferSyntax: explicitLittleEndian });
}

describe.each(cases)('$name', ({ name, exam }) => {
  it('goes the whole way: being prepared, drafted, accepted, written, read back', () => {
    if (problems.has(name)) throw problems.get(name);
    const way = ways.get(name);
    expect(topicsOf(way?.first)).toEqual(['draft-preparing']);
    expect(topicsOf(way?.settled)).toEqual(['draft-ready']);
    const { draft, deliveries } = kept.get(name) ?? { draft: null, deliveries: [] };
    expect(draft?.model).toMatchObject({ name: `tiny ${name}`, stamped: 'test' });
    const shown: readonly string[] = draft?.images.map(({ ref }) => ref.instance) ?? [];
    expect(shown).toEqual(exam.instanceUids.filter((uid) => shown.includes(uid)));
    expect(shown.length).toBeGreaterThan(0);
    const left = draft?.warnings.some(({ code }) => code === 'images-dropped');
    expect(left).toBe(shown.length < exam.instanceUids.length);
    expect(deliveries.map(({ target, state }) => [target, state])).toEqual([
      ['fhir', 'delivered'],
      ['pacs', 'delivered'],
    ]);
    expect(deliveries.map(({ result }) => result?.equal ?? result?.differences)).toEqual([[], 'bytes']);
  });

  it('says of each sentence on which images it depends, or that it is none, in finite numbers', () => {
    const draft = kept.get(name)?.draft;
    const statements = draft?.statements ?? [];
    expect(statements.length).toBeGreaterThan(0);
    for (const { dependence, citations, support } of statements) {
      expect(dependence === 'depends').toBe(citations.length > 0);
      expect(dependence).not.toBe('not-attributed');
      expect(Number.isFinite(support)).toBe(true);
      for (const { image, ref, share } of citations) {
        expect(exam.instanceUids).toContain(ref.instance);
        expect(draft?.images[image - 1]?.ref).toEqual(ref);
        expect(share === null || (share >= 0 && share <= 1)).toBe(true);
      }
    }
  });

  it('card, report and structured report have the same sentences, and are stamped as a test', () => {
    const { settled = null, written, sr } = ways.get(name) ?? {};
    const draft = kept.get(name)?.draft;
    const card = readyCard(settled);
    if (!draft || !written || !sr || card === null) throw new Error('it did not come to a report');
    const sentences = released(draft).map(({ text }) => text);
    expect(written.sentences).toEqual(sentences);
    const plain = card.detail.replaceAll('\\', '');
    for (const statement of released(draft)) expect(plain).toContain(`${statement.text} *(${dependenceWords(statement)})*`);
    const document = Buffer.from(sr).toString('utf8');
    for (const text of sentences) expect(document).toContain(text);
    for (const shown of [plain, JSON.stringify(written.report), document]) expect(shown).toContain(stampNotice);
  });

  it('the report is preliminary, of the order, the patient and the study', () => {
    const { report, imagingStudy } = ways.get(name)?.written ?? {};
    expect(report).toMatchObject({
      status: 'partial',
      subject: { reference: `Patient/${exam.patient.id}` },
      basedOn: [{ reference: `ServiceRequest/${exam.order.id}` }],
    });
    expect(imagingStudy).toEqual([exam.imagingStudy]);
  });

  it('the PACS gives the structured report byte for byte as it was sent', () => {
    const draft = kept.get(name)?.draft;
    const sr = ways.get(name)?.sr;
    if (!draft || !sr) throw new Error('it did not come to a structured report');
    expect(Buffer.from(sr).equals(sent(draft, exam))).toBe(true);
  });
});
