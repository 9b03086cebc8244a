import { expect, test } from 'vitest';
import { isGmaiVl, readArchitecture } from '#model/families/gmai-vl/architecture.ts';
import { config } from './checkpoint.ts';

const text = config.text_config;

/** The error of a config, as code and message. */
function refusal(changes: Record<string, unknown>): string {
  try {
    readArchitecture({ ...config, ...changes });
    return 'accepted';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : String(error);
  }
}

test('a missing decoder key is the class default of InternLM2', () => {
  expect(readArchitecture({ text_config: { model_type: 'internlm2' } }).decoder).toMatchObject({
    hiddenSize: 4096,
    intermediateSize: 11008,
    heads: 32,
    kvHeads: 32,
    headDim: 128,
    normEpsilon: 1e-6,
    vocabSize: 103168,
    maxPositions: 2048,
    rotary: { theta: 10000, scaling: { type: 'none' } },
    bias: { qkv: true, out: true, mlp: false },
    tiedHead: false,
  });
});

test('a missing vision section is ViT-L/14 at 336, its last state but one, without the class row', () => {
  const { vision, projector } = readArchitecture({ text_config: { model_type: 'internlm2' } });
  expect(vision).toMatchObject({ hiddenSize: 1024, blocks: 23, imageSize: 336, patchSize: 14, activation: 'quick_gelu', dropFirst: true });
  expect(projector).toMatchObject({ layers: 2, activation: 'gelu', bias: true, outSize: 4096 });
});

test('strategy full keeps the class row; the layer counts hidden states', () => {
  const { vision } = readArchitecture({ ...config, vision_feature_layer: -3, vision_feature_select_strategy: 'full' });
  expect(vision).toMatchObject({ blocks: 1, dropFirst: false });
});

test('linear scaling divides positions, dynamic changes nothing within max_position_embeddings', () => {
  const scaling = (type: string) =>
    readArchitecture({ ...config, text_config: { ...text, rope_scaling: { type, factor: 3 } } }).decoder.rotary.scaling;
  expect(scaling('linear')).toEqual({ type: 'linear', factor: 3 });
  expect(scaling('dynamic')).toEqual({ type: 'none' });
});

test('only the top level names padding whose rows are blank', () => {
  expect(readArchitecture(config).zeroRowId).toBeNull();
  expect(readArchitecture({ ...config, pad_token_id: 7 }).zeroRowId).toBe(7);
  expect(readArchitecture({ ...config, pad_token_id: -1 }).zeroRowId).toBeNull();
});

test.each([
  ['another decoder', { text_config: { ...text, model_type: 'qwen2' } }, /text_config: decoder qwen2 is not built/],
  ['another scaling', { text_config: { ...text, rope_scaling: { type: 'yarn', factor: 2 } } }, /rotary scaling yarn is not built/],
  ['heads that do not share', { text_config: { ...text, num_key_value_heads: 4 } }, /6 query heads cannot share 4/],
  ['a head size that is odd', { text_config: { ...text, num_attention_heads: 16 } }, /give a head size of 3;/],
  ['another decoder activation', { text_config: { ...text, hidden_act: 'relu' } }, /hidden_act is relu/],
  ['another projector activation', { projector_hidden_act: 'relu' }, /projector_hidden_act is relu/],
  ['another strategy', { vision_feature_select_strategy: 'cls' }, /vision_feature_select_strategy/],
  ['several layers', { vision_feature_layer: [-2, -1] }, /vision_feature_layer/],
  ['a layer that is not there', { vision_feature_layer: -9 }, /layer -9 is selected/],
])('%s is refused by name', (_, changes, message) => {
  expect(refusal(changes)).toMatch(/^architecture-unsupported: /);
  expect(refusal(changes)).toMatch(message);
});

test('it is told from a llava checkpoint, whose architecture has the same name', () => {
  expect(isGmaiVl(config)).toBe(true);
  expect(isGmaiVl({ model_type: 'llava', text_config: { model_type: 'internlm2' } })).toBe(true);
  expect(isGmaiVl({ architectures: config.architectures, model_type: 'llava', text_config: { model_type: 'llama' } })).toBe(false);
  expect(isGmaiVl('no config')).toBe(false);
});
