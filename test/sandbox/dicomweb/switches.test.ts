/** Each fault switch of the sandbox's PACS, and what wetread's own client makes of it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readUids } from '#dicom/read.ts';
import { type Dicomweb, openDicomweb } from '#dicomweb/client.ts';
import { codeOf, type Warning } from '#domain/errors.ts';
import { parseUid } from '#domain/uid.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { noSwitches, type Switches } from '#sandbox/dicomweb/switches.ts';
import { decoy, type RawServer } from '../../net/servers.ts';
import { film, startPacs, type TestPacs } from './start.ts';

const inside = 'a-boundary-in-the-pixels';
// The delimiter's text without the line break before it or after it, as pixel values may be.
const pixels = Buffer.from(`x--${inside}\r\nContent-Type: text/html\r\n--${inside}!--${inside}--`.padEnd(128, 'x'), 'latin1');
const odd = { Rows: 8, Columns: 8, PixelData: new Uint8Array(pixels).buffer };
const instances = ['1.2.3.1.1', '1.2.3.1.2', '1.2.3.1.3'].map((uid) => parseUid(uid));
const study = parseUid('1.2.3');
let pacs: TestPacs;
let foreign: RawServer;
const neighbours: Neighbour[] = [];

beforeAll(async () => {
  foreign = await decoy();
  const other = { StudyInstanceUID: '1.2.4', SeriesInstanceUID: '1.2.4.1', PatientID: 'B1' };
  const files = Object.fromEntries(instances.map((uid) => [uid, film(uid, odd)]));
  pacs = await startPacs({ ...files, other: film('1.2.4.1.1', other) });
});
afterAll(async () => {
  await Promise.all(neighbours.map((one) => one.close()));
  await pacs.close();
  await foreign.close();
});
afterEach(() => {
  Object.assign(pacs.switches, noSwitches());
  expect(foreign.connections()).toBe(0);
});

function client(): Dicomweb {
  const neighbour = openNeighbour({ name: 'PACS', origins: [pacs.base], idleMs: 200, minBytesPerSecond: 2000, rateWindowMs: 300 });
  neighbours.push(neighbour);
  const roots = { qido: pacs.base, wado: pacs.base, stow: pacs.base };
  const patience = { maxWaitMs: 1000, maxWaits: 1 };
  return openDicomweb({ roots, neighbour, token: null, readUids, defaultIssuer: null, limits: { maxPartBytes: 100_000 }, patience });
}

interface Outcome {
  readonly code: string | null;
  readonly got: number;
  readonly warnings: readonly string[];
}

/** The study described and read as the service does, with the first fault as the outcome. */
async function readStudy(faults: Partial<Switches>): Promise<Outcome> {
  Object.assign(pacs.switches, faults);
  const warnings: Warning[] = [];
  let got = 0;
  const outcome = (error: unknown): Outcome => ({
    code: error === null ? null : codeOf(error),
    got,
    warnings: [...new Set(warnings.map(({ code }) => code))],
  });
  const one = client();
  try {
    const found = await one.searchStudies({ patientId: 'A1' });
    const { study: described, complete, warnings: more } = await one.describe(study, 'instances');
    warnings.push(...found.warnings, ...more);
    for (const series of described?.series ?? []) {
      const wanted = series.instances.map(({ uid }) => uid);
      const options = { pausesMs: [1, 1], onWarning: (warning: Warning) => void warnings.push(warning) };
      for await (const { bytes, uids } of one.retrieve(study, series, wanted, options)) {
        if (Buffer.from(bytes).equals(Buffer.from(film(uids.instance, odd)))) got += 1;
      }
    }
    return complete ? outcome(null) : { ...outcome(null), code: 'incomplete' };
  } catch (error) {
    return outcome(error);
  }
}

const whole = { code: null, got: 3 };

describe('a fault for ever', () => {
  const retrieve = { at: 'retrieve' } as const;
  const faults: readonly (readonly [string, Partial<Switches>, Partial<Outcome>])[] = [
    ['none', {}, { ...whole, warnings: [] }],
    ['a cut retrieve', { ...retrieve, cutAfter: 700 }, { code: 'dicomweb-missing-instances', got: 0 }],
    ['a cut search', { at: 'search', cutAfter: 60 }, { code: 'dicomweb-bad-json', got: 0 }],
    ['a reset', { ...retrieve, resetAfter: 700 }, { code: 'dicomweb-missing-instances', got: 0 }],
    ['a stall', { at: 'search', stallAfter: 5 }, { code: 'net-timeout' }],
    ['a drip', { at: 'search', dripBytes: 5 }, { code: 'net-timeout' }],
    ['206', { ...retrieve, status: 206 }, { code: 'dicomweb-missing-instances', got: 0 }],
    ['401', { status: 401 }, { code: 'dicomweb-unauthorised', got: 0 }],
    ['503 for longer than is waited', { ...retrieve, status: 503, retryAfter: '30' }, { code: 'dicomweb-refused', got: 0 }],
    ['HTML with 200', { html: true }, { code: 'dicomweb-unexpected-type', got: 0 }],
    ['HTML with 200 for a retrieve', { ...retrieve, html: true }, { code: 'dicomweb-unexpected-type', got: 0 }],
    ['broken JSON', { brokenJson: true, at: 'search' }, { code: 'dicomweb-bad-json', got: 0 }],
    ['parts of another type', { partType: 'text/html' }, { code: 'dicomweb-missing-instances', warnings: ['dicomweb-part-dropped'] }],
    ['a boundary that stands in the pixel data', { boundary: inside }, { ...whole, warnings: [] }],
    ['instances over the limit', { padding: 200_000 }, { code: 'dicomweb-missing-instances', got: 0 }],
    ['a missing instance', { missing: true }, { code: 'dicomweb-missing-instances', got: 2 }],
    ['an instance that is not listed', { extra: true }, { code: null, got: 2, warnings: ['dicomweb-extra-instance'] }],
    ['a list that is shorter than its count', { shortList: true }, { code: 'incomplete', got: 2 }],
    ['a search that ignores the patient', { ignoredKeys: ['PatientID'] }, { ...whole, warnings: ['dicomweb-ignored-key'] }],
    ['a search that ignores the study', { ignoredKeys: ['StudyInstanceUID'] }, { ...whole, warnings: ['dicomweb-ignored-key'] }],
    ['the same page for every offset', { paging: 'repeats' }, { ...whole, warnings: [] }],
    ['pages that begin again', { paging: 'loops' }, { ...whole, warnings: [] }],
  ];
  test.each(faults)('%s', async (_, switches, expected) => {
    expect(await readStudy(switches)).toMatchObject(expected);
  });

  test('a redirect and addresses on another host lead nobody there', async () => {
    expect((await readStudy({ redirect: `${foreign.origin}/x` })).code).toBe('net-redirect-refused');
    expect(await readStudy({ redirect: null, otherHost: foreign.origin })).toMatchObject(whole);
  });

  test('PatientID without letter case: the other spelling finds nobody, and it is said', async () => {
    pacs.switches.caseless = true;
    const { found, warnings } = await client().searchStudies({ patientId: 'a1' });
    expect([found, warnings.map(({ code }) => code)]).toEqual([[], ['dicomweb-ignored-key']]);
  });
});

describe('a fault that passes', () => {
  test.each([
    ['a cut', { at: 'retrieve', cutAfter: 900 }],
    ['a reset', { at: 'retrieve', resetAfter: 900 }],
    ['a stall', { at: 'retrieve', stallAfter: 900 }],
    ['503 with Retry-After', { status: 503, retryAfter: '0' }],
    ['broken JSON', { brokenJson: true }],
    ['a search that is cut', { at: 'search', cutAfter: 60 }],
  ] as const)('%s, once: the study is read whole', async (_, switches) => {
    expect(await readStudy({ ...switches, times: 1 })).toMatchObject(whole);
    expect(pacs.switches.times).toBe(0);
  });
});

describe('a store', () => {
  test('that keeps the old bytes, or nothing, is noticed by reading back', async () => {
    const [uid] = instances;
    Object.assign(pacs.switches, { keepsOld: true });
    expect(
      codeOf(
        await client()
          .store(film(uid ?? '', { ...odd, PatientID: 'A9' }))
          .catch((error: unknown) => error),
      ),
    ).toBe('delivery-conflict');
    Object.assign(pacs.switches, { loses: true });
    expect(
      codeOf(
        await client()
          .store(film('1.2.3.1.9'))
          .catch((error: unknown) => error),
      ),
    ).toBe('dicomweb-store-failed');
  });

  test('whose answer is cut is an error, and the next try finds the object there', async () => {
    Object.assign(pacs.switches, { at: 'store', cutAfter: 10, times: 1 });
    const bytes = film('1.2.3.9.1', { StudyInstanceUID: '1.2.9', SeriesInstanceUID: '1.2.9.1' });
    expect(
      codeOf(
        await client()
          .store(bytes)
          .catch((error: unknown) => error),
      ),
    ).toBe('dicomweb-bad-json');
    expect(await client().store(bytes)).toMatchObject({ equal: 'bytes' });
  });
});

test('the switch board shows, sets and resets the switches, and names what it does not know', async () => {
  const board = pacs.base.replace('/dicomweb', '/faults');
  const post = (body: object) =>
    fetch(board, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  expect(await (await fetch(board)).json()).toEqual(noSwitches());
  expect(await (await post({ at: 'retrieve', cutAfter: 100 })).json()).toMatchObject({ at: 'retrieve', cutAfter: 100, html: false });
  expect(pacs.switches).toMatchObject({ at: 'retrieve', cutAfter: 100 });
  for (const wrong of [{ cut: 1 }, { cutAfter: -1 }, { redirect: 'no URL' }]) expect((await post(wrong)).status).toBe(400);
  const simple = await fetch(board, { method: 'POST', headers: { 'content-type': 'text/plain' }, body: '{"html":true}' });
  expect([simple.status, pacs.switches.html]).toEqual([400, false]);
  await fetch(board, { method: 'DELETE' });
  expect(pacs.switches).toEqual(noSwitches());
});
