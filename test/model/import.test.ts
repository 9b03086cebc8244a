import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openBundle } from '#model/bundle.ts';
import { openCheckpoint } from '#model/checkpoint/open.ts';
import { openSafetensors } from '#model/checkpoint/safetensors.ts';
import { type NamedTensor, writeSafetensors } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Written } from '#model/onnx/files.ts';
import { pickle, torchFile } from './checkpoint/torch-file.ts';
import { copyCheckpoint, temporaryFolder } from './folder.ts';

const folder = await temporaryFolder();
let made = 0;

/** A copy of a golden checkpoint, changed by `change`, and the folder its bundle would go to. */
async function spoilt(variant: string, change: (checkpoint: string) => Promise<void>): Promise<{ from: string; to: string }> {
  const name = `${made++}`;
  const from = await copyCheckpoint(variant, folder, name);
  await change(from);
  return { from, to: join(folder, `${name}-bundle`) };
}

async function editJson(path: string, change: (json: Record<string, unknown>) => void): Promise<void> {
  const json = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  change(json);
  await writeFile(path, JSON.stringify(json));
}

/** Replaces the shards by one file of changed tensors. */
async function retensor(checkpoint: string, change: (tensors: NamedTensor[]) => NamedTensor[]): Promise<void> {
  const source = await openCheckpoint(checkpoint);
  const tensors: NamedTensor[] = [];
  for (const name of source.names) tensors.push({ name, shape: source.info(name).shape, values: await source.readF32(name) });
  await source.close();
  for (const file of await readdir(checkpoint)) if (file.startsWith('model')) await rm(join(checkpoint, file));
  await writeSafetensors(join(checkpoint, 'model.safetensors'), change(tensors));
}

/** The import fails with this code and words, and leaves nothing behind. */
async function refused(paths: { from: string; to: string }, code: string, message: RegExp): Promise<void> {
  await expect(importCheckpoint(paths)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  const name = basename(paths.to);
  expect((await readdir(folder)).filter((entry) => entry === name || entry === `.${name}.importing`)).toEqual([]);
}

const tied = 'siglip-qwen2-gqa-tied';
const legacy = 'original-llama-bin2';

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

describe('tensors that do not fit', () => {
  test('a missing tensor is named with its shape', async () => {
    await refused(
      await spoilt(tied, (from) =>
        retensor(from, (tensors) => tensors.filter(({ name }) => !name.endsWith('layers.1.mlp.up_proj.weight'))),
      ),
      'checkpoint-tensors',
      /missing: .*up_proj\.weight \[96, 64\]/,
    );
  });

  test('a tensor that belongs to no part is named', async () => {
    const extra = { name: 'language_model.model.layers.0.self_attn.adapter.weight', shape: [1], values: Float32Array.of(1) };
    await refused(await spoilt(tied, (from) => retensor(from, (tensors) => [...tensors, extra])), 'checkpoint-tensors', /adapter\.weight/);
  });

  test('NaN in a weight is named, and no bundle is left', async () => {
    const spoil = (tensors: NamedTensor[]) =>
      tensors.map((tensor) =>
        tensor.name.endsWith('model.norm.weight')
          ? { ...tensor, values: tensor.values.map((value, i) => (i === 5 ? Number.NaN : value)) }
          : tensor,
      );
    await refused(await spoilt(tied, (from) => retensor(from, spoil)), 'checkpoint-tensors', /norm\.weight holds NaN at position 5/);
  });

  test('an embedding with fewer rows than the tokenizer has ids is refused with both numbers', async () => {
    const cut = (tensors: NamedTensor[]) =>
      tensors.map((tensor) =>
        tensor.name.endsWith('embed_tokens.weight') ? { ...tensor, shape: [300, 64], values: tensor.values.slice(0, 300 * 64) } : tensor,
      );
    const paths = await spoilt(tied, async (from) => {
      await retensor(from, cut);
      await editJson(join(from, 'config.json'), (json) => Object.assign(json.text_config as object, { vocab_size: 300 }));
    });
    await refused(paths, 'checkpoint-tensors', /tokenizer has 344 ids, the embedding 300 rows/);
  });

  test('a config of another checkpoint is refused with both shapes', async () => {
    const paths = await spoilt(tied, (from) =>
      editJson(join(from, 'config.json'), (json) => Object.assign(json.text_config as object, { intermediate_size: 128 })),
    );
    await refused(paths, 'checkpoint-tensors', /up_proj\.weight is \[96, 64\], \[128, 64\] expected/);
  });
});

describe('files that are missing or contradict each other', () => {
  test('a family that is not built is named', async () => {
    await refused(
      await spoilt(tied, (from) => writeFile(join(from, 'config.json'), '{"model_type":"whisper"}')),
      'architecture-unsupported',
      /whisper/,
    );
  });

  test('no config.json', async () => {
    await refused(await spoilt(tied, (from) => rm(join(from, 'config.json'))), 'checkpoint-unreadable', /config\.json/);
  });

  test('a tower that is nowhere is asked for by name', async () => {
    await refused(
      await spoilt(legacy, (from) => rm(join(from, 'openai'), { recursive: true })),
      'import-option-missing',
      /openai\/clip-vit-large-patch14-336/,
    );
  });

  test('a tower whose name leads outside is not followed', async () => {
    const paths = await spoilt(legacy, async (from) => {
      await mkdir(join(from, '../../outside/tower'), { recursive: true });
      await cp(join(from, 'openai/clip-vit-large-patch14-336'), join(from, '../../outside/tower'), { recursive: true });
      await editJson(join(from, 'config.json'), (json) => Object.assign(json, { mm_vision_tower: '../../outside/tower' }));
    });
    await refused(paths, 'import-option-missing', /outside\/tower/);
  });

  test('no image processor', async () => {
    await refused(
      await spoilt(tied, (from) => rm(join(from, 'preprocessor_config.json'))),
      'import-option-missing',
      /preprocessor_config\.json/,
    );
  });

  test('a processor of another size than the tower takes', async () => {
    const paths = await spoilt(tied, (from) =>
      editJson(join(from, 'preprocessor_config.json'), (json) => Object.assign(json, { size: { height: 64, width: 64 } })),
    );
    await refused(paths, 'architecture-unsupported', /gives 64 x 64, the vision tower takes 56 x 56/);
  });

  test('a placeholder with two ids', async () => {
    const paths = await spoilt(tied, (from) =>
      editJson(join(from, 'config.json'), (json) => Object.assign(json, { image_token_index: 341 })),
    );
    await refused(paths, 'tokenizer-unsupported', /<image> has the id 341, the tokenizer says 343/);
  });

  test('an unknown key in wetread.json', async () => {
    const paths = await spoilt(tied, (from) => writeFile(join(from, 'wetread.json'), '{"maxImagesEver": 1}'));
    await refused(paths, 'import-option-missing', /maxImagesEver/);
  });
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
  const single = await importCheckpoint(await spoilt(tied, (from) => retensor(from, (tensors) => tensors)));
  expect(single.bundle.manifest.files['weights.data']).toEqual(stored.bundle.manifest.files['weights.data']);
  const source = await openSafetensors(join(folder, `${made - 1}`, 'checkpoint', 'model.safetensors'));
  expect(source.info('language_model.model.norm.weight').dtype).toBe('F32');
  await source.close();
});
