import { appendFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importText, listText, modelsImport, modelsList, modelsVerify, verifyText } from '#model/commands.ts';
import { golden, temporaryFolder } from './folder.ts';

const folder = await temporaryFolder();
const root = join(folder, 'bundles');
const metadataPath = join(folder, 'about.json');
await writeFile(metadataPath, JSON.stringify({ license: { name: 'Apache-2.0' }, intendedUse: { regions: ['chest'] } }));
const command = {
  from: join(golden, 'llava/siglip-qwen2-gqa-tied/checkpoint'),
  root,
  tower: null,
  template: null,
  maxImages: 2,
  metadataPath,
  weights: 'fp32' as const,
};

test('import, list, verify: a bundle by its name, with what was said of it', async () => {
  const report = await modelsImport({ ...command, name: 'films', modalities: ['CR', 'DX'] });
  expect(importText(report)).toMatch(/^films: family llava, fp32 weights, \d+ bytes in .*films\ndigest [0-9a-f]{64}\n/);
  const [summary] = await modelsList(root);
  expect(summary).toMatchObject({
    name: 'films',
    family: 'llava',
    weights: 'fp32',
    modalities: ['CR', 'DX'],
    maxImages: 2,
    license: 'Apache-2.0',
    stamped: null,
    problem: null,
  });
  expect(listText(await modelsList(root))).toContain('films  llava  fp32  CR, DX  up to 2 images');
  const verified = await modelsVerify(report.dir);
  expect(verified).toMatchObject({ digest: report.digest, files: 6, unnamed: [] });
  expect(verifyText(verified)).toContain('every digest as bundle.json says');
});

describe('a broken bundle', () => {
  test('is listed with its problem, and the others beside it', async () => {
    const { dir } = await modelsImport({ ...command, name: 'broken', modalities: [] });
    await rm(join(dir, 'vision.onnx'));
    const text = listText(await modelsList(root));
    expect(text).toMatch(/broken {2}bundle-invalid: .*vision\.onnx is missing/);
    expect(text).toContain('films  llava');
  });

  test('files that bundle.json does not name are said by verify', async () => {
    const { dir } = await modelsImport({ ...command, name: 'more', modalities: [] });
    await writeFile(join(dir, 'notes.txt'), 'x');
    expect(verifyText(await modelsVerify(dir))).toContain('never read: notes.txt');
    await appendFile(join(dir, 'weights.data'), 'x');
    await expect(modelsVerify(dir)).rejects.toMatchObject({ code: 'bundle-digest' });
  });
});

test('a folder without bundles says how to make one', async () => {
  expect(listText(await modelsList(join(folder, 'none')))).toContain('wetread models import');
});
