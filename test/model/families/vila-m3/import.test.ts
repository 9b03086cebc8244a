import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundleTokenizer, openBundle } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, llamaMarks, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
let made = 0;

async function imported(changes: Changes = {}, metadata: Metadata = {}, spoil: (from: string) => Promise<void> = async () => undefined) {
  const name = `${made++}`;
  await writeCheckpoint(join(folder, name), changes);
  await spoil(join(folder, name));
  return await importCheckpoint({ from: join(folder, name), to: join(folder, `${name}-bundle`), metadata });
}

/** The import fails with this code and words, and leaves nothing behind. */
async function refused(run: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect((await readdir(folder)).filter((name) => name.includes(`${made - 1}-bundle`))).toEqual([]);
}

const only = (wanted: string, change: (tensors: NamedTensor[]) => NamedTensor[]) => ({
  tensors: (name: string, tensors: NamedTensor[]) => (name === wanted ? change(tensors) : tensors),
});

describe('what is imported', () => {
  test('template, stops, what the first tokens may not be, limits and terms', async () => {
    const { bundle, report } = await imported();
    expect(bundle.manifest).toMatchObject({
      family: 'vila-m3',
      generation: { stopIds: [2], minNewTokens: 2, barredIds: [2] },
      prompt: { template: { name: 'vicuna_v1' }, placeholder: { rule: 'splice', text: '<image>', id: -200 } },
      limits: { contextTokens: 500, maxImages: 5, maxNewTokens: 1024 },
      sizes: { visualTokens: 4, kvHeads: 2, headDim: 16 },
      license: { clinicalUse: false, commercialUse: false, terms: expect.stringContaining('not for clinical usage') },
    });
    expect(report.notes.join(' ')).toMatch(
      /Template vicuna_v1; tokenizer from llm\/tokenizer\.model.*column by column.*rows of the head have no token/,
    );
    expect((await openBundle(bundle.dir)).digest).toBe(report.digest);
  });

  test('Llama-3 stops at the end of a turn too, and only the end of text is barred', async () => {
    const { manifest } = (await imported({ tokens: llamaMarks })).bundle;
    expect(manifest.prompt.template.name).toBe('llama_3');
    expect(manifest.generation).toMatchObject({ stopIds: [2, llamaMarks['<|eot_id|>']], minNewTokens: 2, barredIds: [2] });
  });

  test('no dummy prefix follows a special token, whatever tokenizer_config.json says', async () => {
    const tokenizer = await bundleTokenizer((await imported()).bundle);
    const [end = -1, ...after] = tokenizer.encode('</s>a', false).slice(-2);
    expect([end, ...after]).toEqual([2, tokenizer.idOf('a')]);
  });

  test('every task has its source; a task and the order of blocks are the importer’s to say', async () => {
    const { bundle, report } = await imported(
      { top: { transformers_version: '4.46.0' } },
      { mergeOrder: 'rows', tasks: { report: { text: '\nMine.' } } },
    );
    const { report: own, ...others } = bundle.manifest.tasks;
    expect(own).toEqual({ text: '\nMine.' });
    expect(Object.values(others).every((task) => task.source?.includes('VLM-Radiology-Agent-Framework'))).toBe(true);
    expect(report.notes.join(' ')).toContain('row by row');
  });
});

describe('names of a projector without a merge', () => {
  const tensors = (names: readonly string[]) =>
    names.map((name, index): NamedTensor => {
      const shape = [48, ...(name.endsWith('bias') ? [] : [index < 2 ? 32 : 48])];
      return { name, shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(0.1) };
    });

  test.each([
    ['linear', ['layers.weight', 'layers.bias']],
    ['mlp1x_gelu', ['layers.0.weight', 'layers.0.bias']],
    ['mlp3x_gelu', ['layers.0.weight', 'layers.0.bias', 'layers.2.weight', 'layers.2.bias', 'layers.4.weight', 'layers.4.bias']],
  ])('%s', async (mm_projector_type, names) => {
    const { bundle } = await imported({ projector: { mm_projector_type }, ...only('mm_projector', () => tensors(names)) });
    expect(bundle.manifest.sizes.visualTokens).toBe(9);
  });
});

describe('what does not fit is refused, and nothing is written', () => {
  const without = (name: string) => (tensors: NamedTensor[]) => tensors.filter((tensor) => tensor.name !== name);
  const renamed = (from: string, to: string) => (tensors: NamedTensor[]) =>
    tensors.map((tensor) => (tensor.name === from ? { ...tensor, name: to } : tensor));

  test.each<[string, Changes, string, RegExp]>([
    [
      'a missing tensor, by its folder',
      only('mm_projector', without('layers.2.weight')),
      'checkpoint-tensors',
      /missing: mm_projector\/layers\.2\.weight \[48, 128\]/,
    ],
    [
      'an extra tensor',
      only('llm', renamed('lm_head.weight', 'head.weight')),
      'checkpoint-tensors',
      /llm\/lm_head\.weight \[352, 48\].*llm\/head\.weight/,
    ],
    [
      'a tensor of another shape',
      only('mm_projector', (tensors) => tensors.map((t) => (t.name === 'layers.4.bias' ? { ...t, shape: [12, 4] } : t))),
      'checkpoint-tensors',
      /mm_projector\/layers\.4\.bias is \[12, 4\], \[48\] expected/,
    ],
    ['a picture of another size', { processor: { size: { height: 56, width: 56 } } }, 'architecture-unsupported', /56 x 56.* 42 x 42/],
    ['a tokenizer of another checkpoint', { tokens: { '<extra>': 352 } }, 'checkpoint-tensors', /353 ids.*352 rows/],
    ['an order of blocks that no file says', { top: { transformers_version: '4.46.0' } }, 'import-option-missing', /mlp_downsample/],
  ])('%s', async (_, changes, code, message) => await refused(imported(changes), code, message));

  test('a template that is not known, or whose marks the tokenizer lacks', async () => {
    await refused(imported({}, { template: 'alpaca' }), 'import-option-missing', /alpaca/);
    await refused(imported({}, { template: 'llama_3' }), 'tokenizer-unsupported', /<\|eot_id\|>/);
  });

  test('a folder without one of its parts', async () => {
    await refused(
      imported({}, {}, (from) => rm(join(from, 'mm_projector/config.json'))),
      'architecture-unsupported',
      /mm_projector\/config\.json/,
    );
    await refused(
      imported({}, {}, (from) => rm(join(from, 'vision_tower/model.safetensors'))),
      'checkpoint-unreadable',
      /vision_tower/,
    );
  });
});
