import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openBundle } from '#model/bundle.ts';
import { openCheckpoint } from '#model/checkpoint/open.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Written } from '#model/onnx/files.ts';
import { pickle, torchFile } from './checkpoint/torch-file.ts';
import { legacy, retensor, spoilt, tied } from './spoilt.ts';

describe('what is imported', () => {
  test('HF form: template, stop ids, limits and processor come from the files', async () => {
    const { bundle, report } = await importCheckpoint(await spoilt(tied, async () => undefined));
    const { manifest } = bundle;
    expect(manifest).toMatchObject({
      family: 'llava',
      generation: { stopIds: [342, 340] },
      prompt: { template: { name: 'chatml' }, placeholder: { rule: 'expand', text: '<image>', id: 343 } },
      processor: { pad: false, resize: { to: 'size', height: 56, width: 56 }, mean: [0.5, 0.5, 0.5] },
      limits: { maxImages: 1, contextTokens: 32768 },
      stamped: null,
    });
    expect(report.notes.join(' ')).toMatch(/Template chatml.*No modality is declared.*not calibrated/);
    expect((await openBundle(bundle.dir)).digest).toBe(report.digest);
  });

  test('original form: the tower is found below the checkpoint, padding comes from its config', async () => {
    const { bundle } = await importCheckpoint(await spoilt(legacy, async () => undefined));
    expect(bundle.manifest).toMatchObject({
      prompt: { template: { name: 'vicuna_v1' }, placeholder: { rule: 'splice', id: -200 } },
      processor: { pad: true, crop: { height: 42, width: 42 } },
      limits: { contextTokens: 2048 },
    });
  });

  test('a tower beside the checkpoint, by the last part of its name', async () => {
    const paths = await spoilt(legacy, (from) =>
      rename(join(from, 'openai/clip-vit-large-patch14-336'), join(from, '../clip-vit-large-patch14-336')),
    );
    await expect(importCheckpoint(paths)).resolves.toMatchObject({ report: { family: 'llava' } });
  });

  test('a tower that the user names', async () => {
    const paths = await spoilt(legacy, (from) => rename(join(from, 'openai'), join(from, '../elsewhere')));
    const tower = join(paths.from, '../elsewhere/clip-vit-large-patch14-336');
    await expect(importCheckpoint({ ...paths, tower })).resolves.toMatchObject({ report: { family: 'llava' } });
  });

  test('a projector that was saved apart (mm_projector.bin) is read where the shards hold none', async () => {
    const whole = await importCheckpoint(await spoilt(legacy, async () => undefined));
    const paths = await spoilt(legacy, async (from) => {
      const source = await openCheckpoint(from);
      const rest: NamedTensor[] = [];
      const entries: [number[], number[]][] = [];
      const storages: Record<string, Float32Array> = {};
      for (const name of source.names) {
        const { shape } = source.info(name);
        const values = await source.readF32(name);
        if (!name.includes('mm_projector')) {
          rest.push({ name, shape, values });
          continue;
        }
        const key = `${entries.length}`;
        storages[key] = values.slice();
        const stride = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
        entries.push([pickle.string(name), pickle.tensor(pickle.storage('FloatStorage', key, values.length), 0, shape, stride)]);
      }
      await source.close();
      await writeSafetensors(join(from, 'model.safetensors'), rest);
      await writeFile(
        join(from, 'mm_projector.bin'),
        torchFile([...pickle.start, ...pickle.items(pickle.orderedDict(), ...entries), ...pickle.stop], storages),
      );
    });
    expect((await importCheckpoint(paths)).bundle.manifest.files['weights.data']).toEqual(whole.bundle.manifest.files['weights.data']);
  });

  test('tensors inside the checkpoint win over the tower beside it, and the report says that they differ', async () => {
    const inside = await importCheckpoint(await spoilt(legacy, async () => undefined));
    const name = 'vision_model.pre_layrnorm.bias';
    const paths = await spoilt(legacy, async (from) => {
      const tower = await openCheckpoint(join(from, 'openai/clip-vit-large-patch14-336'));
      const size = tower.info(name).shape[0] ?? 0;
      await tower.close();
      const shard = await openCheckpoint(from);
      const tensors: NamedTensor[] = [];
      for (const own of shard.names) tensors.push({ name: own, shape: shard.info(own).shape, values: await shard.readF32(own) });
      await shard.close();
      tensors.push({ name: `model.vision_tower.vision_tower.${name}`, shape: [size], values: new Float32Array(size).fill(0.25) });
      await writeSafetensors(join(from, 'model.safetensors'), tensors);
    });
    const { bundle, report } = await importCheckpoint(paths);
    expect(report.notes.join(' ')).toContain(
      '1 tensors are there twice, 1 of them with other values; those inside the checkpoint were used',
    );
    expect(bundle.digest).not.toBe(inside.bundle.digest);
  });

  test('wetread.json beside the checkpoint gives name, prompts and intended use; options win key by key', async () => {
    const paths = await spoilt(tied, (from) =>
      writeFile(
        join(from, '../wetread.json'),
        JSON.stringify({
          name: 'film-reader',
          intendedUse: { modalities: ['CR', 'DX'] },
          limits: { maxImages: 2 },
          license: { name: 'Apache-2.0' },
        }),
      ),
    );
    const { bundle } = await importCheckpoint({ ...paths, metadata: { limits: { maxImages: 4 } } });
    expect(bundle.manifest).toMatchObject({
      name: 'film-reader',
      intendedUse: { modalities: ['CR', 'DX'] },
      limits: { maxImages: 4 },
      license: { name: 'Apache-2.0' },
    });
  });

  test('two imports of one checkpoint give the same digests of the same files', async () => {
    const paths = await spoilt(tied, async () => undefined);
    const first = await importCheckpoint(paths);
    const second = await importCheckpoint({ ...paths, to: `${paths.to}-again` });
    expect(second.bundle.manifest.files).toEqual(first.bundle.manifest.files);
  });
});

test('the number type of the weights is stated, and smaller ones take less room', async () => {
  const sizes: number[] = [];
  for (const weights of ['fp32', 'fp16', 'int8'] as const) {
    const { bundle, report } = await importCheckpoint({ ...(await spoilt(tied, async () => undefined)), weights });
    expect([report.weights, bundle.manifest.numberType]).toEqual([weights, weights]);
    expect(bundle.manifest.sizes.needs.includes('rows8')).toBe(weights === 'int8');
    sizes.push(bundle.manifest.files['weights.data']?.bytes ?? 0);
  }
  const [single = 0, half = 0, byte = 0] = sizes;
  expect(half).toBeLessThan(single);
  expect(byte).toBeLessThan(half);
});

describe('the target', () => {
  test('one that exists is not touched', async () => {
    const paths = await spoilt(tied, async () => undefined);
    await mkdir(paths.to);
    await writeFile(join(paths.to, 'mine.txt'), 'mine');
    await expect(importCheckpoint(paths)).rejects.toMatchObject({ code: 'usage' });
    expect(await readdir(paths.to)).toEqual(['mine.txt']);
  });

  test('of two imports into one folder one is refused and the other is whole', async () => {
    const paths = await spoilt(tied, async () => undefined);
    const results = await Promise.allSettled([importCheckpoint(paths), importCheckpoint(paths)]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(results.find((result) => result.status === 'rejected')).toMatchObject({ reason: { code: 'data-locked' } });
    await expect(openBundle(paths.to)).resolves.toMatchObject({ manifest: { family: 'llava' } });
  });

  test('progress counts every weight', async () => {
    const seen: Written[] = [];
    await importCheckpoint({ ...(await spoilt(tied, async () => undefined)), progress: (written) => seen.push(written) });
    const last = seen.at(-1);
    expect(last).toMatchObject({ weights: last?.ofWeights, bytes: last?.ofBytes });
    expect(new Set(seen.map(({ weights }) => weights)).size).toBe((last?.ofWeights ?? 0) + 1);
    for (const [i, { bytes }] of seen.entries()) expect(bytes).toBeGreaterThanOrEqual(seen[i - 1]?.bytes ?? 0);
  });
});

test('bf16, fp16 and fp32 of one value are one weight: a retensored checkpoint gives the same graphs', async () => {
  const stored = await importCheckpoint(await spoilt(tied, async () => undefined));
  const paths = await spoilt(tied, (from) => retensor(from, (tensors) => tensors));
  const single = await importCheckpoint(paths);
  expect(single.bundle.manifest.files['weights.data']).toEqual(stored.bundle.manifest.files['weights.data']);
  const source = await openSafetensors(join(paths.from, 'model.safetensors'));
  expect(source.info('language_model.model.norm.weight').dtype).toBe('F32');
  await source.close();
});
