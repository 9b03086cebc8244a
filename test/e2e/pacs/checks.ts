/**
 * What must hold of everything that was written; each check counts what it looked at, and nothing looked at is a failure.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import dicomParser, { type DataSet } from 'dicom-parser';
import { srInstanceUid } from '#report/sr.ts';
import { deliveriesOf } from '#work/outbox.ts';
import type { Store } from '#work/store.ts';
import { unaccepted, validateWithHapi } from '../../hapi/validate.ts';
import type { Orthanc } from '../../orthanc/orthanc.ts';
import { available, things } from '../../setup/require.ts';
import { type HeldInstance, heldInstances, orthancBytes } from './archive.ts';
import type { Written } from './written.ts';

export interface Check {
  readonly name: string;
  readonly looked: number;
  readonly failures: readonly string[];
  /** Why it was not run; null = it was. */
  readonly leftOut: string | null;
}

/** Counts what `look` sees; a text is a failure. */
export function check(name: string): { see: (failure: string | null) => void; done: () => Check } {
  let looked = 0;
  const failures: string[] = [];
  return {
    see(failure) {
      looked += 1;
      if (failure !== null) failures.push(failure);
    },
    done: () => ({ name, looked, failures, leftOut: null }),
  };
}

/** A check that cannot be made here, with the reason. */
export function leftOut(name: string, why: string): Check {
  return { name, looked: 0, failures: [], leftOut: why };
}

function absent(name: string, thing: keyof typeof things): Check {
  return leftOut(name, `${thing} is not here: ${things[thing].how}`);
}

/** A failed check: something did not hold, or nothing was looked at. */
export function failed({ looked, failures, leftOut }: Check): boolean {
  return leftOut === null && (looked === 0 || failures.length > 0);
}

function citedExist(written: readonly Written[], held: ReadonlyMap<string, HeldInstance>): Check {
  const { see, done } = check('cited images exist in Orthanc where they are said to be');
  for (const { cited } of written) {
    for (const { study, series, instance } of cited) {
      const found = held.get(instance);
      const right = found !== undefined && found.study === study && found.series === series;
      see(
        right ? null : `${study}/${series}/${instance} is ${found === undefined ? 'not in Orthanc' : `in ${found.study}/${found.series}`}`,
      );
    }
  }
  return done();
}

/** The one part of a multipart/related answer. */
function onlyPart(type: string, body: Buffer): Buffer {
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1];
  if (boundary === undefined) throw new Error(`found ${type}, expected multipart/related`);
  const start = body.indexOf('\r\n\r\n') + 4;
  const end = body.lastIndexOf(`\r\n--${boundary}--`);
  if (start < 4 || end < start) throw new Error('the multipart answer has no complete part');
  return body.subarray(start, end);
}

interface FetchedSr {
  readonly uid: string;
  readonly written: Written;
  readonly bytes: Buffer;
}

/** Fetches every SR by WADO-RS and compares it with the file as Orthanc has it. */
async function srFiles(written: readonly Written[], orthanc: Orthanc, held: ReadonlyMap<string, HeldInstance>) {
  const { see, done } = check('the SR by WADO-RS equals the stored file byte for byte');
  const files: FetchedSr[] = [];
  for (const one of written) {
    const uid = srInstanceUid(one.draftKey);
    const place = held.get(uid);
    if (place === undefined) {
      see(`${uid} is not in Orthanc`);
      continue;
    }
    const path = `/dicom-web/studies/${place.study}/series/${place.series}/instances/${uid}`;
    const answer = await orthancBytes(orthanc, path, 'multipart/related; type="application/dicom"; transfer-syntax=*');
    const part = onlyPart(answer.type, answer.bytes);
    const { bytes } = await orthancBytes(orthanc, `/instances/${place.id}/file`);
    see(part.equals(bytes) ? null : `${uid}: ${part.length} bytes by WADO-RS, ${bytes.length} in Orthanc`);
    files.push({ uid, written: one, bytes });
  }
  return { files, check: done() };
}

function toolCheck(name: string, files: readonly FetchedSr[], folder: string, judge: (path: string) => string | null): Check {
  const { see, done } = check(name);
  mkdirSync(folder, { recursive: true });
  for (const { uid, bytes } of files) {
    const path = join(folder, `${uid}.dcm`);
    writeFileSync(path, bytes);
    const failure = judge(path);
    see(failure === null ? null : `${uid}: ${failure}`);
  }
  return done();
}

function dciodvfy(path: string): string | null {
  const { stdout, stderr } = spawnSync('dciodvfy', [path], { encoding: 'utf8' });
  const output = `${stdout}${stderr}`;
  if (!output.includes('ComprehensiveSR')) return `it was not taken for a Comprehensive SR: ${output.slice(0, 200)}`;
  return output.split('\n').find((line) => line.startsWith('Error')) ?? null;
}

function dsrdump(path: string): string | null {
  const { status, stderr } = spawnSync('dsrdump', [path], { encoding: 'utf8' });
  return status === 0 ? null : stderr.slice(0, 300);
}

/** Finding, Previous Finding, Impression (CID 7002). */
const statementConcepts = new Set(['121071', '121069', '121073']);

function textOf(dataSet: DataSet, tag: string): string | null {
  const element = dataSet.elements[tag];
  if (element === undefined) return null;
  // The SR is written in UTF-8.
  const bytes = dataSet.byteArray.subarray(element.dataOffset, element.dataOffset + element.length);
  return Buffer.from(bytes)
    .toString('utf8')
    .replace(/[ \0]+$/, '');
}

function itemsOf(dataSet: DataSet, tag: string): DataSet[] {
  return (dataSet.elements[tag]?.items ?? []).flatMap((item) => item.dataSet ?? []);
}

/** TextValue of every content item that is a statement, ContentSequence read in depth. */
function srSentences(dataSet: DataSet): string[] {
  return itemsOf(dataSet, 'x0040a730').flatMap((item) => {
    const concept = itemsOf(item, 'x0040a043').map((code) => textOf(code, 'x00080100'))[0] ?? '';
    const text = textOf(item, 'x0040a160');
    const own = text !== null && statementConcepts.has(concept) ? [text] : [];
    return [...own, ...srSentences(item)];
  });
}

function sentencesEqual(files: readonly FetchedSr[]): Check {
  const { see, done } = check('the sentences of the SR equal those of the Observations');
  for (const { uid, written, bytes } of files) {
    // Behind each sentence the SR says in brackets which images it depends on.
    const inSr = srSentences(dicomParser.parseDicom(bytes)).map((text) => text.slice(0, text.lastIndexOf(' [')));
    const same = JSON.stringify([...inSr].sort()) === JSON.stringify([...written.sentences].sort());
    see(same && inSr.length > 0 ? null : `${uid}: SR ${JSON.stringify(inSr)}, FHIR ${JSON.stringify(written.sentences)}`);
  }
  return done();
}

async function hapiClean(written: readonly Written[], folder: string): Promise<Check> {
  const name = "HAPI's validator is clean on every resource written";
  if (!available('java')) return absent(name, 'java');
  mkdirSync(folder, { recursive: true });
  const files = new Map<string, string>();
  for (const resource of written.flatMap(({ resources }) => resources)) {
    const path = join(folder, `${resource.resourceType}-${resource.id}.json`);
    writeFileSync(path, JSON.stringify(resource));
    files.set(path, `${resource.resourceType}/${resource.id}`);
  }
  if (files.size === 0) return { name, looked: 0, failures: [], leftOut: null };
  const issues = unaccepted(await validateWithHapi([...files.keys()]));
  return {
    name,
    looked: files.size,
    failures: issues.map((issue) => `${files.get(issue.file)} ${issue.severity} ${issue.location}: ${issue.message}`),
    leftOut: null,
  };
}

/** Checks that need Orthanc and the FHIR server's resources. */
export async function checkWritten(written: readonly Written[], orthanc: Orthanc, folder: string): Promise<readonly Check[]> {
  const held = await heldInstances(orthanc);
  const { files, check: bytes } = await srFiles(written, orthanc, held);
  const verify = 'dciodvfy prints no line that starts with Error';
  const dump = 'dsrdump reads the SR';
  const srFolder = join(folder, 'sr');
  return [
    citedExist(written, held),
    bytes,
    available('dciodvfy') ? toolCheck(verify, files, srFolder, dciodvfy) : absent(verify, 'dciodvfy'),
    available('dcmtk') ? toolCheck(dump, files, srFolder, dsrdump) : absent(dump, 'dcmtk'),
    sentencesEqual(files),
    await hapiClean(written, join(folder, 'fhir')),
  ];
}

/** The store once the service has stopped: each draft was delivered to both, and its SR came back byte for byte. */
export async function checkStore(written: readonly Written[], store: Store): Promise<Check> {
  const { see, done } = check('the outbox says delivered, and the SR read back equal byte for byte');
  for (const { draftKey } of written) {
    const rows = await deliveriesOf(store.query, draftKey);
    const sr = rows.find(({ target }) => target === 'pacs');
    const delivered = rows.length === 2 && rows.every(({ state }) => state === 'delivered');
    const equal = sr?.result?.equal === 'bytes';
    see(
      delivered && equal
        ? null
        : `${draftKey}: ${JSON.stringify(rows.map(({ target, state, code, result }) => [target, state, code, result?.equal]))}`,
    );
  }
  return done();
}
