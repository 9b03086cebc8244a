import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bundleTokenizer } from '#model/bundle.ts';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { encodeRadfm } from '#model/families/radfm/prompt.ts';
import { families } from '#model/families/registry.ts';
import { importCheckpoint } from '#model/import.ts';
import type { Metadata } from '#model/metadata.ts';
import { openEngine } from '#runtime/engine.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { temporaryFolder } from '../../folder.ts';
import { type Changes, config, latents, vocab, writeCheckpoint } from './checkpoint.ts';

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

const whole = (await imported()).bundle;

describe('what is imported', () => {
  test('sizes from names and shapes, the context from the old key, both ends of an answer', () => {
    expect(whole.manifest).toMatchObject({
      family: 'radfm',
      sizes: { visualTokens: latents, vocabSize: vocab, embeddingRows: vocab + 2, layers: 2, headDim: 16 },
      limits: { contextTokens: 200, maxImages: 8, maxNewTokens: 200 },
      generation: { stopIds: [1, 2], minNewTokens: 0 },
      prompt: { placeholder: { rule: 'indexed', id: vocab } },
      processor: { resize: { to: 'size', height: 24, width: 24 }, mean: [0, 0, 0], std: [1, 1, 1] },
      depth: { step: 4, most: 20 },
    });
  });

  test('terms, and a source for every task', () => {
    expect(whole.manifest.license).toMatchObject({ clinicalUse: null, commercialUse: false });
    expect(Object.values(whole.manifest.tasks).every((task) => task.source?.startsWith('chaoyi-wu/RadFM'))).toBe(true);
  });

  test('a smaller side and fewer images where they are asked for', async () => {
    const { manifest } = (await imported({}, { imageSize: 16, limits: { maxImages: 3 } })).bundle;
    expect(manifest.processor.resize).toEqual({ to: 'size', height: 16, width: 16 });
    expect(manifest.limits.maxImages).toBe(3);
  });

  test('no more images than the context holds', async () => {
    const { manifest } = (await imported({ config: { max_sequence_length: 40 } })).bundle;
    expect(manifest.limits.maxImages).toBe(4);
  });

  test('the family is told by a config of its own folder', () => {
    const family = families.find((candidate) => candidate.configFile === 'Language_files/config.json');
    expect(family?.detect(config)).toBe(true);
    expect(family?.detect({ model_type: 'bert' })).toBe(false);
  });
});

describe('what does not fit is refused, and nothing is written', () => {
  const only = (change: (tensor: NamedTensor) => NamedTensor[]): Changes => ({ tensors: (tensors) => tensors.flatMap(change) });
  const reshaped = (name: string, shape: number[]): Changes =>
    only((tensor) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [tensor.name === name ? { name, shape, values: new Float32Array(size).fill(0.1) } : tensor];
    });
  const without = (name: string): Changes => only((tensor) => (tensor.name === name ? [] : [tensor]));
  const vision = 'embedding_layer.vision_encoder.';

  test.each<[string, Changes, string, RegExp]>([
    ['a missing tensor', without('embedding_layer.fc.bias'), 'checkpoint-tensors', /missing: embedding_layer\.fc\.bias \[40\]/],
    [
      'a missing tensor that sizes come from',
      without('embedding_layer.perceiver.latents'),
      'checkpoint-tensors',
      /embedding_layer\.perceiver\.latents \[\?, \?\]/,
    ],
    ['missing image marks', without('embedding_layer.figure_token_weight'), 'checkpoint-tensors', /figure_token_weight \[2, 40\]/],
    [
      'an extra tensor',
      { tensors: (tensors) => [...tensors, { name: 'embedding_layer.other.weight', shape: [1], values: Float32Array.of(1) }] },
      'checkpoint-tensors',
      /not of this architecture: embedding_layer\.other\.weight/,
    ],
    [
      'a tensor of another shape',
      reshaped('embedding_layer.perceiver.norm.bias', [5, 3]),
      'checkpoint-tensors',
      /embedding_layer\.perceiver\.norm\.bias is \[5, 3\], \[15\] expected/,
    ],
    [
      'a latent tensor of another rank',
      reshaped('embedding_layer.perceiver.latents', [105]),
      'checkpoint-tensors',
      /is \[105\], \[\?, \?\]/,
    ],
    [
      'other heads than 8 of 64',
      reshaped(`${vision}transformer.layers.0.0.fn.to_qkv.weight`, [768, 15]),
      'architecture-unsupported',
      /768.*1536/,
    ],
    ['a patch that is no square', reshaped(`${vision}to_patch_embedding.2.weight`, [15, 780]), 'architecture-unsupported', /780/],
    [
      'tables of unequal sides',
      reshaped(`${vision}pos_embedding.col_embed.weight`, [4, 5]),
      'architecture-unsupported',
      /3 rows and 4 columns/,
    ],
    [
      'positions of another width',
      reshaped(`${vision}pos_embedding.dep_embed.weight`, [5, 4]),
      'architecture-unsupported',
      /5, 5 and 4.* 15/,
    ],
    [
      'an embedding that differs under its two names',
      only((tensor) => [
        tensor.name === 'embedding_layer.weight' ? { ...tensor, values: tensor.values.map((value) => value + 1) } : tensor,
      ]),
      'checkpoint-tensors',
      /embedding_layer\.weight and lang_model\.model\.embed_tokens\.weight differ at value 0/,
    ],
    [
      'an embedding with fewer rows than there are tokens',
      {
        config: { vocab_size: 340 },
        tensors: (tensors) =>
          tensors.map((one) =>
            one.shape[0] === vocab ? { ...one, shape: [340, ...one.shape.slice(1)], values: one.values.slice(0, 340 * 40) } : one,
          ),
      },
      'checkpoint-tensors',
      /the tokenizer has 344 ids, the embedding 340 rows/,
    ],
    [
      'rotary scaling that is not built',
      { config: { rope_scaling: { type: 'dynamic', factor: 2 } } },
      'architecture-unsupported',
      /rotary scaling dynamic/,
    ],
    ['a decoder of more layers', { config: { num_hidden_layers: 3 } }, 'checkpoint-tensors', /lang_model\.model\.layers\.2\./],
    [
      'a value that is no number',
      only((t) => [{ ...t, values: t.name.endsWith('fc.bias') ? t.values.fill(Number.NaN) : t.values }]),
      'checkpoint-tensors',
      /fc\.bias holds NaN/,
    ],
  ])('%s', async (_, changes, code, message) => await refused(imported(changes), code, message));

  test('a checkpoint that is still zipped, with the names of the parts', async () => {
    const zipped = (from: string) => rename(join(from, 'pytorch_model.bin'), join(from, 'RadFM.z01'));
    await refused(imported({}, {}, zipped), 'checkpoint-unreadable', /RadFM\.z01.*pytorch_model\.bin/);
  });

  test.each([12, 32])('pictures of %i pixels, which are no whole patches or beyond the table', async (imageSize) => {
    await refused(imported({}, { imageSize }), 'architecture-unsupported', new RegExp(`${imageSize}; a multiple of 8 up to 24`));
  });

  test('a template that is not known', async () => await refused(imported({}, { template: 'chat' }), 'import-option-missing', /chat/));
});

describe('on the engine', () => {
  const image = (value: number) => ({ width: 30, height: 20, channels: 1 as const, pixels: new Uint8Array(600).fill(value) });
  const volume = { depth: 8, height: 9, width: 11, values: Float32Array.from({ length: 792 }, (_, i) => Math.sin(i)) };

  test('the marks beyond the head are looked up, and a picture without pattern is the same whatever its grey', async () => {
    const { graphs, sizes } = whole.manifest;
    const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });
    const engine = await openEngine(runtime, whole.dir, graphs, sizes);
    try {
      const parts = [
        { kind: 'volume', volume } as const,
        { kind: 'image', image: image(200) } as const,
        { kind: 'text', text: 'a' } as const,
      ];
      const encoded = encodeRadfm(whole.manifest, await bundleTokenizer(whole), parts);
      const prepared = await engine.prepare(encoded, 4);
      expect(prepared.rows).toBe(encoded.inputIds.length);
      const look = async (place: number, shown: 'image' | 'black' | 'mean') => await engine.look(prepared, place, shown);
      const black = await look(1, 'black');
      expect(black.features.count).toBe(latents);
      const largest = (found: Float32Array) => Math.max(...found.map((value, i) => Math.abs(value - (black.vision[i] ?? Number.NaN))));
      expect(largest((await look(1, 'image')).vision)).toBeLessThan(1e-5);
      expect(largest((await look(1, 'mean')).vision)).toBeLessThan(1e-5);
      expect(largest((await look(0, 'image')).vision)).toBeGreaterThan(1e-3);
    } finally {
      await engine.close();
    }
  });
});
