import { cp, mkdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { families } from '#model/families/registry.ts';
import { importCheckpoint } from '#model/import.ts';
import { writeGraphs } from '#model/onnx/files.ts';
import { Graph } from '#model/onnx/graph.ts';
import { editJson, folder, legacy, refused, retensor, spoilt, tied } from './spoilt.ts';

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

  test.each([
    ['NaN', Number.NaN, 'norm.weight', 'fp32'],
    ['infinity', Number.POSITIVE_INFINITY, 'layers.1.mlp.up_proj.weight', 'fp16'],
    ['NaN in 8-bit blocks', Number.NaN, 'embed_tokens.weight', 'int8'],
  ] as const)('%s in a weight is named with its place, and no bundle is left', async (_, bad, name, weights) => {
    const spoil = (tensors: NamedTensor[]) =>
      tensors.map((tensor) =>
        tensor.name.endsWith(`model.${name}`) ? { ...tensor, values: tensor.values.map((value, i) => (i === 5 ? bad : value)) } : tensor,
      );
    const paths = await spoilt(tied, (from) => retensor(from, spoil));
    await refused({ ...paths, weights }, 'checkpoint-tensors', new RegExp(`${name} holds ${bad} at position 5`));
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
  test('a family that is not built is named, and those that are', async () => {
    const paths = await spoilt(tied, (from) => writeFile(join(from, 'config.json'), '{"model_type":"whisper"}'));
    await refused(paths, 'architecture-unsupported', /whisper/);
    await expect(importCheckpoint(paths)).rejects.toMatchObject({ hint: `built: ${families.map(({ name }) => name).join(', ')}` });
  });

  test.each([
    [tied, 'model-00002-of-00003.safetensors'],
    [legacy, 'pytorch_model-00002-of-00002.bin'],
  ])('a shard of %s that is cut or not there is named', async (variant, shard) => {
    const half = async (from: string) => truncate(join(from, shard), Math.floor((await stat(join(from, shard))).size / 2));
    await refused(await spoilt(variant, half), 'checkpoint-unreadable', new RegExp(`^${shard}: .*truncated`));
    await refused(
      await spoilt(variant, (from) => rm(join(from, shard))),
      'checkpoint-unreadable',
      new RegExp(`^${shard}: named by .* not there`),
    );
  });

  test('more than there is room for is refused before anything is written, with both numbers', async () => {
    const graph = new Graph('huge');
    const shape = [2 ** 30, 2 ** 20];
    graph.weight('w', shape, { kind: 'stored', tensors: [{ name: 'w', shape }] });
    const read = () => Promise.reject(new Error('nothing may be read'));
    const own = join(folder, 'huge');
    await mkdir(own);
    await expect(writeGraphs(own, 'w.data', [{ file: 'w.onnx', graph }], read)).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringMatching(/^the bundle needs 4503599627370496 bytes more, \d+ are free/),
    });
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
