import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readPart10, readUids } from '#dicom/read.ts';
import { writePart10 } from '#dicom/write.ts';
import { type Dicomweb, openDicomweb } from '#dicomweb/client.ts';
import { codeOf, type Warning } from '#domain/errors.ts';
import type { Series, Study } from '#domain/study.ts';
import { type Uid, uidOf } from '#domain/uid.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { basicToken } from '#net/token.ts';
import { type FaultProxy, startFaultProxy } from '../faults/proxy.ts';
import { type Orthanc, startOrthanc } from '../orthanc/orthanc.ts';
import { available, sharedPath } from '../setup/require.ts';

const ready = [available('orthanc'), available('shared')].every(Boolean);
const pausesMs = [1, 1];

function files(folder: string): string[] {
  const path = sharedPath('data/dicom', folder);
  return readdirSync(path)
    .sort()
    .map((name) => join(path, name));
}

/** Secondary capture of one pixel, told apart by `pixel`. */
function capture(study: string, name: string, pixel: number): Uint8Array {
  const instance = uidOf(`test instance ${name}`);
  const sopClass = '1.2.840.10008.5.1.4.1.1.7';
  const dataset = {
    SOPClassUID: sopClass,
    SOPInstanceUID: instance,
    StudyInstanceUID: uidOf(study),
    SeriesInstanceUID: uidOf(`series of ${study}`),
    PatientID: 'STORE_1',
    PatientName: 'Store^Test',
    Modality: 'OT',
    Rows: 1,
    Columns: 2,
    BitsAllocated: 8,
    BitsStored: 8,
    HighBit: 7,
    PixelRepresentation: 0,
    SamplesPerPixel: 1,
    PhotometricInterpretation: 'MONOCHROME2',
    PixelData: new Uint8Array([pixel, pixel]),
    _vrMap: { PixelData: 'OW' },
  };
  return writePart10(dataset, { sopClass, sopInstance: instance, transferSyntax: '1.2.840.10008.1.2.1' });
}

describe.skipIf(!ready)('against Orthanc', () => {
  let orthanc: Orthanc;
  let proxy: FaultProxy;
  let ct: Study;
  let slices: Series;
  const neighbours: Neighbour[] = [];
  const originals = new Map<string, Buffer>();

  function pacs(origin = orthanc.origin, options: { password?: string; idleMs?: number; defaultIssuer?: string } = {}): Dicomweb {
    const neighbour = openNeighbour({ name: 'PACS', origins: [origin], idleMs: options.idleMs ?? 5000, maxBytes: 1e9 });
    neighbours.push(neighbour);
    const root = `${origin}/dicom-web`;
    const token = basicToken(origin, orthanc.user, options.password ?? orthanc.password);
    const roots = { qido: root, wado: root, stow: root };
    return openDicomweb({ roots, neighbour, token, readUids, defaultIssuer: options.defaultIssuer ?? null });
  }

  async function retrieved(client: Dicomweb, series: Series, wanted: readonly Uid[]) {
    const got = new Map<string, Uint8Array>();
    const warnings: Warning[] = [];
    let error: unknown = null;
    try {
      for await (const one of client.retrieve(ct.uid, series, wanted, { pausesMs, onWarning: (warning) => warnings.push(warning) })) {
        got.set(one.uids.instance, one.bytes);
      }
    } catch (thrown) {
      error = thrown;
    }
    const identical = [...got].every(([uid, bytes]) => originals.get(uid)?.equals(bytes));
    return { got, identical, warnings: warnings.map((one) => one.code), error };
  }

  beforeAll(async () => {
    orthanc = await startOrthanc();
    for (const path of files('ct-abdomen')) {
      const bytes = readFileSync(path);
      originals.set(readUids(bytes).instance, bytes);
    }
    const loaded = await orthanc.load([...files('ct-abdomen'), ...files('dx-canine'), ...files('ct-head-tilt')]);
    expect(loaded.refused).toEqual([]);
    proxy = await startFaultProxy(orthanc.origin);
    const [first] = originals.values();
    const { study } = await pacs().describe(readUids(first ?? new Uint8Array()).study, 'instances');
    const [series] = study?.series ?? [];
    if (study === null || series === undefined) throw new Error('Orthanc does not list the CT study');
    ct = study;
    slices = series;
  });

  afterAll(async () => {
    await Promise.all(neighbours.map((one) => one.close()));
    await proxy?.close();
    await orthanc?.stop();
  });

  test('a study is described with series, instances and the default issuer where the archive gives none', async () => {
    const { study, warnings } = await pacs(orthanc.origin, { defaultIssuer: 'HOSP' }).describe(ct.uid, 'instances');
    expect(warnings).toEqual([]);
    expect(study?.modalities).toEqual(['CT']);
    expect(study?.date).toMatch(/^\d{4}-\d{2}-\d{2}$/);
    expect(study?.series.flatMap((one) => one.instances)).toHaveLength(20);
    expect(study?.identity.identifiers).toHaveLength(1);
  });

  test('what Orthanc gives only when it is asked for is there: the issuer of the PatientID', async () => {
    const [bytes] = originals.values();
    const issuer = readPart10(bytes ?? new Uint8Array()).header.text('IssuerOfPatientID');
    expect(issuer).toMatch(/^[0-9.]+$/);
    const { study } = await pacs(orthanc.origin, { defaultIssuer: 'HOSP' }).describe(ct.uid, 'series');
    expect(study?.identity.identifiers).toMatchObject([{ system: issuer }]);
  });

  test('a study that the archive does not have is null, not an error', async () => {
    expect((await pacs().describe(uidOf('nowhere'), 'series')).study).toBeNull();
  });

  test('a whole JPEG 2000 series comes back byte-identical', async () => {
    const { got, identical, warnings, error } = await retrieved(
      pacs(),
      slices,
      slices.instances.map((one) => one.uid),
    );
    expect(error).toBeNull();
    expect(warnings).toEqual([]);
    expect(got.size).toBe(20);
    expect(identical).toBe(true);
  });

  test('a few of many are asked for one by one', async () => {
    const wanted = slices.instances.slice(3, 6).map((one) => one.uid);
    const { got, identical, error } = await retrieved(pacs(), slices, wanted);
    expect(error).toBeNull();
    expect([...got.keys()].sort()).toEqual([...wanted].sort());
    expect(identical).toBe(true);
  });

  test('an answer cut in the middle gives its complete parts, the others come one by one, and it is said', async () => {
    proxy.next({ kind: 'cut', afterBytes: 1_500_000, reset: false }, 1);
    const { got, identical, warnings, error } = await retrieved(
      pacs(proxy.origin),
      slices,
      slices.instances.map((one) => one.uid),
    );
    proxy.next({ kind: 'none' });
    expect(error).toBeNull();
    expect(got.size).toBe(20);
    expect(identical).toBe(true);
    expect(warnings).toEqual(['dicomweb-single-retrieve']);
  });

  test.each([
    ['a reset', { kind: 'cut', afterBytes: 30_000, reset: true } as const],
    ['a clean end', { kind: 'cut', afterBytes: 30_000, reset: false } as const],
    ['silence', { kind: 'silent', afterBytes: 30_000 } as const],
  ])('%s in the middle of every answer ends in dicomweb-missing-instances, after bounded tries', async (_, fault) => {
    proxy.next(fault);
    const before = proxy.connections();
    const wanted = slices.instances.slice(0, 1).map((one) => one.uid);
    const { got, error } = await retrieved(pacs(proxy.origin, { idleMs: 200 }), slices, wanted);
    proxy.next({ kind: 'none' });
    expect(codeOf(error)).toBe('dicomweb-missing-instances');
    expect(got.size).toBe(0);
    expect(proxy.connections() - before).toBe(3);
  });

  test('an instance that does not exist is named as gone after the others were delivered', async () => {
    const gone = uidOf('gone');
    const { got, error } = await retrieved(pacs(), slices, [...slices.instances.map((one) => one.uid), gone]);
    expect(got.size).toBe(20);
    expect(codeOf(error)).toBe('dicomweb-missing-instances');
    expect(String(error)).toContain(`received 20 of 21`);
    expect(String(error)).toContain(`${gone} (gone (404))`);
  });

  test('PatientID is matched byte by byte although Orthanc matches without case', async () => {
    const id = ct.identity.identifiers[0]?.value ?? '';
    expect((await pacs().searchStudies({ patientId: id })).found.map((one) => one.uid)).toEqual([ct.uid]);
    const other = id === id.toLowerCase() ? id.toUpperCase() : id.toLowerCase();
    expect(other).not.toBe(id);
    const { found, warnings } = await pacs().searchStudies({ patientId: other });
    expect(found).toEqual([]);
    expect(warnings.map((one) => one.code)).toEqual(['dicomweb-ignored-key']);
  });

  test.each(['', '  ', '*', 'a*', 'a\\b'])('the PatientID %j is never sent', async (patientId) => {
    await expect(pacs().searchStudies({ patientId })).rejects.toMatchObject({ code: 'request-malformed' });
  });

  test('date range, modality and accession select as asked', async () => {
    const id = ct.identity.identifiers[0]?.value ?? '';
    const day = ct.date ?? '';
    const ask = async (query: object) => (await pacs().searchStudies({ patientId: id, ...query })).found.length;
    expect(await ask({ from: day, to: day, modality: 'CT' })).toBe(1);
    expect(await ask({ to: '1999-12-31' })).toBe(0);
    expect(await ask({ modality: 'MR' })).toBe(0);
  });

  test('a wrong password is dicomweb-unauthorised for search, retrieve and store', async () => {
    const client = pacs(orthanc.origin, { password: 'wrong' });
    await expect(client.searchStudies({ patientId: 'x' })).rejects.toMatchObject({ code: 'dicomweb-unauthorised' });
    const first = slices.instances.slice(0, 1).map((one) => one.uid);
    expect(codeOf((await retrieved(client, slices, first)).error)).toBe('dicomweb-unauthorised');
    await expect(client.store(capture('unauthorised', 'u', 1))).rejects.toMatchObject({ code: 'dicomweb-unauthorised' });
  });

  test('a stored object is proven by reading it back, and storing it again is a success', async () => {
    const bytes = capture('stored', 'a', 7);
    expect(await pacs().store(bytes)).toMatchObject({ equal: 'bytes', warnings: [] });
    expect(await pacs().store(bytes)).toMatchObject({ equal: 'bytes' });
    expect(Buffer.from(await pacs().readBack(readUids(bytes))).equals(bytes)).toBe(true);
  });

  test('other bytes under a known UID are a conflict although Orthanc answers 200', async () => {
    await pacs().store(capture('conflict', 'b', 1));
    await expect(pacs().store(capture('conflict', 'b', 2))).rejects.toMatchObject({ code: 'delivery-conflict' });
  });

  test('an unreadable object is dicomweb-store-failed although Orthanc answers 200', async () => {
    const bytes = capture('damaged', 'c', 1);
    const neighbour = openNeighbour({ name: 'PACS', origins: [orthanc.origin] });
    neighbours.push(neighbour);
    const root = orthanc.root;
    const damaged = openDicomweb({
      roots: { qido: root, wado: root, stow: root },
      neighbour,
      token: basicToken(orthanc.origin, orthanc.user, orthanc.password),
      readUids: () => readUids(bytes),
      defaultIssuer: null,
    });
    await expect(damaged.store(Buffer.from('not DICOM at all'))).rejects.toMatchObject({ code: 'dicomweb-store-failed' });
  });
});
