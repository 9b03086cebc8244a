import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { filled } from '#domain/task-text.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { type Device, startDevice } from '#runtime/device.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, letterPieces, vocab } from '../pmc-vqa.ts';
import { places, queries, width, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
let made = 0;

interface Made {
  readonly tower?: 'resnet' | 'clip';
  readonly changes?: Changes;
  readonly metadata?: Metadata;
  readonly spoil?: (from: string) => Promise<void>;
}

async function imported({ tower = 'clip', changes = {}, metadata = {}, spoil }: Made = {}) {
  const name = `${made++}`;
  const from = join(folder, name);
  await writeCheckpoint(from, tower, changes);
  await spoil?.(from);
  return await importCheckpoint({ from, to: join(folder, `${name}-bundle`), metadata });
}

/** The import fails with this code and words, and leaves nothing behind. */
async function refused(how: Made, code: string, message: RegExp): Promise<void> {
  await expect(imported(how)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect((await readdir(folder)).filter((name) => name === `${made - 1}-bundle`)).toEqual([]);
}

const open = (await imported()).bundle;

describe('what is imported', () => {
  test('sizes from names and shapes, the picture from the position table and not from the config', () => {
    expect(open.manifest).toMatchObject({
      family: 'medvint-te',
      sizes: { hiddenSize: width, layers: 0, visualTokens: queries, vocabSize: vocab, embeddingRows: vocab + 2 },
      limits: { maxImages: 1, contextTokens: places + 1 + queries, maxNewTokens: 8 },
      generation: { stopIds: [], answerLengths: [1, 2, 3, 4, 5, 6, 7, 8] },
      processor: { resize: { to: 'size', height: 24, width: 24 }, filter: 'bicubic', mean: [0.485, 0.456, 0.406] },
    });
  });

  test('a ResNet takes the side that the importer names', async () => {
    const { bundle } = await imported({ tower: 'resnet', metadata: { imageSize: 40 } });
    expect(bundle.manifest.processor.resize).toEqual({ to: 'size', height: 40, width: 40 });
  });

  test('a choice is one letter of those that the tokenizer has, and an open answer as long as the importer lets it be', async () => {
    const { bundle, report } = await imported({ metadata: { limits: { maxNewTokens: 3 } } });
    const { tasks, generation } = bundle.manifest;
    expect(tasks.vqa_choice?.answer?.answerLengths).toEqual([1]);
    expect(tasks.vqa_choice?.answer?.firstIds).toEqual(Object.keys(letterPieces).map(Number));
    expect(report.notes.join(' ')).toMatch(/no piece for C, D/);
    expect(generation.answerLengths).toEqual([1, 2, 3]);
    expect(report.notes.join(' ')).toMatch(/length of an open answer is a guess/);
  });

  test('of the template choice, one letter is the answer without a task too', async () => {
    const { bundle } = await imported({ metadata: { template: 'choice' } });
    expect(bundle.manifest.generation.answerLengths).toEqual([1]);
    expect(bundle.manifest.generation.firstIds).toEqual(bundle.manifest.tasks.vqa_choice?.answer?.firstIds);
  });

  test('terms, and a source for every task', () => {
    expect(open.manifest.license).toMatchObject({ clinicalUse: false, commercialUse: false });
    expect(Object.values(open.manifest.tasks).every((task) => task.source !== undefined)).toBe(true);
  });

  test('one of the two names of LLaMA is enough, with LoRA pairs of any age', async () => {
    const rename = (name: string) =>
      name
        .replace(/^llama_model\./, 'text_encoder.base_model.model.')
        .replace('.lora_A.default.', '.lora_A.')
        .replace('.lora_B.default.', '.lora_B.');
    const single = (tensors: NamedTensor[]) =>
      tensors.filter(({ name }) => !name.startsWith('text_encoder.')).map((tensor) => ({ ...tensor, name: rename(tensor.name) }));
    const { bundle } = await imported({ changes: { tensors: single } });
    const weights = async (dir: string) => await readFile(join(dir, 'weights.data'));
    expect((await weights(bundle.dir)).equals(await weights(open.dir))).toBe(true);
  });

  test.each(['fp16', 'int8'] as const)('with %s weights', async (weights) => {
    const from = join(folder, `${made++}`);
    await writeCheckpoint(from, 'resnet');
    const { bundle } = await importCheckpoint({ from, to: `${from}-bundle`, metadata: { imageSize: 40 }, weights });
    expect(bundle.manifest.numberType).toBe(weights);
  });
});

describe('what does not fit is refused, and nothing is written', () => {
  const only = (change: (tensor: NamedTensor) => NamedTensor[]): Made => ({ changes: { tensors: (tensors) => tensors.flatMap(change) } });
  const without = (start: string) => only((tensor) => (tensor.name.startsWith(start) ? [] : [tensor]));
  const reshaped = (name: string, shape: number[]) =>
    only((tensor) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [tensor.name === name ? { name, shape, values: new Float32Array(size).fill(0.1) } : tensor];
    });
  const changed = (name: string, value: (old: number) => number) =>
    only((tensor) => [tensor.name === name ? { ...tensor, values: tensor.values.map(value) } : tensor]);
  const block = 'fusion_module.resblocks.0.';

  test.each<[string, Made, string, RegExp]>([
    ['a missing tensor', without(`${block}ln_1.bias`), 'checkpoint-tensors', new RegExp(`missing: ${block}ln_1\\.bias \\[16\\]`)],
    [
      'a missing table that the length comes from',
      without('positional_embedding'),
      'checkpoint-tensors',
      /positional_embedding \[\?, \?\]/,
    ],
    [
      'an extra tensor',
      { changes: { tensors: (tensors) => [...tensors, { name: 'other.weight', shape: [1], values: Float32Array.of(1) }] } },
      'checkpoint-tensors',
      /not of this architecture: other\.weight/,
    ],
    [
      'a packed projection of another shape, under its own name',
      reshaped(`${block}attn.in_proj_weight`, [47, 16]),
      'checkpoint-tensors',
      /attn\.in_proj_weight is \[47, 16\], \[48, 16\] expected/,
    ],
    [
      'half a LoRA pair',
      without('text_encoder.base_model.model.layers.0.self_attn.v_proj.lora_B'),
      'checkpoint-tensors',
      /missing: text_encoder\.base_model\.model\.layers\.0\.self_attn\.v_proj\.lora_B\.default\.weight/,
    ],
    [
      'a tensor that differs under its two names',
      changed('llama_model.norm.weight', (value) => value + 1),
      'checkpoint-tensors',
      /text_encoder\.base_model\.model\.norm\.weight and llama_model\.norm\.weight differ at value 0/,
    ],
    ['a value that is no number', changed('img_special_token', () => Number.NaN), 'checkpoint-tensors', /holds NaN/],
    ['queries of a width that heads cannot share', reshaped('qformer_query', [3, 18]), 'architecture-unsupported', /4 heads.*18/],
    [
      'a position table that is no square',
      reshaped('image_encoder.vision_model.embeddings.position_embedding.weight', [9, 16]),
      'architecture-unsupported',
      /9 rows/,
    ],
    ['a decoder of more layers than the file has', { changes: { config: { num_hidden_layers: 3 } } }, 'checkpoint-tensors', /layers\.2\./],
    [
      'an embedding smaller than the tokenizer',
      { changes: { config: { vocab_size: 300 } } },
      'checkpoint-tensors',
      /embed_tokens\.weight is \[346, 40\], \[300, 40\] expected/,
    ],
    ['a head smaller than the tokenizer', reshaped('mlm_projection', [16, 300]), 'checkpoint-tensors', /346 ids, the embedding 300 rows/],
    ['another side than the position table has', { metadata: { imageSize: 32 } }, 'architecture-unsupported', /32.*24/],
    ['a ResNet without the side of its pictures', { tower: 'resnet' }, 'import-option-missing', /imageSize is missing/],
    [
      'a side of which the ResNet leaves nothing',
      { tower: 'resnet', metadata: { imageSize: 16 } },
      'architecture-unsupported',
      /nothing is left/,
    ],
    ['more than one picture', { metadata: { limits: { maxImages: 2 } } }, 'architecture-unsupported', /maxImages is 2/],
    [
      'a smaller context than prompts are padded to',
      { metadata: { limits: { contextTokens: 20 } } },
      'architecture-unsupported',
      /padded to 60 rows/,
    ],
    ['a template that is not known', { metadata: { template: 'chat' } }, 'import-option-missing', /chat/],
    [
      'a CLIP tower without its config.json, which alone says the heads',
      { spoil: (from) => rm(join(from, 'openai'), { recursive: true }) },
      'import-option-missing',
      /CLIP tower's config\.json/,
    ],
    [
      'no tokenizer',
      { spoil: (from) => rm(join(from, 'LLAMA_Model/tokenizer'), { recursive: true }) },
      'import-option-missing',
      /LLAMA_Model\/tokenizer/,
    ],
  ])('%s', async (_, how, code, message) => await refused(how, code, message));
});

describe('answers', () => {
  const pixels = Uint8Array.from({ length: 600 }, (_, i) => (i * 7 + Math.floor(i / 30) * 11) % 256);
  const image: PromptPart = { kind: 'image', image: { width: 30, height: 20, channels: 1, pixels } };
  const asked = (text: string): PromptPart[] => [image, { kind: 'text', text }];
  const devices: Device[] = [];
  afterAll(async () => {
    for (const device of devices) await device.close();
  });
  async function deviceOf(bundleDir: string): Promise<Device> {
    const device = await startDevice({ device: 'cpu', bundleDir, threads: 1, timeoutMs: 60_000 });
    devices.push(device);
    return device;
  }

  test('an open one is the likeliest of all lengths, says that its length is a guess, streams and is scored', async () => {
    const device = await deviceOf(open.dir);
    let streamed = '';
    const { answer, promptId } = await device.ask({ parts: asked('a '), maxNewTokens: 4 }, (text) => {
      streamed += text;
    });
    expect(answer.stop).toBe('length');
    expect(answer.note).toMatch(new RegExp(`^The length of this answer, ${answer.tokens.length} of the 1, 2, 3, 4 tokens`));
    expect(streamed).toBe(answer.text);
    const whole = await device.score(promptId, [true], 'black');
    expect(whole.length).toBe(answer.tokens.length);
    for (const [i, value] of whole.entries()) expect(value).toBeCloseTo(answer.logProbs[i] ?? Number.NaN, 5);
    expect(await device.score(promptId, [false], 'black')).not.toEqual(whole);
    await device.release(promptId);
  });

  test('a choice is one of its letters, with nothing to guess', async () => {
    const device = await deviceOf(open.dir);
    const { vqa_choice: task } = open.manifest.tasks;
    const text = filled(task?.text ?? '', 'a ', ['A:a', 'B:b'], task?.between);
    const { answer, promptText } = await device.ask({ parts: asked(text), maxNewTokens: null, task: 'vqa_choice' });
    expect(promptText).toBe('Question: a The choices are: A:a B:bThe Answer is: </s> </s>');
    expect(task?.answer?.firstIds).toContain(answer.tokens[0]);
    expect(answer).toMatchObject({ stop: 'stop' });
    expect(answer.note).toBeUndefined();
  });

  test('lengths for which the padded text has no room are not tried, and the answer says which were', async () => {
    const device = await deviceOf(open.dir);
    // One more word is at least one more token: somewhere on the way to too long there is room for a few lengths only.
    let words = 8;
    const noteOf = async () => (await device.ask({ parts: asked('a '.repeat(words)), maxNewTokens: null })).answer.note;
    let note = await noteOf();
    while (note?.includes('8 tokens') === true) {
      words += 1;
      note = await noteOf();
    }
    expect(note).toMatch(/of the 1(, \d)* tokens that were tried/);
    await expect(device.ask({ parts: asked('a '.repeat(60)), maxNewTokens: null })).rejects.toMatchObject({ code: 'prompt-too-long' });
  });

  test('no picture, or two, are refused', async () => {
    const device = await deviceOf(open.dir);
    const none = device.ask({ parts: [{ kind: 'text', text: 'a' }], maxNewTokens: null });
    await expect(none).rejects.toMatchObject({ code: 'request-malformed' });
    await expect(device.ask({ parts: [image, ...asked('a')], maxNewTokens: null })).rejects.toMatchObject({ code: 'too-many-images' });
  });
});
