import { expect, test } from 'vitest';
import type { TensorSource } from '#model/checkpoint/tensors.ts';
import { gemmaGraphs, readArchitecture } from '#model/families/gemma3/architecture.ts';
import { resolvedReader } from '#model/families/gemma3/weights.ts';

const architecture = readArchitecture({
  mm_tokens_per_image: 4,
  text_config: { vocab_size: 20, hidden_size: 16, intermediate_size: 8, num_hidden_layers: 1, head_dim: 4 },
  vision_config: { hidden_size: 8, intermediate_size: 8, num_hidden_layers: 1, num_attention_heads: 2, image_size: 16, patch_size: 4 },
});

const newer = { vision: 'model.vision_tower.', projector: 'model.multi_modal_projector.', decoder: 'model.language_model.' };
const published = { vision: 'vision_tower.vision_model.', projector: 'multi_modal_projector.', decoder: 'language_model.model.' };

function shapes(prefix: typeof newer): Map<string, readonly number[]> {
  const found = new Map<string, readonly number[]>();
  for (const { graph } of gemmaGraphs(architecture)) {
    for (const { recipe } of graph.weights) {
      if (recipe.kind === 'computed') continue;
      for (const { name, shape } of recipe.tensors) {
        found.set(
          name.replace(/^(vision|projector|decoder)\./, (_, part: keyof typeof newer) => prefix[part]),
          shape,
        );
      }
    }
  }
  return found;
}

/** A checkpoint in memory whose values are all 0.5. */
function source(tensors: ReadonlyMap<string, readonly number[]>): TensorSource {
  const shapeOf = (name: string) => tensors.get(name) ?? [];
  return {
    names: [...tensors.keys()],
    info: (name) => ({ dtype: 'F32', shape: shapeOf(name) }),
    readF32: async (name) => new Float32Array(shapeOf(name).reduce((product, size) => product * size, 1)).fill(0.5),
    close: async () => undefined,
  };
}

test.each([
  ['published', published],
  ['newer', newer],
  ['newer with the class name of the tower', { ...newer, vision: 'model.vision_tower.vision_model.' }],
])('names in the %s spelling are found', async (_, prefix) => {
  const read = resolvedReader(architecture, source(shapes(prefix)));
  expect(await read('decoder.norm.weight')).toEqual(new Float32Array(16).fill(1.5));
});

test('norms of decoder and projector get the 1 that is not stored; the tower and matrices do not', async () => {
  const read = resolvedReader(architecture, source(shapes(published)));
  for (const name of [
    'decoder.layers.0.input_layernorm.weight',
    'decoder.layers.0.self_attn.q_norm.weight',
    'projector.mm_soft_emb_norm.weight',
  ]) {
    expect((await read(name))[0]).toBe(1.5);
  }
  for (const name of ['vision.post_layernorm.weight', 'vision.encoder.layers.0.layer_norm1.weight', 'decoder.embed_tokens.weight']) {
    expect((await read(name))[0]).toBe(0.5);
  }
});

test('missing, misshapen and unknown tensors are named; a repeated head is not one of them', () => {
  const tensors = shapes(published);
  tensors.set('lm_head.weight', [20, 16]);
  expect(() => resolvedReader(architecture, source(tensors))).not.toThrow();
  tensors.delete('language_model.model.norm.weight');
  tensors.set('multi_modal_projector.mm_input_projection_weight', [16, 8]);
  tensors.set('language_model.model.layers.1.mlp.up_proj.weight', [8, 16]);
  const resolve = () => resolvedReader(architecture, source(tensors));
  expect(resolve).toThrow('language_model.model.norm.weight [16]');
  expect(resolve).toThrow('mm_input_projection_weight is [16, 8], [8, 16] expected');
  expect(resolve).toThrow('layers.1.mlp.up_proj.weight');
});
