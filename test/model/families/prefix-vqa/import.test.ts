/** Every kind of checkpoint that the authors' code saves, and what is refused by name. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openBundle } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, endId, hidden, type Kind, layers, plain, slot, virtualRows, vocabOf, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
let made = 0;

interface Asked {
  readonly kind?: Partial<Kind>;
  readonly changes?: Changes;
  readonly metadata?: Metadata;
  /** Done to the written folder before the import. */
  readonly spoil?: (from: string) => Promise<void>;
  readonly tower?: string;
}

async function imported({ kind = {}, changes = {}, metadata = {}, spoil, tower }: Asked = {}) {
  const from = join(folder, `${made++}`);
  await writeCheckpoint(from, { ...plain, ...kind }, changes);
  await spoil?.(from);
  return await importCheckpoint({ from, to: `${from}-bundle`, metadata, ...(tower === undefined ? {} : { tower }) });
}

/** The import fails with this code and words, and leaves nothing behind. */
async function refused(asked: Asked, code: string, message: RegExp): Promise<void> {
  await expect(imported(asked)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect((await readdir(folder)).filter((name) => name.includes(`${made - 1}-bundle`))).toEqual([]);
}

const without = (end: string) => (tensors: NamedTensor[]) => tensors.filter(({ name }) => !name.endsWith(end));
const reshaped = (end: string, shape: number[]) => (tensors: NamedTensor[]) =>
  tensors.map((tensor) =>
    tensor.name.endsWith(end) ? { ...tensor, shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) } : tensor,
  );
const more = (name: string, shape: number[]) => (tensors: NamedTensor[]) => [
  ...tensors,
  { name, shape, values: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
];

describe('what is imported', () => {
  test('prompt, slot, beams, stop, limits and terms', async () => {
    const { bundle, report } = await imported();
    expect(bundle.manifest).toMatchObject({
      family: 'prefix-vqa',
      generation: { stopIds: [endId], beams: { count: 5, rule: 'length-averaged' } },
      prompt: {
        template: { name: 'prefix-vqa', before: 'question: ', after: ' context:{slot}answer ', specialTokens: true },
        placeholder: { rule: 'slot', id: 1 },
      },
      processor: { resize: { to: 'shortest', edge: 12 }, crop: { height: 12, width: 12, rounding: 'half-even' }, filter: 'bicubic' },
      limits: { maxImages: 1, contextTokens: 60, maxNewTokens: 32 },
      sizes: { visualTokens: slot, headDim: 16, layers },
      tasks: { vqa_open: { text: '{question}' } },
      license: { terms: expect.stringContaining('Research only') },
    });
    expect(Object.keys(bundle.manifest.tasks)).toEqual(['vqa_open']);
    expect(bundle.manifest.prompt).not.toHaveProperty('maxQuestionTokens');
    expect(report.notes.join(' ')).toMatch(
      /Tokenizer from gpt2-xl\/vocab\.json; CLIP under OpenAI’s names; the mlp mapper gives 3 rows.*LoRA merged with alpha 32, the constant/,
    );
    expect((await openBundle(bundle.dir)).digest).toBe(report.digest);
  });

  test.each([
    ['gpt2', 'frozen', 'mlp', 'hf', { contextTokens: 60 }],
    ['gpt2', 'lora-old', 'transformer', 'openai', { contextTokens: 60 }],
    ['gpt2', 'prefix', 'transformer', 'hf', { contextTokens: 60 - virtualRows, virtualRows }],
    ['gpt2', 'p-tuning', 'mlp', 'openai', { contextTokens: 60, embeddingRows: vocabOf('gpt2') + virtualRows }],
    ['biogpt', 'frozen', 'mlp', 'openai', { contextTokens: 60 }],
    ['biogpt', 'lora', 'transformer', 'hf', { contextTokens: 60 }],
    ['biogpt', 'prefix', 'mlp', 'hf', { contextTokens: 60 - virtualRows, virtualRows }],
    ['biogpt', 'prompt', 'mlp', 'openai', { contextTokens: 60, embeddingRows: vocabOf('biogpt') + virtualRows }],
  ] as const)('%s, %s, %s mapper, CLIP as %s', async (model, tuning, mapper, clip, sizes) => {
    const { bundle } = await imported({ kind: { model, tuning, mapper, clip } });
    expect(bundle.manifest.sizes).toMatchObject({ ...sizes, visualTokens: slot, vocabSize: vocabOf(model) });
    expect(bundle.manifest.generation.stopIds).toEqual([model === 'gpt2' ? endId : 2]);
  });

  test('alpha, the cut of questions, limits and a task are the importer’s to say', async () => {
    const metadata = { loraAlpha: 16, maxQuestionTokens: 9, limits: { maxNewTokens: 8 }, tasks: { vqa_open: { text: 'Q: {question}' } } };
    const { bundle, report } = await imported({ metadata });
    expect(bundle.manifest).toMatchObject({ prompt: { maxQuestionTokens: 9 }, limits: { maxNewTokens: 8 }, tasks: metadata.tasks });
    expect(report.notes.join(' ')).toMatch(/alpha 16\..*cut after 9 tokens/);
  });

  test('CLIP may lie elsewhere, in either form', async () => {
    for (const clip of ['hf', 'openai'] as const) {
      const tower = join(folder, `tower-${clip}`);
      const spoil = async (from: string) => {
        await mkdir(tower);
        const name = clip === 'hf' ? 'clip-vit-base-patch32' : 'ViT-B-32.pt';
        await rename(join(from, name), join(tower, name));
      };
      expect((await imported({ kind: { clip }, spoil, tower })).bundle.manifest.family).toBe('prefix-vqa');
    }
  });

  test('a head that no file has is the token table', async () => {
    expect((await imported({ changes: { tensors: without('lm_head.weight') } })).bundle.manifest.family).toBe('prefix-vqa');
  });
});

describe('tensors that do not fit', () => {
  const attention = 'gpt.base_model.model.transformer.h.1.attn.c_attn';

  test('a missing matrix, as the file would hold it', () =>
    refused(
      { changes: { tensors: without('h.0.mlp.c_fc.weight') } },
      'checkpoint-tensors',
      new RegExp(`missing: gpt\\.base_model\\.model\\.transformer\\.h\\.0\\.mlp\\.c_fc\\.weight \\[${hidden}, ${4 * hidden}\\]`),
    ));

  test('a matrix of another shape, with both', () =>
    refused(
      { changes: { tensors: reshaped('h.1.mlp.c_proj.weight', [9, hidden]) } },
      'checkpoint-tensors',
      /h\.1\.mlp\.c_proj\.weight is \[9, 32\], \[128, 32\] expected/,
    ));

  test('half a LoRA pair', () =>
    refused(
      { changes: { tensors: without('h.1.attn.c_attn.lora_B.default.weight') } },
      'checkpoint-tensors',
      new RegExp(`missing: ${attention.replaceAll('.', '\\.')}\\.lora_B\\.default\\.weight`),
    ));

  test('a tensor of no part, in either file', async () => {
    await refused(
      { changes: { tensors: more('gpt.base_model.model.score.weight', [2]) } },
      'checkpoint-tensors',
      /not of this architecture: gpt\.base_model\.model\.score\.weight/,
    );
    await refused({ changes: { clip: more('visual.extra', [2]) } }, 'checkpoint-tensors', /not of this architecture: visual\.extra/);
  });

  test('a CLIP of another embedding than the mapper takes', () =>
    refused(
      { changes: { clip: reshaped('visual.proj', [64, 7]) } },
      'checkpoint-tensors',
      /clip_project\.model\.0\.weight is \[48, 6\], \[48, 7\] expected/,
    ));

  test('a mapper whose rows are no whole number', () =>
    refused(
      { changes: { tensors: reshaped('model.6.weight', [97, 96]) } },
      'checkpoint-tensors',
      /model\.6\.weight has 97 rows; a multiple of 32/,
    ));

  test('learned rows of another width', () =>
    refused(
      { kind: { tuning: 'prefix' }, changes: { tensors: reshaped('prompt_encoder.default.embedding.weight', [5, 100]) } },
      'checkpoint-tensors',
      /embedding\.weight is \[5, 100\], \[5, 128\] \(keys and values of every layer\) or \[5, 32\] \(rows\) expected/,
    ));

  test('a head that should be the table and is not', () =>
    refused(
      {
        changes: {
          tensors: (tensors) =>
            tensors.map((tensor) =>
              tensor.name.endsWith('lm_head.weight') ? { ...tensor, values: tensor.values.map((v) => v + 1) } : tensor,
            ),
        },
      },
      'checkpoint-tensors',
      /lm_head\.weight and .*wte\.weight differ at value 0/,
    ));

  test('a weight that is no number', () =>
    refused(
      {
        changes: {
          tensors: (tensors) =>
            tensors.map((tensor) => (tensor.name.endsWith('ln_f.bias') ? { ...tensor, values: tensor.values.fill(Number.NaN) } : tensor)),
        },
      },
      'checkpoint-tensors',
      /decoder\.norm\.bias holds NaN at position 0/,
    ));

  test('a tokenizer with more ids than the table has rows', () =>
    refused({ changes: { vocab: { extra: endId + 5 } } }, 'checkpoint-tensors', /tokenizer has 269 ids, the embedding 264 rows/));
});

describe('what the files do not say, or say of another model', () => {
  test('the base model’s folder is asked for', () =>
    refused(
      { spoil: (from) => rm(join(from, 'gpt2-xl'), { recursive: true }) },
      'import-option-missing',
      /open_ended_latest\.pt has no config: the base model's folder is not in the checkpoint/,
    ));

  test('CLIP is asked for', () =>
    refused({ spoil: (from) => rm(join(from, 'ViT-B-32.pt')) }, 'import-option-missing', /found no CLIP beside open_ended_latest\.pt/));

  test('two base models', () =>
    refused(
      {
        async spoil(from) {
          await mkdir(join(from, 'other'));
          await writeFile(join(from, 'other/config.json'), '{"model_type":"biogpt"}');
        },
      },
      'architecture-unsupported',
      /found gpt2-xl, other; one base model expected/,
    ));

  test.each([
    [{ model_type: 'opt' }, /model_type is opt; gpt2 and biogpt are built/],
    [{ model_type: 'biogpt' }, /is of biogpt; the weights have none of gpt\.biogpt\.embed_tokens\.weight/],
    [{ n_head: 5 }, /a width of 32 cannot be shared by 5 heads/],
    [{ activation_function: 'mish' }, /activation_function is mish; gelu/],
    [{ add_cross_attention: true }, /add_cross_attention is true/],
    [{ n_embd: '32' }, /gpt2-xl\/config\.json: .*n_embd/],
  ])('config %j', (config, message) => refused({ changes: { config } }, 'architecture-unsupported', message));

  test('a template of another family, and more than one picture', async () => {
    await expect(imported({ metadata: { template: 'vicuna_v1' } })).rejects.toMatchObject({ code: 'import-option-missing' });
    await refused(
      { metadata: { limits: { maxImages: 2 } } },
      'architecture-unsupported',
      /limits\.maxImages is 2; the model takes one picture/,
    );
  });
});
