import { appendFile, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { checkStamp, findBundles, openBundle } from '#model/bundle.ts';
import { makeRandomBundle } from '#model/random.ts';
import { temporaryFolder } from './folder.ts';

const folder = await temporaryFolder();
const root = join(folder, 'bundles');
const good = await makeRandomBundle({ dir: join(root, 'good'), seed: 3, modalities: ['DX'], maxImages: 2, citeUncalibrated: true });

async function spoilt(name: string, spoil: (dir: string) => Promise<void>): Promise<string> {
  const dir = join(folder, name);
  await cp(good.dir, dir, { recursive: true });
  await spoil(dir);
  return dir;
}

async function edit(dir: string, change: (manifest: Record<string, unknown>) => void): Promise<void> {
  const path = join(dir, 'bundle.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  change(manifest);
  await writeFile(path, JSON.stringify(manifest));
}

describe('digests', () => {
  test('the digest of a bundle depends on its content alone', async () => {
    const copy = await spoilt('copy', async () => undefined);
    expect((await openBundle(copy)).digest).toBe(good.digest);
  });

  test('a changed prompt is another bundle', async () => {
    const dir = await spoilt('prompt', (to) =>
      edit(to, (manifest) => Object.assign(manifest, { tasks: { report: { text: 'Other words.' } } })),
    );
    expect((await openBundle(dir)).digest).not.toBe(good.digest);
  });

  test.each(['weights.data', 'decoder.onnx', 'tokenizer.json'])(
    'one changed byte in %s is bundle-digest and names the file',
    async (file) => {
      const dir = await spoilt(`byte-${file}`, async (to) => {
        const bytes = await readFile(join(to, file));
        bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
        await writeFile(join(to, file), bytes);
      });
      await expect(openBundle(dir)).rejects.toMatchObject({ code: 'bundle-digest', message: expect.stringContaining(file) });
    },
  );

  test('a file of another length is bundle-digest without any digest being computed', async () => {
    const dir = await spoilt('longer', (to) => appendFile(join(to, 'weights.data'), 'x'));
    await expect(openBundle(dir, { digests: 'sizes' })).rejects.toMatchObject({ code: 'bundle-digest' });
  });
});

describe('bundle.json', () => {
  test('a missing file is named', async () => {
    const dir = await spoilt('missing', (to) => rm(join(to, 'vision.onnx')));
    await expect(openBundle(dir)).rejects.toMatchObject({
      code: 'bundle-invalid',
      message: expect.stringContaining('vision.onnx is missing'),
    });
  });

  test('a graph that the list of files leaves out is refused: its digest would not be known', async () => {
    const dir = await spoilt('unlisted', (to) => edit(to, (manifest) => Reflect.deleteProperty(manifest.files as object, 'decoder.onnx')));
    await expect(openBundle(dir)).rejects.toThrow(/decoder\.onnx is needed and not among its files/);
  });

  test.each([
    ['at the top', (manifest: Record<string, unknown>) => Object.assign(manifest, { maxImagesEver: 1 })],
    ['in the limits', (manifest: Record<string, unknown>) => Object.assign(manifest.limits as object, { patients: 1 })],
    ['in the sizes', (manifest: Record<string, unknown>) => Object.assign(manifest.sizes as object, { experts: 8 })],
  ])('an unknown key %s is refused by name', async (where, change) => {
    const dir = await spoilt(`key ${where}`, (to) => edit(to, change));
    await expect(openBundle(dir)).rejects.toMatchObject({
      code: 'bundle-invalid',
      message: expect.stringMatching(/maxImagesEver|patients|experts/),
    });
  });

  test.each(['../weights.data', '/etc/passwd', 'sub/file'])('the file name %s, outside the folder, is refused', async (name) => {
    const dir = await spoilt(`name ${name.length}`, (to) =>
      edit(to, (manifest) => Object.assign(manifest.files as object, { [name]: { sha256: '0'.repeat(64), bytes: 1 } })),
    );
    await expect(openBundle(dir)).rejects.toMatchObject({ code: 'bundle-invalid' });
  });

  test('no JSON, and no bundle.json at all', async () => {
    const dir = await spoilt('no-json', (to) => writeFile(join(to, 'bundle.json'), '{'));
    await expect(openBundle(dir)).rejects.toThrow(/is no JSON/);
    await expect(openBundle(folder)).rejects.toMatchObject({ code: 'bundle-invalid', hint: expect.stringContaining('models import') });
  });
});

test('a bundle stamped test drafts in a test and a sandbox, never in production', () => {
  expect(() => checkStamp(good, 'production')).toThrow(expect.objectContaining({ code: 'bundle-stamped-test' }));
  expect(() => checkStamp(good, 'test')).not.toThrow();
  expect(() => checkStamp(good, 'sandbox')).not.toThrow();
});

test('bundles are found by their bundle.json; a folder that is not there holds none', async () => {
  expect(await findBundles(root)).toEqual([good.dir]);
  expect(await findBundles(join(folder, 'absent'))).toEqual([]);
});
