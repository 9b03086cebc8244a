import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openBundle } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, decoderKeys, ids, visionKeys, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
let made = 0;

async function imported(changes: Changes = {}, metadata: Metadata = {}) {
  const name = `${made++}`;
  await writeCheckpoint(join(folder, name), changes);
  return await importCheckpoint({ from: join(folder, name), to: join(folder, `${name}-bundle`), metadata });
}

/** The import fails with this code and words, and leaves nothing behind. */
async function refused(changes: Changes, code: string, message: RegExp, metadata: Metadata = {}): Promise<void> {
  await expect(imported(changes, metadata)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect((await readdir(folder)).filter((name) => name.includes(`${made - 1}-bundle`))).toEqual([]);
}

const renamed = (tensors: NamedTensor[]) =>
  tensors.map((tensor) => ({
    ...tensor,
    name: tensor.name.replace(/^visual\./, 'model.visual.').replace(/^model\.(?!visual)/, 'model.language_model.'),
  }));

describe('what is imported', () => {
  test('template, stop ids, placeholder, patches, sizes and limits', async () => {
    const { bundle, report } = await imported();
    expect(bundle.manifest).toMatchObject({
      family: 'qwen2_5_vl',
      generation: { stopIds: [ids.end, 340] },
      prompt: { template: { name: 'chatml' }, placeholder: { rule: 'expand', text: '<|image_pad|>', id: ids.image } },
      patches: { minPixels: 64, maxPixels: 1600, patch: 4, temporal: 2, merge: 2, window: 2 },
      // 400 rows hold the largest picture, 25 rows, fifteen times: the authors' kit stops at six.
      limits: { contextTokens: 400, maxImages: 6 },
      sizes: { visualTokens: 25, positionAxes: 3, headDim: 16, kvHeads: 1, needs: ['attention'] },
      license: { clinicalUse: null, commercialUse: null },
    });
    expect(report.notes.join(' ')).toMatch(/up to 25 rows.*repetition penalty 1\.05/);
    expect((await openBundle(bundle.dir)).digest).toBe(report.digest);
  });

  test('newer saves: nested config, other prefixes', async () => {
    const flat = (await imported()).bundle.manifest;
    const nested = (await imported({ nested: true, tensors: renamed })).bundle.manifest;
    expect({ ...nested, files: {}, name: '', sources: [] }).toEqual({ ...flat, files: {}, name: '', sources: [] });
  });

  test('a tied head needs no lm_head', async () => {
    const { bundle } = await imported({
      config: { tie_word_embeddings: true },
      tensors: (tensors) => tensors.filter(({ name }) => name !== 'lm_head.weight'),
    });
    expect(bundle.manifest.family).toBe('qwen2_5_vl');
  });

  test('imageSize lowers the largest picture', async () => {
    const { bundle } = await imported({}, { imageSize: 16 });
    expect(bundle.manifest).toMatchObject({ patches: { maxPixels: 256 }, sizes: { visualTokens: 4 } });
  });

  test('every task has the authors’ words and their source', async () => {
    const { tasks } = (await imported()).bundle.manifest;
    expect(Object.values(tasks).every((task) => task.source?.startsWith('alibaba-damo-academy/MedEvalKit'))).toBe(true);
    expect(tasks.report?.text).toMatch(/^You are a helpful assistant\. .*Findings: \{\} Impression: \{\}\.$/);
    expect(tasks.report_mimic?.text).toBe(`\n        ${tasks.report?.text}\n`);
    expect(tasks.vqa_yes_no?.text).toBe("{question}\nPlease output 'yes' or 'no'(no extra output).");
  });
});

describe('what does not fit', () => {
  test('a missing bias of the vision MLP is named with its shape', () =>
    refused(
      { tensors: (tensors) => tensors.filter(({ name }) => name !== 'visual.blocks.1.mlp.down_proj.bias') },
      'checkpoint-tensors',
      /missing: visual\.blocks\.1\.mlp\.down_proj\.bias \[24\]/,
    ));

  test('a missing tensor of a newer save is named in its spelling', () =>
    refused(
      { nested: true, tensors: (tensors) => renamed(tensors).filter(({ name }) => !name.endsWith('embed_tokens.weight')) },
      'checkpoint-tensors',
      /missing: model\.language_model\.embed_tokens\.weight \[352, 32\]/,
    ));

  test('a kernel of another patch is named with both shapes', () =>
    refused(
      { config: { vision_config: { ...visionKeys, temporal_patch_size: 1 } } },
      'checkpoint-tensors',
      /visual\.patch_embed\.proj\.weight is \[24, 3, 2, 4, 4\], \[24, 3, 1, 4, 4\] expected/,
    ));

  test('a tensor of no part is named', () =>
    refused(
      { tensors: (tensors) => [...tensors, { name: 'visual.class_embedding', shape: [1], values: Float32Array.of(1) }] },
      'checkpoint-tensors',
      /not of this architecture: visual\.class_embedding/,
    ));

  test.each<[string, Changes, RegExp]>([
    ['no sections', { config: { rope_scaling: null } }, /rope_scaling.*mrope_section/],
    [
      'sections of another head',
      { config: { rope_scaling: { type: 'mrope', mrope_section: [2, 3, 4] } } },
      /mrope_section has 9 frequencies in sum, a head of 16 has 8/,
    ],
    ['another scaling', { config: { rope_scaling: { type: 'yarn', mrope_section: [2, 3, 3] } } }, /rotary scaling yarn is not built/],
    ['a decoder of another width', { config: { vision_config: { ...visionKeys, out_hidden_size: 48 } } }, /out_hidden_size is 48.*is 32/],
    ['a window below one unit', { config: { vision_config: { ...visionKeys, window_size: 7 } } }, /window_size 7/],
    ['heads that rotary cannot quarter', { config: { vision_config: { ...visionKeys, num_heads: 4 } } }, /head size of 6/],
    ['another activation', { config: { vision_config: { ...visionKeys, hidden_act: 'gelu' } } }, /hidden_act is gelu/],
    ['class defaults of a missing vision_config', { config: { vision_config: undefined } }, /out_hidden_size is 3584/],
    ['the processor’s own patch', { processor: { patch_size: 14 } }, /patch: the image processor says 14, the vision tower 4/],
    ['a processor that does not normalise', { processor: { do_normalize: false } }, /do_normalize/],
  ])('%s', (_, changes, message) => refused(changes, 'architecture-unsupported', message));

  test('a largest picture below the smallest', () =>
    refused({}, 'architecture-unsupported', /at most 36 pixels.*fewer than 64/, { imageSize: 6 }));

  test('an image token that the tokenizer knows under another id', () =>
    refused({ config: { image_token_id: 345 } }, 'tokenizer-unsupported', /<\|image_pad\|> has the id 345, the tokenizer says 346/));

  test('a tokenizer without the marks around an image', () =>
    refused({ tokens: { [ids.image]: '<|image_pad|>' } }, 'tokenizer-unsupported', /no <\|vision_start\|>/));

  test('a tokenizer with more ids than the embedding has rows', () =>
    refused(
      { config: { ...decoderKeys, vocab_size: 345 }, tensors: (tensors) => tensors.map((tensor) => cut(tensor, 345)) },
      'checkpoint-tensors',
      /tokenizer has 347 ids, the embedding 345 rows/,
    ));

  test('a template of another family', () => refused({}, 'import-option-missing', /no template of qwen2_5_vl/, { template: 'vicuna_v1' }));
});

/** Fewer rows of the embedding and the head. */
function cut(tensor: NamedTensor, rows: number): NamedTensor {
  if (tensor.shape[0] !== 352) return tensor;
  return { ...tensor, shape: [rows, 32], values: tensor.values.slice(0, rows * 32) };
}
