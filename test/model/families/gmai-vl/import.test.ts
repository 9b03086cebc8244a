import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openBundle } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, config, ids, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
let made = 0;

async function imported(changes: Changes = {}, metadata: Metadata = {}) {
  const name = `${made++}`;
  await writeCheckpoint(join(folder, name), changes);
  return await importCheckpoint({ from: join(folder, name), to: join(folder, `${name}-bundle`), metadata });
}

/** The import fails with this code and words, and leaves nothing behind. */
async function refused(changes: Changes, code: string, message: RegExp): Promise<void> {
  await expect(imported(changes)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect((await readdir(folder)).filter((name) => name.includes(`${made - 1}-bundle`))).toEqual([]);
}

describe('what is imported', () => {
  test('template, stop ids, placeholder, limits and terms', async () => {
    const { bundle, report } = await imported();
    expect(bundle.manifest).toMatchObject({
      family: 'gmai-vl',
      generation: { stopIds: [2, ids.end], text: { cutRepetition: true }, published: { temperature: 0.2, noRepeatNgram: 5 } },
      prompt: { template: { name: 'internlm2', specialTokens: false }, placeholder: { rule: 'replace', text: '<image>', id: ids.image } },
      limits: { contextTokens: 256, maxImages: 63 },
      sizes: { visualTokens: 4, headDim: 16, kvHeads: 2 },
      processor: { pad: false, crop: { height: 28 } },
      license: { commercialUse: false, terms: expect.stringContaining('Research only') },
    });
    expect(bundle.manifest.prompt).not.toHaveProperty('zeroRowId');
    expect(report.notes.join(' ')).toMatch(/Template internlm2; tokenizer from tokenizer\.model.*cropped.*Dynamic rotary.*beyond 256 rows/);
    expect((await openBundle(bundle.dir)).digest).toBe(report.digest);
  });

  test('every task has the authors’ words and their source; the demo’s template brings its frame', async () => {
    const plain = (await imported()).bundle.manifest.tasks;
    expect(Object.keys(plain).sort()).toEqual(
      [
        'report',
        'findings',
        'diagnosis',
        'caption',
        'localization',
        'safety',
        'vqa_open',
        'vqa_yes_no',
        'vqa_choice',
        'caption_training',
      ].sort(),
    );
    expect(Object.values(plain).every((task) => task.source?.startsWith('uni-medical/GMAI-VL'))).toBe(true);
    expect(plain.vqa_choice?.text).toBe('{question}\n{options}');
    expect(plain.report?.text).toBe('Write a short radiology-style impression with the most important observations first.');
    const demo = (await imported({}, { template: 'internlm2-demo', intendedUse: { regions: ['chest'] } })).bundle.manifest.tasks;
    expect(demo.vqa_open?.text).toBe(
      'Clinical area: Chest / Lung.\nTask: Answer this medical visual question: What are the most relevant findings in this image?\nAnswer once, concisely. Do not repeat the question.\nUser question: {question}',
    );
  });

  test('padding as in training, limits, licence and a task are the importer’s to say', async () => {
    const { bundle, report } = await imported(
      {},
      { pad: true, limits: { maxImages: 600, contextTokens: 100 }, license: { name: 'mine' }, tasks: { report: { text: 'Report.' } } },
    );
    expect(bundle.manifest).toMatchObject({
      processor: { pad: true },
      limits: { maxImages: 600, contextTokens: 100 },
      license: { name: 'mine', commercialUse: false },
      tasks: { report: { text: 'Report.' }, safety: {} },
    });
    expect(report.notes.join(' ')).toMatch(/padded to a square.*600 images are 2400 rows: more than the 2048/);
  });

  test('padding that the top level names is blank in the bundle', async () => {
    expect((await imported({ config: { pad_token_id: 9 } })).bundle.manifest.prompt.zeroRowId).toBe(9);
  });

  test('a tied head needs no output.weight', async () => {
    const { bundle } = await imported({
      config: { text_config: { ...config.text_config, tie_word_embeddings: true } },
      tensors: (tensors) => tensors.filter(({ name }) => name !== 'language_model.output.weight'),
    });
    expect(bundle.manifest.family).toBe('gmai-vl');
  });
});

describe('what does not fit', () => {
  const reshape = (end: string, shape: number[]) => (tensors: NamedTensor[]) =>
    tensors.map((tensor) =>
      tensor.name.endsWith(end) ? { ...tensor, shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) } : tensor,
    );

  test('a missing packed matrix is named as the authors name it, with its shape', () =>
    refused(
      { tensors: (tensors) => tensors.filter(({ name }) => !name.endsWith('layers.1.attention.wqkv.weight')) },
      'checkpoint-tensors',
      /missing: language_model\.model\.layers\.1\.attention\.wqkv\.weight \[80, 48\]/,
    ));

  test('a packed matrix of another shape is named with both', () =>
    refused(
      { tensors: reshape('layers.0.attention.wqkv.weight', [144, 48]) },
      'checkpoint-tensors',
      /layers\.0\.attention\.wqkv\.weight is \[144, 48\], \[80, 48\] expected/,
    ));

  test('a config that wants biases names every one that is missing', () =>
    refused(
      { config: { text_config: { ...config.text_config, bias: true } } },
      'checkpoint-tensors',
      /missing: .*layers\.0\.attention\.wqkv\.bias \[80\].*layers\.0\.attention\.wo\.bias \[48\]/,
    ));

  test('a tensor of no part is named', () =>
    refused(
      { tensors: (tensors) => [...tensors, { name: 'language_model.model.lora.weight', shape: [1], values: Float32Array.of(1) }] },
      'checkpoint-tensors',
      /not of this architecture: language_model\.model\.lora\.weight/,
    ));

  test('an image token that the tokenizer knows under another id', () =>
    refused(
      { config: { image_token_index: 32000 } },
      'tokenizer-unsupported',
      /<image> has the id 32000 \(image_token_index\), the tokenizer says 346/,
    ));

  test('a tokenizer without the end of a turn', () =>
    refused({ tokens: { [ids.image]: '<image>' } }, 'tokenizer-unsupported', /no <\|im_end\|>/));

  test('a tokenizer with more ids than the embedding has rows', () =>
    refused(
      { tokens: { 344: '<|im_end|>', 345: '<|im_start|>', 346: '<image>', 400: '<extra>' } },
      'checkpoint-tensors',
      /tokenizer has 401 ids, the embedding 352 rows/,
    ));

  test('a template of another family', () =>
    expect(imported({}, { template: 'vicuna_v1' })).rejects.toMatchObject({
      code: 'import-option-missing',
      hint: expect.stringContaining('internlm2-demo'),
    }));
});
