import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeCodestream } from '#dicom/codecs.ts';
import { checkWorkers, storedFrame } from '#dicom/decode.ts';
import { answering } from '#dicom/decode-worker.ts';
import { checkDecoders } from '#dicom/known-answers.ts';
import { describePixels } from '#dicom/pixel-description.ts';
import { readPart10 } from '#dicom/read.ts';
import { codeOf } from '#domain/errors.ts';
import { available, sharedPath } from '../setup/require.ts';
import { film } from './fixture.ts';
import { compare, readManifest, readShared } from './manifest.ts';

describe('checkDecoders', () => {
  it('finds every decoder right on this machine', async () => {
    const checks = await checkDecoders();
    expect(checks.map(({ name }) => name)).toHaveLength(14);
    expect(checks.filter(({ fault }) => fault !== null)).toEqual([]);
  });

  it('names every decoder that is wrong in one value, or fails', async () => {
    const wrong = await checkDecoders(async (codec, bytes, description) => {
      const frame = await decodeCodestream(codec, bytes, description);
      frame.values[100] = (frame.values[100] ?? 0) ^ 64;
      return frame;
    });
    expect(new Set(wrong.map(({ fault }) => fault))).toEqual(new Set(['1 of 256 values differ', '1 of 768 values differ']));
    const failing = await checkDecoders(async () => {
      throw new Error('no memory');
    });
    expect(new Set(failing.map(({ fault }) => fault))).toEqual(new Set(['no memory']));
  });
});

/** What of the reference images is not decoded, and its code. */
const refusals = {
  'broken/MR_truncated.dcm': 'dicom-truncated',
  'broken/badVR.dcm': 'dicom-malformed',
  'broken/emri_small_jpeg_2k_lossless_too_short.dcm': 'dicom-truncated',
  'broken/meta_missing_tsyntax.dcm': 'dicom-malformed',
  'broken/no_meta_group_length.dcm': 'pixel-missing',
  'broken/rtplan_truncated.dcm': 'dicom-truncated',
  'ct-neck-syntaxes/jpegprocess10_12.dcm': 'transfer-syntax-unsupported',
  'ct-neck-syntaxes/jpegprocess6_8.dcm': 'transfer-syntax-unsupported',
  'float/parametric_map_float.dcm': 'pixel-unsupported',
  'jpeg-ls/JLSL_RGB_ILV0.dcm': 'dicom-not-part10',
  'jpeg-ls/JLSL_RGB_ILV1.dcm': 'dicom-not-part10',
  'jpeg-ls/JLSL_RGB_ILV2.dcm': 'dicom-not-part10',
  'jpeg-ls/JLSN_RGB_ILV0.dcm': 'dicom-not-part10',
  'non-image/nested_priv_SQ.dcm': 'dicom-malformed',
  'non-image/reportsi.dcm': 'pixel-missing',
  'non-image/rtplan.dcm': 'pixel-missing',
  'non-image/test-SR.dcm': 'pixel-missing',
  'seg/liver_1frame.dcm': 'pixel-unsupported',
  'seg/liver_deflate.dcm': 'pixel-unsupported',
  'seg/liver_nonbyte_aligned_j2k.dcm': 'pixel-unsupported',
  'seg/liver_rle.dcm': 'pixel-unsupported',
};

describe('a worker', () => {
  it('refuses every frame of a decoder that fails its known answers, and decodes those of the others', async () => {
    let calls = 0;
    const answer = answering(async (codec, bytes, description) => {
      calls += 1;
      const frame = await decodeCodestream(codec, bytes, description);
      if (codec === 'rle') frame.values[0] = 7;
      return frame;
    });
    const ask = (codec: 'rle' | 'jpeg-ls') => answer({ codec, bytes: new Uint8Array(0), description: describePixels(film().header) });
    const refused = { code: 'transfer-syntax-unsupported', message: expect.stringContaining('fails its known-answer test') };
    expect([await ask('rle'), await ask('rle')]).toMatchObject([refused, refused]);
    expect(calls).toBe(1);
    expect(await ask('jpeg-ls')).toMatchObject({ code: 'pixel-damaged' });
  });

  it('checkWorkers runs every known answer as frames of files go', async () => {
    const checks = await checkWorkers();
    expect(checks).toHaveLength(14);
    expect(checks.filter(({ fault }) => fault !== null)).toEqual([]);
  });
});

describe.skipIf(!available('shared'))('storedFrame on the reference images', () => {
  it('gives the same values for one slice in every transfer syntax', async () => {
    const folder = sharedPath('data/dicom/one-slice');
    const files = readdirSync(folder).sort();
    const frames = await Promise.all(files.map((name) => storedFrame(readPart10(readFileSync(`${folder}/${name}`)), 1)));
    const first = frames[0];
    expect(files).toHaveLength(14);
    expect(
      frames.map((frame, i) => [
        files[i],
        Buffer.compare(Buffer.from(frame.values.buffer), Buffer.from(first?.values.buffer ?? new ArrayBuffer(0))),
      ]),
    ).toEqual(files.map((name) => [name, 0]));
  });

  it('equals the oracle for every file of the manifest, or refuses it with a code', async () => {
    const { dicom } = readManifest();
    const counts = new Map<string, number>();
    const wrong: string[] = [];
    const refused = new Map<string, string>();
    const one = async (entry: (typeof dicom)[number]): Promise<void> => {
      const verdict = await verdictOf(entry);
      if (verdict.startsWith('refused')) refused.set(entry.path.replace('dicom/', ''), verdict.replace('refused ', ''));
      counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      if (verdict.startsWith('different') || verdict === 'refused internal') wrong.push(`${entry.path}: ${verdict}`);
    };
    const next = dicom.values();
    await Promise.all(
      [0, 1].map(async () => {
        for (const entry of next) await one(entry);
      }),
    );
    console.table(Object.fromEntries([...counts].sort()));
    expect(wrong).toEqual([]);
    expect(Object.fromEntries(refused)).toEqual(refusals);
    expect((counts.get('equal') ?? 0) + (counts.get('within') ?? 0)).toBe(363);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBe(384);
  });
});

async function verdictOf(entry: ReturnType<typeof readManifest>['dicom'][number]): Promise<string> {
  try {
    return await compare(readShared(entry.path), entry);
  } catch (error) {
    return `refused ${codeOf(error)}`;
  }
}
