import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { filled } from '#domain/task-text.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { type Device, startDevice } from '#runtime/device.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, hidden, letterPieces, vocab } from '../pmc-vqa.ts';
import { queries, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
let made = 0;

interface Made {
  readonly tower?: 'resnet' | 'clip';
  readonly changes?: Changes;
  readonly metadata?: Metadata;
  readonly spoil?: (from: string) => Promise<void>;
}

/** With two heads of the queries, unless the metadata says otherwise. */
async function imported({ tower = 'clip', changes = {}, metadata = { qformerHeads: 2 }, spoil }: Made = {}) {
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
const tensors = (change: (tensor: NamedTensor) => NamedTensor[]): Made => ({ changes: { tensors: (all) => all.flatMap(change) } });

describe('what is imported', () => {
  test('sizes from names and shapes, the context from the old key, the end from the config', () => {
    expect(open.manifest).toMatchObject({
      family: 'medvint-td',
      sizes: { hiddenSize: hidden, layers: 2, visualTokens: queries, vocabSize: vocab, headDim: 16 },
      limits: { maxImages: 1, contextTokens: 200, maxNewTokens: 50 },
      generation: { stopIds: [1], minNewTokens: 0 },
      processor: { resize: { to: 'size', height: 24, width: 24 }, filter: 'bicubic', mean: [0.485, 0.456, 0.406] },
    });
  });

  test('a ResNet takes the side that the importer names', async () => {
    const { bundle } = await imported({ tower: 'resnet', metadata: { imageSize: 40, qformerHeads: 4 } });
    expect(bundle.manifest.processor.resize).toEqual({ to: 'size', height: 40, width: 40 });
  });

  test('an answer to a choice begins with a letter that the tokenizer has; of the template choice, without a task too', async () => {
    const letters = Object.keys(letterPieces).map(Number);
    expect(open.manifest.tasks.vqa_choice?.answer).toEqual({ firstIds: letters });
    expect(open.manifest.generation.firstIds).toBeUndefined();
    const { bundle, report } = await imported({ metadata: { template: 'choice', qformerHeads: 2 } });
    expect(bundle.manifest.generation.firstIds).toEqual(letters);
    expect(report.notes.join(' ')).toMatch(/no piece for C, D/);
  });

  test('terms, and a source for every task', () => {
    expect(open.manifest.license).toMatchObject({ clinicalUse: false, commercialUse: false });
    expect(Object.values(open.manifest.tasks).every((task) => task.source?.match(/PMC-VQA/))).toBe(true);
  });

  test.each([
    ['before peft 0.3', (name: string) => name.replace('.default.', '.')],
    ['wrapped', (name: string) => (name.includes('lora_') ? name : name.replace(/\.([qv])_proj\.weight$/, '.$1_proj.base_layer.weight'))],
  ])('LoRA pairs of other ages give the same weights: %s', async (_, rename) => {
    const isPaired = ({ name }: NamedTensor) => name.startsWith('llamacasual.') && name.includes('.self_attn.');
    const { bundle } = await imported(tensors((tensor) => [isPaired(tensor) ? { ...tensor, name: rename(tensor.name) } : tensor]));
    const weights = async (dir: string) => await readFile(join(dir, 'weights.data'));
    expect((await weights(bundle.dir)).equals(await weights(open.dir))).toBe(true);
  });
});

describe('what does not fit is refused, and nothing is written', () => {
  const without = (start: string) => tensors((tensor) => (tensor.name.startsWith(start) ? [] : [tensor]));
  const reshaped = (name: string, shape: number[]) =>
    tensors((tensor) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [tensor.name === name ? { name, shape, values: new Float32Array(size).fill(0.1) } : tensor];
    });
  const decoder = 'llamacasual.base_model.model.';

  test.each<[string, Made, string, RegExp]>([
    ['no heads of the queries', { metadata: {} }, 'import-option-missing', /qformerHeads is missing/],
    ['heads that cannot share a row', { metadata: { qformerHeads: 3 } }, 'architecture-unsupported', /3 heads.*16/],
    ['a missing tensor', without('fc_l2.bias'), 'checkpoint-tensors', /missing: fc_l2\.bias \[40\]/],
    [
      'a missing head',
      without(`${decoder}lm_head`),
      'checkpoint-tensors',
      /missing: llamacasual\.base_model\.model\.lm_head\.weight \[346, 40\]/,
    ],
    [
      'an extra tensor',
      { changes: { tensors: (all) => [...all, { name: 'other.weight', shape: [1], values: Float32Array.of(1) }] } },
      'checkpoint-tensors',
      /not of this architecture: other\.weight/,
    ],
    [
      'a packed projection of another shape, under its own name',
      reshaped('decoder.layers.1.multihead_attn.in_proj_bias', [47]),
      'checkpoint-tensors',
      /decoder\.layers\.1\.multihead_attn\.in_proj_bias is \[47\], \[48\] expected/,
    ],
    [
      'a layer in the middle that is not there',
      without('decoder.layers.0.norm2'),
      'checkpoint-tensors',
      /decoder\.layers\.0\.norm2\.weight \[16\]/,
    ],
    [
      'half a LoRA pair',
      without(`${decoder}model.layers.1.self_attn.q_proj.lora_A`),
      'checkpoint-tensors',
      /missing: llamacasual\.base_model\.model\.model\.layers\.1\.self_attn\.q_proj\.lora_A\.default\.weight/,
    ],
    [
      'a value that is no number',
      tensors((t) => [{ ...t, values: t.name === 'fc_l1.bias' ? t.values.map(() => Number.NaN) : t.values }]),
      'checkpoint-tensors',
      /holds NaN/,
    ],
    [
      'a ResNet whose stage is missing',
      { ...without('vision_model.12.'), tower: 'resnet', metadata: { imageSize: 40, qformerHeads: 2 } },
      'checkpoint-tensors',
      /vision_model\.12\.0\.conv1\.weight/,
    ],
    ['a ResNet without the side of its pictures', { tower: 'resnet' }, 'import-option-missing', /imageSize is missing/],
    ['another side than the position table has', { metadata: { imageSize: 32, qformerHeads: 2 } }, 'architecture-unsupported', /32.*24/],
    [
      'an embedding smaller than the tokenizer',
      { changes: { config: { vocab_size: 300 } } },
      'checkpoint-tensors',
      /\[346, 40\], \[300, 40\] expected/,
    ],
    ['a file of fewer words than the tokenizer', fewerWords(), 'checkpoint-tensors', /346 ids, the embedding 300 rows/],
    ['more than one picture', { metadata: { limits: { maxImages: 2 }, qformerHeads: 2 } }, 'architecture-unsupported', /maxImages is 2/],
    ['a template that is not known', { metadata: { template: 'chat', qformerHeads: 2 } }, 'import-option-missing', /chat/],
    [
      'a CLIP tower without its config.json, which alone says the heads',
      { spoil: (from) => rm(join(from, 'img_checkpoint'), { recursive: true }) },
      'import-option-missing',
      /CLIP tower's config\.json/,
    ],
    [
      'no tokenizer',
      { spoil: (from) => rm(join(from, 'LLAMA/tokenizer'), { recursive: true }) },
      'import-option-missing',
      /LLAMA\/tokenizer/,
    ],
  ])('%s', async (_, how, code, message) => await refused(how, code, message));

  /** Embedding and head of 300 words, and a config that says so. */
  function fewerWords(): Made {
    const words = (tensor: NamedTensor) =>
      /(embed_tokens|lm_head)\.weight$/.test(tensor.name)
        ? { ...tensor, shape: [300, hidden], values: tensor.values.slice(0, 300 * hidden) }
        : tensor;
    return { changes: { config: { vocab_size: 300 }, tensors: (all) => all.map(words) } };
  }
});

describe('answers', () => {
  const pixels = Uint8Array.from({ length: 600 }, (_, i) => (i * 7 + Math.floor(i / 30) * 11) % 256);
  const image: PromptPart = { kind: 'image', image: { width: 30, height: 20, channels: 1, pixels } };
  const asked = (text: string): PromptPart[] => [image, { kind: 'text', text }];
  let device: Device;
  beforeAll(async () => {
    device = await startDevice({ device: 'cpu', bundleDir: open.dir, threads: 1, timeoutMs: 60_000 });
  });
  afterAll(async () => await device.close());

  test('an answer to a choice begins with a letter, streams and is scored with and without its picture', async () => {
    const { vqa_choice: task } = open.manifest.tasks;
    const text = filled(task?.text ?? '', 'a ', [' A:a ', ' B:b '], task?.between);
    let streamed = '';
    const request = { parts: asked(text), maxNewTokens: 3, task: 'vqa_choice' };
    const { answer, promptId, promptText, inputIds } = await device.ask(request, (more) => {
      streamed += more;
    });
    expect(promptText).toBe('Question: a Choices: A:a  B:b The Answer is:');
    expect(task?.answer?.firstIds).toContain(answer.tokens[0]);
    expect(streamed).toBe(answer.text);
    expect(answer.promptTokens).toBe(queries + inputIds.length);
    const whole = await device.score(promptId, [true], 'black');
    for (const [i, value] of whole.entries()) expect(value).toBeCloseTo(answer.logProbs[i] ?? Number.NaN, 5);
    expect(await device.score(promptId, [false], 'black')).not.toEqual(whole);
    expect(await device.score(promptId, [false], 'mean')).not.toEqual(await device.score(promptId, [false], 'black'));
    await device.release(promptId);
  });

  test('no picture, two, and a text that is too long are refused', async () => {
    const code = async (parts: PromptPart[]) =>
      await device.ask({ parts, maxNewTokens: null }).then(
        () => null,
        (error: { code: string }) => error.code,
      );
    expect(await code([{ kind: 'text', text: 'a' }])).toBe('request-malformed');
    expect(await code([image, ...asked('a')])).toBe('too-many-images');
    expect(await code(asked('a '.repeat(300)))).toBe('prompt-too-long');
  });
});
