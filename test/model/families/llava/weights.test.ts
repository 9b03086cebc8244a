import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import type { TensorSource } from '#model/checkpoint/tensors.ts';
import { imageDecoderGraphs } from '#model/families/image-decoder.ts';
import { readArchitecture } from '#model/families/llava/architecture.ts';
import { resolveWeights, writeLlava } from '#model/families/llava/weights.ts';

const folder = mkdtempSync(join(tmpdir(), 'wetread-weights-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const text = {
  hidden_size: 32,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  vocab_size: 9,
  max_position_embeddings: 16,
};
const vision = { hidden_size: 8, intermediate_size: 8, num_hidden_layers: 2, num_attention_heads: 2, image_size: 4, patch_size: 2 };
const hf = readArchitecture(
  { architectures: ['LlavaForConditionalGeneration'], text_config: text, vision_config: vision },
  { towerConfig: null, hasHead: true },
);
const original = readArchitecture(
  { architectures: ['LlavaLlamaForCausalLM'], mm_projector_type: 'mlp2x_gelu', ...text },
  { towerConfig: { model_type: 'clip_vision_model', ...vision }, hasHead: true },
);

/** Every tensor of the architecture by our name. */
function ours(a: typeof hf): Map<string, readonly number[]> {
  const needs = new Map<string, readonly number[]>();
  for (const { graph } of imageDecoderGraphs(a)) {
    for (const { recipe } of graph.weights)
      if (recipe.kind !== 'computed') for (const need of recipe.tensors) needs.set(need.name, need.shape);
  }
  return needs;
}

type Spelling = readonly [vision: string, projector: (layer: number) => string, head: string, decoder: string];
const spellings: Record<string, Spelling> = {
  'HF as published': [
    'vision_tower.vision_model.',
    (n) => `multi_modal_projector.linear_${n + 1}.`,
    'language_model.lm_head.',
    'language_model.model.',
  ],
  'HF, newer': [
    'model.vision_tower.vision_model.',
    (n) => `model.multi_modal_projector.linear_${n + 1}.`,
    'lm_head.',
    'model.language_model.',
  ],
  'HF, tower without vision_model': [
    'vision_tower.',
    (n) => `multi_modal_projector.linear_${n + 1}.`,
    'language_model.lm_head.',
    'language_model.model.',
  ],
  original: ['model.vision_tower.vision_tower.vision_model.', (n) => `model.mm_projector.${2 * n}.`, 'lm_head.', 'model.'],
  "original with the tower's own file": ['vision_model.', (n) => `model.mm_projector.${2 * n}.`, 'lm_head.', 'model.'],
};

function source(a: typeof hf, spelling: string, change: (tensors: Map<string, readonly number[]>) => void = () => undefined): TensorSource {
  const [tower, projector, head, decoder] = spellings[spelling] ?? ['', () => '', '', ''];
  const tensors = new Map<string, readonly number[]>();
  for (const [name, shape] of ours(a)) {
    const theirs = name
      .replace(/^vision\./, tower)
      .replace(/^projector\.(\d+)\./, (_, layer: string) => projector(Number(layer)))
      .replace(/^head\./, head)
      .replace(/^decoder\./, decoder);
    tensors.set(theirs, shape);
  }
  change(tensors);
  return {
    names: [...tensors.keys()],
    info: (name) => ({ dtype: 'F32', shape: tensors.get(name) ?? [] }),
    readF32: (name) => Promise.resolve(new Float32Array((tensors.get(name) ?? []).reduce((product, dim) => product * dim, 1)).fill(0.1)),
    close: () => Promise.resolve(),
  };
}

function refusal(a: typeof hf, from: TensorSource): string {
  try {
    resolveWeights(a, from);
    return 'accepted';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : String(error);
  }
}

test.each(Object.keys(spellings))('%s: every tensor is found, none is left over', (spelling) => {
  const resolved = resolveWeights(hf, source(hf, spelling));
  expect([...resolved.used.keys()].sort()).toEqual([...ours(hf).keys()].sort());
  expect([resolved.shadowed, resolved.ignored]).toEqual([[], []]);
});

test('a missing tensor is named as its authors spell it, with the shape it should have', () => {
  const lacks = (spelling: string, name: string): string =>
    refusal(
      spelling === 'original' ? original : hf,
      source(spelling === 'original' ? original : hf, spelling, (t) => t.delete(name)),
    );
  expect(lacks('HF as published', 'language_model.model.layers.0.self_attn.k_proj.weight')).toBe(
    "checkpoint-tensors: the checkpoint's tensors do not fit its config: missing: language_model.model.layers.0.self_attn.k_proj.weight [32, 32]",
  );
  expect(lacks('HF, newer', 'model.multi_modal_projector.linear_2.bias')).toContain(
    'missing: model.multi_modal_projector.linear_2.bias [32]',
  );
  expect(lacks('original', 'model.mm_projector.2.weight')).toContain('missing: model.mm_projector.2.weight [32, 32]');
  expect(lacks('original', 'lm_head.weight')).toContain('missing: lm_head.weight [9, 32]');
});

test('a misshapen tensor is named with both shapes, an extra one with its name, all in one message', () => {
  const from = source(hf, 'HF as published', (tensors) => {
    tensors.set('language_model.model.norm.weight', [31]);
    tensors.set('language_model.model.layers.1.mlp.up_proj.weight', [16, 32]);
    tensors.set('adapter.weight', [1]);
  });
  const said = refusal(hf, from);
  expect(said).toContain('wrong shape: language_model.model.norm.weight is [31], [32] expected');
  expect(said).toContain('not of this architecture: language_model.model.layers.1.mlp.up_proj.weight, adapter.weight');
});

test('buffers, blocks above the selected layer and parts that no graph has are ignored by name', () => {
  const extras = [
    'model.layers.0.self_attn.rotary_emb.inv_freq',
    'vision_model.embeddings.position_ids',
    'vision_model.encoder.layers.1.mlp.fc1.weight',
    'vision_model.post_layernorm.weight',
    'text_model.embeddings.token_embedding.weight',
    'text_projection.weight',
    'visual_projection.weight',
    'logit_scale',
  ];
  const from = source(original, "original with the tower's own file", (tensors) => {
    for (const name of extras) tensors.set(name, [3]);
  });
  expect([...resolveWeights(original, from).ignored].sort()).toEqual([...extras].sort());
});

test("a tower inside the checkpoint wins over the tower's own file, whatever stands first, and the other is reported", () => {
  const inside = 'model.vision_tower.vision_tower.vision_model.pre_layrnorm.bias';
  const from = source(original, "original with the tower's own file", (tensors) => tensors.set(inside, [8]));
  const resolved = resolveWeights(original, from);
  expect(resolved.used.get('vision.pre_layrnorm.bias')).toBe(inside);
  expect(resolved.shadowed).toEqual([{ used: inside, ignored: 'vision_model.pre_layrnorm.bias' }]);
});

test('the head of a tied model is not needed and not an error', () => {
  const tied = { ...hf, decoder: { ...hf.decoder, tiedHead: true } };
  expect(ours(tied).has('head.weight')).toBe(false);
  const from = source(tied, 'HF as published', (tensors) => tensors.set('language_model.lm_head.weight', [9, 32]));
  expect(resolveWeights(tied, from).ignored).toEqual(['language_model.lm_head.weight']);
});

test('a linear projector has one layer, spelt without a number', () => {
  const linear = { ...original, projector: { ...original.projector, layers: 1 } };
  const from = source(linear, 'original', (tensors) => {
    for (const part of ['weight', 'bias']) {
      tensors.set(`model.mm_projector.${part}`, tensors.get(`model.mm_projector.0.${part}`) ?? []);
      tensors.delete(`model.mm_projector.0.${part}`);
    }
  });
  expect(resolveWeights(linear, from).used.get('projector.0.weight')).toBe('model.mm_projector.weight');
});

test('three graphs and one data file are written', async () => {
  const from = source(hf, 'HF as published');
  await writeLlava(folder, hf, from, resolveWeights(hf, from));
  expect(readdirSync(folder).sort()).toEqual(['decoder.onnx', 'embedding.onnx', 'vision.onnx', 'weights.data']);
});
