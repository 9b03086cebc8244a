/** Slices by their frames through a real PACS: from what it lists to the pictures and the numbers that citations carry. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readUids } from '#dicom/read.ts';
import { type Dicomweb, openDicomweb } from '#dicomweb/client.ts';
import { type Instance, imageKey } from '#domain/study.ts';
import { parseUid } from '#domain/uid.ts';
import { type Neighbour, openNeighbour } from '#net/neighbour.ts';
import { type ReadImages, readImages } from '#reading/images.ts';
import { openMemory } from '#reading/memory.ts';
import { evidence, withSeries } from '../prompt/fixtures.ts';
import { film, startPacs, type TestPacs } from '../sandbox/dicomweb/start.ts';

const enhancedCt = '1.2.840.10008.5.1.4.1.1.2.1';

/** One CT object with a frame at each `z`, whose pixels are all `z`; by the order of its study it has no patient. */
function enhanced(instance: string, positions: readonly number[], more: Readonly<Record<string, unknown>> = {}): Uint8Array {
  return film(instance, {
    StudyInstanceUID: '1.2.9',
    SeriesInstanceUID: '1.2.9.1',
    SOPClassUID: enhancedCt,
    Modality: 'CT',
    PatientID: '',
    PatientName: '',
    PatientBirthDate: '',
    PatientSex: '',
    NumberOfFrames: String(positions.length),
    PerFrameFunctionalGroupsSequence: positions.map((z) => ({
      PlanePositionSequence: [{ ImagePositionPatient: [0, 0, z] }],
      FrameVOILUTSequence: [{ WindowCenter: 50.5, WindowWidth: 101 }],
    })),
    SharedFunctionalGroupsSequence: [
      {
        PlaneOrientationSequence: [{ ImageOrientationPatient: [1, 0, 0, 0, 1, 0] }],
        PixelMeasuresSequence: [{ PixelSpacing: [0.5, 0.5] }],
      },
    ],
    PixelData: [Uint16Array.from(positions.flatMap((z) => Array<number>(16).fill(z))).buffer],
    ...more,
  });
}

/** Frames of two objects of one series, interleaved and out of order: 0, 10, .. 70 mm. */
const [first, second] = ['1.2.9.1.1', '1.2.9.1.2'];
const files = { first: enhanced(first ?? '', [60, 0, 40, 20]), second: enhanced(second ?? '', [10, 70, 30, 50], { InstanceNumber: 2 }) };

let pacs: TestPacs;
let neighbour: Neighbour;
let client: Dicomweb;

beforeAll(async () => {
  const cine = { StudyInstanceUID: '1.2.8', SeriesInstanceUID: '1.2.8.1', Modality: 'US', SOPClassUID: '1.2.840.10008.5.1.4.1.1.3.1' };
  const twice = { StudyInstanceUID: '1.2.7', SeriesInstanceUID: '1.2.7.1' };
  pacs = await startPacs({
    ...files,
    cine: enhanced('1.2.8.1.1', [1, 2, 3], { ...cine, PerFrameFunctionalGroupsSequence: undefined }),
    twice: enhanced('1.2.7.1.1', [10, 20, 10], twice),
  });
  neighbour = openNeighbour({ name: 'PACS', origins: [new URL(pacs.base).origin], totalMs: 10_000 });
  const roots = { qido: pacs.base, wado: pacs.base, stow: pacs.base };
  client = openDicomweb({ roots, neighbour, token: null, readUids, defaultIssuer: null });
});
afterAll(async () => {
  await neighbour.close();
  await pacs.close();
});

/** Reads the study as the archive lists it, or with other numbers of frames. */
async function read(study: string, modality: string, maxImages: number, listed: Partial<Instance> = {}): Promise<ReadImages> {
  const described = await client.describe(parseUid(study), 'instances');
  const series = (described.study?.series ?? []).map((one) => ({
    ...one,
    instances: one.instances.map((instance) => ({ ...instance, ...listed })),
  }));
  const rules = {
    identity: { defaultIssuer: null, issuers: [] },
    modalities: [modality],
    maxImages,
    memory: openMemory(1 << 30, 1).open(),
  };
  return readImages(evidence(withSeries(study, series)), client, rules);
}

function told({ pictures, slices }: ReadImages): unknown {
  return pictures.map(({ ref, pixels, window }) => [
    `${ref.instance}#${ref.frame}`,
    Math.round(((pixels[0] ?? 0) / 255) * 100),
    window?.center,
    slices.get(imageKey(ref)),
  ]);
}

describe('frames of enhanced objects', () => {
  const all = [
    [`${first}#2`, 0],
    [`${second}#1`, 10],
    [`${first}#4`, 20],
    [`${second}#3`, 30],
    [`${first}#3`, 40],
    [`${second}#4`, 50],
    [`${first}#1`, 60],
    [`${second}#2`, 70],
  ].map(([key, z], at) => [key, z, 50.5, { index: at + 1, of: 8 }]);

  test('are slices in geometric order over all objects of the series, each with its frame number and window', async () => {
    expect(told(await read('1.2.9', 'CT', 8))).toEqual(all);
  });

  test('are chosen evenly along the body, not along the file', async () => {
    expect(told(await read('1.2.9', 'CT', 2))).toEqual([all[2], all[6]]);
  });

  test('are found where the archive does not list how many an object has', async () => {
    expect(told(await read('1.2.9', 'CT', 8, { frames: 1 }))).toEqual(all);
  });

  test('at the same place twice refuse the study', async () => {
    await expect(read('1.2.7', 'CT', 8)).rejects.toMatchObject({ code: 'series-duplicate-slice' });
  });
});

test('frames that the archive does not list are told where only one of them is shown', async () => {
  const { pictures, warnings } = await read('1.2.8', 'US', 8, { frames: 1 });
  expect(pictures.map(({ ref }) => ref.frame)).toEqual([1]);
  expect(warnings).toMatchObject([{ code: 'images-dropped', message: expect.stringContaining('does not list how many') }]);
  expect((await read('1.2.8', 'US', 8)).pictures.map(({ ref }) => ref.frame)).toEqual([1, 2, 3]);
});
