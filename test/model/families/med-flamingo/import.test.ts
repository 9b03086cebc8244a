import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { bundleTokenizer } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { encodeMedFlamingo } from '#model/families/med-flamingo/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { openEngine } from '#runtime/engine.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, config, ids, latents, side, towers, width, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
let made = 0;

const mask: Metadata = { mediaMask: 'following' };

async function imported(
  changes: Changes = {},
  metadata: Metadata = mask,
  spoil: (from: string) => Promise<unknown> = async () => undefined,
  tower?: string,
) {
  const from = join(folder, `${made++}`);
  await writeCheckpoint(from, changes);
  await spoil(from);
  const more = tower === undefined ? {} : { tower: join(from, tower) };
  return await importCheckpoint({ from, to: `${from}-bundle`, metadata, ...more });
}

/** The import fails with this code and words, and leaves nothing behind. */
async function refused(run: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  expect((await readdir(folder)).filter((name) => name.includes(`${made - 1}-bundle`))).toEqual([]);
}

const { bundle: whole, report } = await imported();

describe('what is imported', () => {
  test('sizes from names and shapes, ids of the added tokens, the settings of the demo', () => {
    expect(report.family).toBe('med-flamingo');
    expect(whole.manifest).toMatchObject({
      sizes: { visualTokens: latents, mediaWidth: width, vocabSize: ids.padding + 1, layers: 4, headDim: 16, contextTokens: 200 },
      limits: { contextTokens: 200, maxImages: 7, maxNewTokens: 10 },
      generation: { stopIds: [ids.endOfChunk], minNewTokens: 0, endless: true, text: { strip: true, cutAt: ['Question:'] } },
      prompt: { template: { name: 'raw' }, placeholder: { rule: 'replace', text: '<image>', id: ids.image }, mediaMask: 'following' },
      processor: { resize: { to: 'shortest', edge: side }, crop: { height: side, width: side, rounding: 'half-even' } },
    });
    expect(report.notes.join(' ')).toMatch(/gated layers before 1, 3 of 4.*expect small shares.*no rows for 3 added tokens.*No exemplars/);
  });

  test('terms, intended use, and a source for every task', () => {
    expect(whole.manifest.license).toMatchObject({ clinicalUse: false, commercialUse: false });
    expect(whole.manifest.intendedUse.statement).toMatch(/not for clinical/);
    expect(Object.values(whole.manifest.tasks).every((task) => /med-flamingo|open_flamingo/.test(task.source ?? ''))).toBe(true);
  });

  test('a trained file with a head of its own can end an answer', async () => {
    const head = {
      name: 'lang_encoder.lm_head.weight',
      shape: [ids.padding + 1, 40],
      values: new Float32Array((ids.padding + 1) * 40).fill(0.1),
    };
    const { manifest } = (await imported({ tensors: (tensors) => [...tensors, head] })).bundle;
    expect(manifest.generation.endless).toBeUndefined();
  });

  test('a base with a padding token gets two tokens instead of three', async () => {
    const rows = (tensors: NamedTensor[]) =>
      tensors.map((tensor) => {
        if (tensor.name !== 'lang_encoder.model.embed_tokens.weight') return tensor;
        return { ...tensor, shape: [ids.padding, 40], values: tensor.values.slice(0, ids.padding * 40) };
      });
    const { manifest } = (await imported({ tensors: rows, tokenizer: { pad_token: '<unk>' } })).bundle;
    expect(manifest.sizes.vocabSize).toBe(ids.padding);
    expect(manifest.prompt.placeholder.id).toBe(ids.image);
  });
});

describe('the parts', () => {
  const seen = async (changes: Changes): Promise<Float32Array<ArrayBuffer>> => {
    const { bundle } = await imported(changes);
    const engine = await openEngine(
      openStockRuntime({ provider: 'cpu', threads: 1, strict: false }),
      bundle.dir,
      bundle.manifest.graphs,
      bundle.manifest.sizes,
    );
    try {
      const pixels = Uint8Array.from({ length: 900 }, (_, i) => (i * 7) % 256);
      const parts = [{ kind: 'image', image: { width: 30, height: 30, channels: 1 as const, pixels } } as const];
      const prepared = await engine.prepare(encodeMedFlamingo(bundle.manifest, await bundleTokenizer(bundle), parts), 1);
      return Float32Array.from((await engine.look(prepared, 0, 'image')).vision);
    } finally {
      await engine.close();
    }
  };
  let first = new Float32Array(0);
  beforeAll(async () => {
    first = await seen({ tower: towers[0] });
  });

  test.each(towers.slice(1))('a tower as %s gives what the archive gives', async (tower) => {
    const found = await seen({ tower });
    expect(Math.max(...found.map((value, i) => Math.abs(value - (first[i] ?? Number.NaN))))).toBeLessThan(1e-6);
  });

  test('GELU where a config of open_clip does not ask for QuickGELU', async () => {
    const found = await seen({ tower: 'open-clip', openClip: { quick_gelu: false } });
    expect(Math.max(...found.map((value, i) => Math.abs(value - (first[i] ?? Number.NaN))))).toBeGreaterThan(1e-5);
  });

  test('frozen weights in the trained file, under the names of training, win over the base', async () => {
    const last = (from: string) => (tensors: NamedTensor[]) => [
      ...tensors,
      { name: from, shape: [40], values: new Float32Array(40).fill(0.5) },
    ];
    const norms = ['module.lang_encoder.model.norm.weight', 'lang_encoder.model.norm.weight'];
    const logits: Float32Array[] = [];
    for (const changes of [{}, ...norms.map((name) => ({ tensors: last(name) }))]) {
      const { bundle } = await imported(changes);
      const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
      const engine = await openEngine(runtime, bundle.dir, bundle.manifest.graphs, bundle.manifest.sizes);
      const prepared = await engine.prepare(
        encodeMedFlamingo(bundle.manifest, await bundleTokenizer(bundle), [{ kind: 'text', text: 'a' }]),
        1,
      );
      const { rows, around } = await engine.whole(prepared);
      logits.push((await engine.decoder.step(engine.decoder.emptyCache(), rows, [rows.count - 1], around)).logits);
      await engine.close();
    }
    expect(logits[1]).not.toEqual(logits[0]);
    expect(logits[2]).toEqual(logits[1]);
  });

  test('tokens without a row of the head have the logit 0', async () => {
    const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
    const engine = await openEngine(runtime, whole.dir, whole.manifest.graphs, whole.manifest.sizes);
    const rows = await engine.decoder.embed([5, ids.image]);
    const { logits } = await engine.decoder.step(engine.decoder.emptyCache(), rows, [1], {});
    await engine.close();
    expect([...logits.slice(ids.endOfChunk)]).toEqual([0, 0, 0]);
    expect(logits[5]).not.toBe(0);
  });

  test('base and tower may lie elsewhere: in wetread.json, or as --tower', async () => {
    const away = async (from: string) => {
      await mkdir(join(from, 'elsewhere', 'deep'), { recursive: true });
      await rename(join(from, 'llama-7b-hf'), join(from, 'elsewhere', 'deep', 'base'));
      await rename(join(from, 'ViT-L-14.pt'), join(from, 'elsewhere', 'clip.pt'));
    };
    const base = 'elsewhere/deep/base';
    expect((await imported({}, { ...mask, base, tower: 'elsewhere/clip.pt' }, away)).report.family).toBe('med-flamingo');
    expect((await imported({}, { ...mask, base }, away, 'elsewhere/clip.pt')).report.family).toBe('med-flamingo');
    await refused(imported({}, mask, away), 'import-option-missing', /LLaMA base.* not in the checkpoint/);
    await refused(imported({}, { ...mask, base }, away), 'import-option-missing', /CLIP tower.* not in the checkpoint/);
    await refused(
      imported({}, { ...mask, base: 'nowhere', tower: 'elsewhere/clip.pt' }, away),
      'import-option-missing',
      /nowhere has no config\.json/,
    );
    await refused(imported({}, { ...mask, base, tower: 'no.pt' }, away), 'import-option-missing', /no\.pt is not there/);
  });

  test('two towers are a question, not a choice', async () => {
    const second = (from: string) => writeFile(join(from, 'ViT-B-32.pt'), 'x');
    await refused(imported({}, mask, second), 'import-option-missing', /may be any of ViT-B-32\.pt, ViT-L-14\.pt/);
  });
});

describe('what does not fit is refused, and nothing is written', () => {
  const only = (change: (tensor: NamedTensor) => NamedTensor[]): Changes => ({ tensors: (tensors) => tensors.flatMap(change) });
  const without = (name: string | RegExp): Changes =>
    only((tensor) => ((typeof name === 'string' ? tensor.name === name : name.test(tensor.name)) ? [] : [tensor]));
  const reshaped = (name: string, shape: number[]): Changes =>
    only((tensor) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [tensor.name === name ? { name, shape, values: new Float32Array(size).fill(0.1) } : tensor];
    });
  const extra = (name: string): Changes => ({ tensors: (tensors) => [...tensors, { name, shape: [1], values: Float32Array.of(1) }] });

  test.each<[string, Changes, string, RegExp]>([
    ['a missing trained tensor', without('perceiver.norm.bias'), 'checkpoint-tensors', /missing: perceiver\.norm\.bias \[128\]/],
    ['a missing tensor of the base', without('lm_head.weight'), 'checkpoint-tensors', /missing: lm_head\.weight \[344, 40\]/],
    ['a missing tensor of the tower', without('visual.ln_pre.bias'), 'checkpoint-tensors', /missing: visual\.ln_pre\.bias \[128\]/],
    ['a missing tensor that sizes come from', without('perceiver.latents'), 'checkpoint-tensors', /perceiver\.latents \[\?, \?\]/],
    ['no gated layer', without(/gated/), 'checkpoint-tensors', /gated_cross_attn_layers\.N\.\*/],
    [
      'a missing gate under both its names',
      without(/3\.(gated_cross_attn_layer\.)?attn_gate$/),
      'checkpoint-tensors',
      /missing: lang_encoder\.gated_cross_attn_layers\.3\.attn_gate \[1\]/,
    ],
    ['an extra trained tensor', extra('perceiver.frame_embs'), 'checkpoint-tensors', /not of this architecture: perceiver\.frame_embs/],
    ['an extra tensor of the base', extra('model.layers.0.self_attn.q_proj.bias'), 'checkpoint-tensors', /not of.*q_proj\.bias/],
    ['an extra tensor of the tower', extra('visual.other'), 'checkpoint-tensors', /not of this architecture: visual\.other/],
    [
      'a trained tensor of another shape',
      reshaped('perceiver.norm.bias', [5]),
      'checkpoint-tensors',
      /perceiver\.norm\.bias is \[5\], \[128\] expected/,
    ],
    [
      'packed queries, keys and values of another shape',
      reshaped('visual.transformer.resblocks.0.attn.in_proj_bias', [128]),
      'checkpoint-tensors',
      /in_proj_bias is \[128\], \[384\] expected/,
    ],
    [
      'a head of another base',
      reshaped('lm_head.weight', [343, 40]),
      'checkpoint-tensors',
      /lm_head\.weight is \[343, 40\], \[344, 40\] expected/,
    ],
    ['a width that is no whole heads', reshaped('visual.conv1.weight', [100, 3, 7, 7]), 'architecture-unsupported', /100/],
    ['positions that are no square', reshaped('visual.positional_embedding', [9, 128]), 'architecture-unsupported', /9 positions/],
    [
      'a tokenizer that is not of the embedding',
      reshaped('lang_encoder.model.embed_tokens.weight', [348, 40]),
      'checkpoint-tensors',
      /347 ids with <\|endofchunk\|>, <image>, <PAD>, the embedding 348 rows/,
    ],
    [
      'a base with more tokens than the embedding has rows',
      { config: { vocab_size: 400 } },
      'architecture-unsupported',
      /400 tokens.*347 rows/,
    ],
    ['a gated layer beyond the base', { config: { num_hidden_layers: 3 } }, 'architecture-unsupported', /layers\.3 stand before.*has 3/],
    ['another decoder', { config: { model_type: 'mpt' } }, 'import-option-missing', /LLaMA base/],
    [
      'another image side than the positions have',
      { tower: 'open-clip', openClip: { vision_cfg: { image_size: 28 } } },
      'architecture-unsupported',
      /28.*21/,
    ],
    [
      'a value that is no number',
      only((t) => [{ ...t, values: t.name === 'perceiver.norm.weight' ? t.values.fill(Number.NaN) : t.values }]),
      'checkpoint-tensors',
      /perceiver\.norm\.weight holds NaN/,
    ],
  ])('%s', async (_, changes, code, message) => await refused(imported(changes), code, message));

  test('a mask rule that nobody says is asked for by name', async () => {
    await refused(imported({}, {}), 'import-option-missing', /mediaMask/);
  });

  test('a template that is not known', async () =>
    await refused(imported({}, { ...mask, template: 'chat' }), 'import-option-missing', /chat/));
});

describe('exemplars', () => {
  const exemplars = {
    source: 'a test',
    license: 'CC0',
    items: [
      { image: 'pictures/one.png', question: 'Which image modality is this?', answer: 'mr flair' },
      { image: 'pictures/two.JPG', question: 'Does the heart appear enlarged?', answer: 'yes' },
    ],
  };
  const draw = async (from: string) => {
    await mkdir(join(from, 'pictures'));
    for (const [name, value] of [
      ['one.png', 40],
      ['two.JPG', 200],
    ] as const) {
      const picture = sharp({ create: { width: 30, height: 25, channels: 3, background: { r: value, g: value, b: value } } });
      await (name.endsWith('.png') ? picture.png() : picture.jpeg()).toFile(join(from, 'pictures', name));
    }
  };

  test('lie in the bundle with a digest, in the words of the authors, with their source and licence', async () => {
    const { bundle, report: said } = await imported({}, { ...mask, exemplars }, draw);
    const { manifest } = bundle;
    expect(manifest.prompt.template.name).toBe('few-shot vqa');
    expect(manifest.exemplars).toMatchObject({
      source: 'a test',
      license: 'CC0',
      before:
        'You are a helpful medical assistant. You are being provided with images, a question about the image and an answer. Follow the examples and answer the last question. ',
      items: [
        { image: 'exemplar-1.png', text: 'Question: Which image modality is this? Answer: mr flair.<|endofchunk|>' },
        { image: 'exemplar-2.jpg', text: 'Question: Does the heart appear enlarged? Answer: yes.<|endofchunk|>' },
      ],
    });
    expect(manifest.files['exemplar-1.png']?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(existsSync(join(bundle.dir, 'exemplar-2.jpg'))).toBe(true);
    expect(said.notes.join(' ')).toMatch(/2 exemplars of a test \(CC0\)/);
  });

  test('a picture that is missing or no picture is refused before anything is written', async () => {
    await refused(imported({}, { ...mask, exemplars }), 'pixel-damaged', /one\.png/);
    const spoil = async (from: string) => {
      await draw(from);
      await writeFile(join(from, 'pictures', 'two.JPG'), 'no picture');
    };
    await refused(imported({}, { ...mask, exemplars }, spoil), 'pixel-damaged', /two\.JPG/);
  });
});

test('a config of a family of its own is not taken for a part of this one', async () => {
  const from = join(folder, 'llama');
  await writeCheckpoint(from);
  await writeFile(join(from, 'config.json'), JSON.stringify(config));
  await expect(importCheckpoint({ from, to: `${from}-bundle`, metadata: mask })).rejects.toMatchObject({
    code: 'architecture-unsupported',
  });
});
