import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundleTokenizer } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { encodeLlava } from '#model/families/llava/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { temporaryFolder } from '../../folder.ts';
import { rewriteJson, rewriteTensors } from '../rewrite.ts';
import { writeTinyCheckpoint } from './checkpoint.ts';

const folders = async (name = 'checkpoint') => ({ from: join(await temporaryFolder(), name), to: join(await temporaryFolder(), 'bundle') });
const black = { width: 4, height: 2, channels: 1, pixels: new Uint8Array(8) } as const;

describe('a llava checkpoint', () => {
  test('has the tasks that its importer names, and no others', async () => {
    const { from, to } = await folders();
    await writeTinyCheckpoint(from, 7);
    const { bundle } = await importCheckpoint({ from, to, metadata: { tasks: { report: { text: 'Mine.' } } } });
    expect(bundle.manifest.tasks).toEqual({ report: { text: 'Mine.' } });
  });

  test('becomes a bundle with the tasks of the family, and a mark in a text places no picture', async () => {
    const { from, to } = await folders();
    await writeTinyCheckpoint(from, 7);
    const { bundle } = await importCheckpoint({ from, to });
    expect(bundle.manifest).toMatchObject({
      family: 'llava',
      tasks: { vqa_open: { text: '{question}' }, vqa_choice: {}, vqa_yes_no: {} },
      wording: { numbered: '<image_{number}>: ' },
      generation: { text: { strip: true } },
    });
    const tokenizer = await bundleTokenizer(bundle);
    const text = { kind: 'text', text: 'No <image>picture.' } as const;
    const one = encodeLlava(bundle.manifest, tokenizer, [{ kind: 'image', image: black }, text]);
    expect(one.parts.filter((part) => part.kind === 'image')).toHaveLength(1);
  });

  const cut = (name: RegExp, rows: number) => (all: readonly NamedTensor[]) =>
    all.map((one) => {
      const [, ...others] = one.shape;
      const size = others.reduce((product, length) => product * length, rows);
      return name.test(one.name) ? { ...one, shape: [rows, ...others], values: one.values.slice(0, size) } : one;
    });
  test.each([
    [
      'a missing tensor',
      (folder: string) => rewriteTensors(folder, (all) => all.filter(({ name }) => !/linear_2\.bias$/.test(name))),
      'checkpoint-tensors',
      /multi_modal_projector\.linear_2\.bias/,
    ],
    [
      'a tensor of no part',
      (folder: string) => rewriteTensors(folder, (all) => [...all, { name: 'resampler.query', shape: [1], values: new Float32Array(1) }]),
      'checkpoint-tensors',
      /resampler\.query/,
    ],
    [
      'a tensor of another shape',
      (folder: string) => rewriteTensors(folder, cut(/linear_1\.bias$/, 3)),
      'checkpoint-tensors',
      /linear_1\.bias is \[3\]/,
    ],
    [
      'an embedding with fewer rows than there are tokens',
      async (folder: string) => {
        await rewriteJson(folder, 'config.json', { text_config: { vocab_size: 40 } });
        await rewriteTensors(folder, cut(/(embed_tokens|lm_head)\.weight$/, 40));
      },
      'checkpoint-tensors',
      /the tokenizer has \d+ ids, the embedding 40 rows/,
    ],
    [
      'a placeholder that the tokenizer knows under another id',
      (folder: string) => rewriteJson(folder, 'config.json', { image_token_index: 5, image_token_id: 5 }),
      'tokenizer-unsupported',
      /<image> has the id 5/,
    ],
    [
      'rotary scaling that is not built',
      (folder: string) =>
        rewriteJson(folder, 'config.json', { text_config: { rope_scaling: { type: 'yarn', factor: 4 }, rope_parameters: null } }),
      'architecture-unsupported',
      /yarn/,
    ],
  ] as const)('%s is refused by name, and nothing is written', async (_, change, code, message) => {
    const { from, to } = await folders();
    await writeTinyCheckpoint(from, 7);
    await change(from);
    await expect(importCheckpoint({ from, to })).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(existsSync(to)).toBe(false);
  });

  test('what is a difference from a base model by its name is refused with what to do', async () => {
    const { from, to } = await folders('llava_med_in_text_60k_delta');
    const other = await folders();
    await writeTinyCheckpoint(other.from, 7);
    await rename(other.from, from);
    await expect(importCheckpoint({ from, to })).rejects.toMatchObject({
      code: 'architecture-unsupported',
      message: expect.stringContaining('llava_med_in_text_60k_delta'),
      hint: expect.stringContaining('apply_delta'),
    });
  });
});
