/** A real Orthanc behind a proxy that cuts, stalls, drips and goes silent: every object is whole or missing by name, and a store is proven. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { readUids } from '#dicom/read.ts';
import { type Dicomweb, openDicomweb } from '#dicomweb/client.ts';
import { codeOf } from '#domain/errors.ts';
import type { Study } from '#domain/study.ts';
import { type Limits, type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { basicToken } from '#net/token.ts';
import { type Orthanc, startOrthanc } from '../orthanc/orthanc.ts';
import { film } from '../sandbox/dicomweb/start.ts';
import { available, sharedPath } from '../setup/require.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './proxy.ts';

const ready = [available('orthanc'), available('shared')].every(Boolean);

describe.skipIf(!ready)('Orthanc through a proxy', () => {
  let orthanc: Orthanc;
  let proxy: FaultProxy;
  let study: Study;
  const originals = new Map<string, Buffer>();
  const neighbours: Neighbour[] = [];

  function pacs(net: Partial<Limits> = {}, origin = proxy.origin): Dicomweb {
    const neighbour = openNeighbour({ name: 'PACS', origins: [origin], idleMs: 3000, maxBytes: 1e9, ...net });
    neighbours.push(neighbour);
    const root = `${origin}/dicom-web`;
    const token = basicToken(origin, orthanc.user, orthanc.password);
    return openDicomweb({ roots: { qido: root, wado: root, stow: root }, neighbour, token, readUids, defaultIssuer: null });
  }

  beforeAll(async () => {
    orthanc = await startOrthanc();
    const folder = sharedPath('data/dicom/ct-abdomen');
    const paths = readdirSync(folder).map((name) => join(folder, name));
    for (const path of paths) originals.set(readUids(readFileSync(path)).instance, readFileSync(path));
    expect((await orthanc.load(paths)).refused).toEqual([]);
    proxy = await startFaultProxy(orthanc.origin);
    const [first] = originals.values();
    const described = await pacs().describe(readUids(first ?? new Uint8Array()).study, 'instances');
    if (described.study === null) throw new Error('Orthanc does not list the study');
    expect(described.complete).toBe(true);
    study = described.study;
  });
  afterAll(async () => {
    await Promise.all(neighbours.map((one) => one.close()));
    await proxy?.close();
    await orthanc?.stop();
  });
  afterEach(() => proxy.next({ kind: 'none' }));

  async function readAll(client: Dicomweb, count: number): Promise<{ whole: number; code: string | null }> {
    let whole = 0;
    const [series] = study.series;
    if (series === undefined) throw new Error('the study has no series');
    const wanted = series.instances.slice(0, count).map(({ uid }) => uid);
    try {
      for await (const { bytes, uids } of client.retrieve(study.uid, series, wanted, { pausesMs: [1, 1] })) {
        expect(originals.get(uids.instance)?.equals(bytes)).toBe(true);
        whole += 1;
      }
      return { whole, code: null };
    } catch (error) {
      return { whole, code: codeOf(error) };
    }
  }

  const once: readonly (readonly [string, Fault, Partial<Limits>])[] = [
    ['a clean cut', { kind: 'cut', afterBytes: 900_000, reset: false }, {}],
    ['a reset', { kind: 'cut', afterBytes: 900_000, reset: true }, {}],
    ['silence', { kind: 'silent', afterBytes: 900_000 }, { idleMs: 300 }],
    ['a stall that is longer than the limit', { kind: 'stall', afterBytes: 900_000, ms: 10_000 }, { idleMs: 300 }],
    ['a stall that is shorter than the limit', { kind: 'stall', afterBytes: 900_000, ms: 200 }, {}],
    ['a drip', { kind: 'drip', afterBytes: 900_000, bytes: 20, everyMs: 20 }, { minBytesPerSecond: 10_000, rateWindowMs: 300 }],
  ];
  test.each(once)('%s in the middle of a series, once: all twenty come whole', async (_, fault, net) => {
    const client = pacs(net);
    proxy.next(fault, 1);
    expect(await readAll(client, 20)).toEqual({ whole: 20, code: null });
  });

  test.each(once.filter(([what]) => !what.includes('shorter')))(
    '%s for ever: missing by name, not one half object',
    async (_, fault, net) => {
      const client = pacs(net);
      proxy.next({ ...fault, afterBytes: 20_000 } as Fault); // the same fault earlier: one instance is smaller than a series
      expect(await readAll(client, 1)).toEqual({ whole: 0, code: 'dicomweb-missing-instances' });
    },
  );

  test.each([
    ['a cut', { kind: 'cut', afterBytes: 250, reset: false }],
    ['a reset', { kind: 'cut', afterBytes: 250, reset: true }],
  ] as const)('%s in the middle of a search, once: it is made again; for ever: an error and no shorter list', async (_, fault) => {
    proxy.next(fault, 1);
    expect((await pacs().searchStudies({ studyUid: study.uid })).found).toHaveLength(1);
    proxy.next(fault);
    const error = await pacs()
      .searchStudies({ studyUid: study.uid })
      .catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toMatch(/^(net-unreachable|dicomweb-bad-json)$/);
  });

  test('silence before the answer to a search is net-timeout', async () => {
    proxy.next({ kind: 'silent', afterBytes: 0 });
    const error = await pacs({ idleMs: 300 })
      .searchStudies({ studyUid: study.uid })
      .catch((thrown: unknown) => thrown);
    expect(codeOf(error)).toBe('net-timeout');
  });

  test.each([
    ['cut', { kind: 'cut', afterBytes: 100, reset: false }],
    ['reset', { kind: 'cut', afterBytes: 0, reset: true }],
    ['never given', { kind: 'silent', afterBytes: 0 }],
  ] as const)('a store whose answer is %s is no success, and made again it finds its object and proves it', async (what, fault) => {
    const bytes = film(`1.2.3.7.${what.length}`, { StudyInstanceUID: '1.2.7', SeriesInstanceUID: '1.2.7.1', PatientID: what });
    const client = pacs({ idleMs: 300 });
    proxy.next(fault, 1);
    await expect(client.store(bytes)).rejects.toMatchObject({ code: expect.stringMatching(/^(net-|dicomweb-)/) });
    proxy.next({ kind: 'none' });
    expect(await client.store(bytes)).toMatchObject({ equal: 'bytes' });
  });

  test('an Orthanc that is gone is net-unreachable, and one that comes back is read', async () => {
    const client = pacs();
    await proxy.close();
    expect(codeOf(await client.searchStudies({ studyUid: study.uid }).catch((thrown: unknown) => thrown))).toBe('net-unreachable');
    proxy = await startFaultProxy(orthanc.origin);
    expect((await pacs().searchStudies({ studyUid: study.uid })).found).toHaveLength(1);
  });
});
