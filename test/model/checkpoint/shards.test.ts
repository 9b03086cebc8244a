import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { mergeSources, openCheckpoint } from '#model/checkpoint/open.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { copyCheckpoint, temporaryFolder } from '../folder.ts';

const folder = await temporaryFolder();
const second = 'model-00002-of-00003.safetensors';

test('shards are one source', async () => {
  const source = await openCheckpoint(await copyCheckpoint('siglip-qwen2-gqa-tied', folder, 'whole'));
  const values = await source.readF32('language_model.model.norm.weight');
  expect(values.length).toBe(source.info('language_model.model.norm.weight').shape[0]);
  await source.close();
});

test('a truncated shard is named', async () => {
  const checkpoint = await copyCheckpoint('siglip-qwen2-gqa-tied', folder, 'truncated');
  await truncate(join(checkpoint, second), 60_000);
  await expect(openCheckpoint(checkpoint)).rejects.toMatchObject({
    code: 'checkpoint-unreadable',
    message: expect.stringContaining(`${second}: tensor`),
  });
});

test('a truncated torch shard is named', async () => {
  const checkpoint = await copyCheckpoint('original-llama-bin2', folder, 'truncated-bin');
  await truncate(join(checkpoint, 'pytorch_model-00002-of-00002.bin'), 60_000);
  await expect(openCheckpoint(checkpoint)).rejects.toThrow(/pytorch_model-00002-of-00002\.bin: found no end of the zip directory/);
});

test('a missing shard is named', async () => {
  const checkpoint = await copyCheckpoint('siglip-qwen2-gqa-tied', folder, 'missing');
  await rm(join(checkpoint, second));
  await expect(openCheckpoint(checkpoint)).rejects.toThrow(`${second}: named by model.safetensors.index.json and not there`);
});

test('an index that puts a tensor into another shard is refused', async () => {
  const checkpoint = await copyCheckpoint('siglip-qwen2-gqa-tied', folder, 'moved');
  const path = join(checkpoint, 'model.safetensors.index.json');
  const index = JSON.parse(await readFile(path, 'utf8')) as { weight_map: Record<string, string> };
  const [name = ''] = Object.keys(index.weight_map);
  index.weight_map[name] = index.weight_map[name] === second ? 'model-00001-of-00003.safetensors' : second;
  await writeFile(path, JSON.stringify(index));
  await expect(openCheckpoint(checkpoint)).rejects.toMatchObject({ code: 'checkpoint-tensors', message: expect.stringContaining(name) });
});

test.each(['../outside.safetensors', '/etc/passwd', 'sub/model.safetensors', '..'])(
  'an index that names the file %s is refused',
  async (file) => {
    const checkpoint = await copyCheckpoint('siglip-qwen2-gqa-tied', folder, `escape-${file.length}-${file.charCodeAt(1)}`);
    await writeFile(join(checkpoint, 'model.safetensors.index.json'), JSON.stringify({ weight_map: { w: file } }));
    await expect(openCheckpoint(checkpoint)).rejects.toMatchObject({ code: 'checkpoint-hostile' });
  },
);

test('a folder without weights says what it looked for', async () => {
  await expect(openCheckpoint(folder)).rejects.toThrow(/holds none of model\.safetensors\.index\.json, model\.safetensors, pytorch_model/);
});

test('of two sources that have one name the first wins', async () => {
  const [a, b] = [join(folder, 'a.safetensors'), join(folder, 'b.safetensors')];
  await writeSafetensors(a, [{ name: 'both', shape: [1], values: Float32Array.of(1) }]);
  await writeSafetensors(
    b,
    ['both', 'only'].map((name) => ({ name, shape: [1], values: Float32Array.of(2) })),
  );
  const merged = mergeSources(await openSafetensors(a), await openSafetensors(b));
  expect(merged.names).toEqual(['both', 'only']);
  expect([...(await merged.readF32('both')), ...(await merged.readF32('only'))]).toEqual([1, 2]);
  await merged.close();
});
