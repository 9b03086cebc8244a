import { expect, test } from 'vitest';
import { isGemma3, readArchitecture } from '#model/families/gemma3/architecture.ts';

const vision = { hidden_size: 24, intermediate_size: 32, num_hidden_layers: 2, num_attention_heads: 2, image_size: 32, patch_size: 8 };
const text = { hidden_size: 16, num_hidden_layers: 7, rope_scaling: { rope_type: 'linear', factor: 8 }, sliding_window: 12 };
const config = (top: object = {}, more: object = {}) => ({
  model_type: 'gemma3',
  mm_tokens_per_image: 4,
  text_config: { ...text, ...more },
  vision_config: vision,
  ...top,
});

test('a config is told by its type or its architecture', () => {
  expect(isGemma3({ model_type: 'gemma3' })).toBe(true);
  expect(isGemma3({ architectures: ['Gemma3ForConditionalGeneration'] })).toBe(true);
  expect(isGemma3({ model_type: 'llava', architectures: ['LlavaForConditionalGeneration'] })).toBe(false);
  expect(isGemma3(null)).toBe(false);
});

test('a missing key is the class default', () => {
  const { decoder, tokens } = readArchitecture(config());
  expect(decoder).toMatchObject({ vocabSize: 262_208, heads: 8, kvHeads: 4, headDim: 256, scoreScale: 1 / 16, normEpsilon: 1e-6 });
  expect(tokens).toEqual({ image: 262_144, start: 255_999, end: 256_000 });
});

test('every sixth layer is full, or every n-th, unless layer_types says which', () => {
  expect(readArchitecture(config()).decoder.windows).toEqual([12, 12, 12, 12, 12, null, 12]);
  expect(readArchitecture(config({}, { sliding_window_pattern: 3 })).decoder.windows).toEqual([12, 12, null, 12, 12, null, 12]);
  const types = ['full_attention', 'sliding_attention'];
  const listed = { num_hidden_layers: 2, layer_types: types, sliding_window_pattern: 1 };
  expect(readArchitecture(config({}, listed)).decoder.windows).toEqual([null, 12]);
  expect(() => readArchitecture(config({}, { layer_types: types }))).toThrow('layer_types has 2 entries for 7 layers');
});

test('only full layers have scaled positions, and rope_parameters wins over the older keys', () => {
  expect(readArchitecture(config()).decoder.rotary).toEqual({
    full: { theta: 1e6, scaling: { type: 'linear', factor: 8 } },
    sliding: { theta: 1e4, scaling: { type: 'none' } },
  });
  const parameters = { full_attention: { rope_type: 'default', rope_theta: 5 }, sliding_attention: { rope_theta: 7 } };
  expect(readArchitecture(config({}, { rope_parameters: parameters })).decoder.rotary).toEqual({
    full: { theta: 5, scaling: { type: 'none' } },
    sliding: { theta: 7, scaling: { type: 'none' } },
  });
});

test.each([
  ['a soft cap of the logits', {}, { final_logit_softcapping: 30 }, 'final_logit_softcapping'],
  ['a soft cap of the scores', {}, { attn_logit_softcapping: 50 }, 'attn_logit_softcapping'],
  ['attention in both directions', {}, { use_bidirectional_attention: true }, 'use_bidirectional_attention'],
  ['biases', {}, { attention_bias: true }, 'attention_bias'],
  ['another scaling', {}, { rope_scaling: { rope_type: 'yarn', factor: 2 } }, 'rotary scaling yarn'],
  ['heads that cannot be shared', {}, { num_key_value_heads: 3 }, '8 query heads cannot share 3'],
  ['an odd head', {}, { head_dim: 5 }, 'head_dim is 5'],
  ['rows per image that are no square', { mm_tokens_per_image: 8 }, {}, 'mm_tokens_per_image is 8'],
  ['a square that does not divide the patches', { mm_tokens_per_image: 9 }, {}, 'mm_tokens_per_image is 9'],
  ['a head of its own', { tie_word_embeddings: false }, {}, 'only a tied head'],
  ['another tower', { vision_config: { model_type: 'clip_vision_model' } }, {}, 'siglip_vision_model is built'],
])('%s is refused by name', (_, top, more, message) => {
  expect(() => readArchitecture(config(top, more))).toThrow(message);
});
