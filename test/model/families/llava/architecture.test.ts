import { expect, test } from 'vitest';
import { imageDecoderSizes } from '#model/families/image-decoder.ts';
import { llavaForm, readArchitecture } from '#model/families/llava/architecture.ts';

const none = { towerConfig: null, hasHead: true };
const hf = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  architectures: ['LlavaForConditionalGeneration'],
  model_type: 'llava',
  ...changes,
});
const original = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  architectures: ['LlavaMistralForCausalLM'],
  model_type: 'llava_mistral',
  mm_vision_tower: 'openai/clip-vit-large-patch14-336',
  mm_projector_type: 'mlp2x_gelu',
  ...changes,
});
const tower = {
  towerConfig: { model_type: 'clip', vision_config: { hidden_size: 64, num_attention_heads: 4, image_size: 28, patch_size: 14 } },
  hasHead: true,
};

/** The error of a config, as code and message. */
function refusal(config: unknown, facts: Parameters<typeof readArchitecture>[1] = none): string {
  try {
    readArchitecture(config, facts);
    return 'accepted';
  } catch (error) {
    return error instanceof Error && 'code' in error ? `${String(error.code)}: ${error.message}` : String(error);
  }
}

test('missing keys are the class defaults of the model type, not of another checkpoint', () => {
  const llama = readArchitecture(hf({ text_config: { model_type: 'llama' } }), none).decoder;
  expect(llama).toMatchObject({
    hiddenSize: 4096,
    intermediateSize: 11008,
    heads: 32,
    kvHeads: 32,
    headDim: 128,
    maxPositions: 2048,
    normEpsilon: 1e-6,
  });
  expect(llama.windows).toEqual(new Array(32).fill(null));
  const mistral = readArchitecture(hf({ text_config: { model_type: 'mistral' } }), none).decoder;
  expect(mistral).toMatchObject({ intermediateSize: 14336, kvHeads: 8, rotary: { theta: 10_000 } });
  expect(mistral.windows).toEqual(new Array(32).fill(4096));
  const qwen2 = readArchitecture(hf({ text_config: { model_type: 'qwen2' } }), none).decoder;
  expect(qwen2).toMatchObject({ intermediateSize: 22016, vocabSize: 151936, bias: { qkv: true, out: false, mlp: false } });
  expect(qwen2.windows).toEqual(new Array(32).fill(null));
});

test('without a vision_config it is ViT-L/14 at 336, with an empty one the class default', () => {
  const large = readArchitecture(hf({ text_config: {} }), none);
  expect(large.vision).toMatchObject({ hiddenSize: 1024, blocks: 23, imageSize: 336, patchSize: 14, kind: 'clip', dropFirst: true });
  expect(imageDecoderSizes(large).visualTokens).toBe(576);
  const empty = readArchitecture(hf({ text_config: {}, vision_config: {} }), none);
  expect(empty.vision).toMatchObject({ hiddenSize: 768, blocks: 11, imageSize: 224, patchSize: 32 });
  const siglip = readArchitecture(
    hf({ vision_config: { model_type: 'siglip_vision_model' }, vision_feature_select_strategy: 'full' }),
    none,
  );
  expect(siglip.vision).toMatchObject({
    kind: 'siglip',
    patchSize: 16,
    activation: 'gelu_pytorch_tanh',
    normEpsilon: 1e-6,
    dropFirst: false,
  });
  expect(imageDecoderSizes(siglip).visualTokens).toBe(196);
});

test('layers are counted from the hidden states, and a layer outside them is refused', () => {
  const blocks = (layer: number): number =>
    readArchitecture(hf({ vision_config: { num_hidden_layers: 5 }, vision_feature_layer: layer }), none).vision.blocks;
  expect([blocks(-1), blocks(-2), blocks(0), blocks(3), blocks(-6)]).toEqual([5, 4, 0, 3, 0]);
  expect(refusal(hf({ vision_config: { num_hidden_layers: 5 }, vision_feature_layer: 6 }))).toContain(
    'layer 6 is selected of 6 hidden states',
  );
  expect(refusal(hf({ text_config: {}, vision_feature_layer: [-2, -5] }))).toContain('a list (-2, -5)');
});

test('old and new spellings of the rotary keys mean the same', () => {
  const rotary = (keys: Record<string, unknown>) => readArchitecture(hf({ text_config: keys }), none).decoder.rotary;
  expect(rotary({ rope_theta: 500, rope_scaling: { type: 'linear', factor: 2 } })).toEqual(
    rotary({ rope_parameters: { rope_type: 'linear', factor: 2, rope_theta: 500 } }),
  );
  expect(rotary({ rope_scaling: null })).toEqual({ theta: 10_000, scaling: { type: 'none' } });
  expect(refusal(hf({ text_config: { rope_scaling: { rope_type: 'yarn', factor: 4 } } }))).toContain('rotary scaling yarn is not built');
  expect(refusal(hf({ text_config: { rope_scaling: { rope_type: 'llama3', factor: 4 } } }))).toContain('low_freq_factor');
});

test('windows: null is none, Qwen2 has them from max_window_layers on and only when it uses them, layer_types say it layer by layer', () => {
  const windows = (keys: Record<string, unknown>) =>
    readArchitecture(hf({ text_config: { num_hidden_layers: 3, ...keys } }), none).decoder.windows;
  expect(windows({ model_type: 'mistral', sliding_window: null })).toEqual([null, null, null]);
  expect(windows({ model_type: 'mistral', sliding_window: 9 })).toEqual([9, 9, 9]);
  const qwen2 = { model_type: 'qwen2', sliding_window: 7, max_window_layers: 1 };
  expect(windows({ ...qwen2, use_sliding_window: false })).toEqual([null, null, null]);
  expect(windows({ ...qwen2, use_sliding_window: true })).toEqual([null, 7, 7]);
  const types = ['sliding_attention', 'full_attention', 'full_attention'];
  expect(windows({ ...qwen2, use_sliding_window: true, layer_types: types })).toEqual([7, null, null]);
  expect(imageDecoderSizes(readArchitecture(hf({ text_config: { model_type: 'mistral' } }), none)).needs).toEqual(['attention', 'window']);
});

test('a tied head may be said at either place; where they contradict each other the tensors tell', () => {
  const tied = (top: boolean | undefined, text: boolean | undefined, hasHead: boolean): boolean =>
    readArchitecture(
      hf({
        ...(top === undefined ? {} : { tie_word_embeddings: top }),
        text_config: text === undefined ? {} : { tie_word_embeddings: text },
      }),
      {
        towerConfig: null,
        hasHead,
      },
    ).decoder.tiedHead;
  expect([tied(undefined, true, false), tied(true, undefined, false), tied(undefined, undefined, true)]).toEqual([true, true, false]);
  expect([tied(false, true, true), tied(false, true, false)]).toEqual([false, true]);
});

test('the original form takes its decoder from the top level and its tower from the tower', () => {
  const a = readArchitecture(
    original({ hidden_size: 60, num_attention_heads: 6, num_key_value_heads: 2, sliding_window: null, mm_projector_type: 'mlp3x_gelu' }),
    tower,
  );
  expect(a).toMatchObject({
    form: 'original',
    imageTokenId: null,
    projector: { layers: 3, outSize: 60 },
    decoder: { headDim: 10, kvHeads: 2 },
  });
  expect(a.vision).toMatchObject({ hiddenSize: 64, blocks: 11, dropFirst: true });
  expect(imageDecoderSizes(a)).toMatchObject({ visualTokens: 4, headDim: 16 });
  expect(readArchitecture(original({ mm_vision_select_feature: 'cls_patch', mm_projector_type: 'linear' }), tower)).toMatchObject({
    vision: { dropFirst: false },
    projector: { layers: 1 },
  });
  const siglip = { towerConfig: { model_type: 'siglip_vision_model' }, hasHead: true };
  expect(readArchitecture(original(), siglip).vision).toMatchObject({ kind: 'siglip', dropFirst: false });
});

test('an original checkpoint without its tower names what must be fetched', () => {
  expect(refusal(original())).toBe(
    'import-option-missing: the config of the vision tower openai/clip-vit-large-patch14-336 is not in the checkpoint',
  );
});

test.each([
  [hf({ text_config: { model_type: 'gemma' } }), 'decoder gemma is not built'],
  [hf({ text_config: { hidden_act: 'relu' } }), 'hidden_act is relu'],
  [hf({ text_config: { hidden_size: 50, num_attention_heads: 4 } }), 'give a head size of 12.5'],
  [hf({ text_config: { num_attention_heads: 6, num_key_value_heads: 4, hidden_size: 48 } }), '6 query heads cannot share 4'],
  [hf({ text_config: { partial_rotary_factor: 0.5 } }), 'partial_rotary_factor is 0.5'],
  [hf({ text_config: { num_hidden_layers: 'many' } }), 'num_hidden_layers'],
  [hf({ vision_config: { model_type: 'dinov2' } }), 'vision tower dinov2 is not built'],
  [hf({ vision_config: { hidden_act: 'relu6' } }), 'hidden_act is relu6'],
  [hf({ vision_config: { hidden_size: 10, num_attention_heads: 3 } }), 'cannot be shared by 3 heads'],
  [hf({ text_config: {}, vision_feature_select_strategy: 'cls' }), 'vision_feature_select_strategy is cls'],
  [hf({ text_config: {}, projector_hidden_act: 'tanh' }), 'projector_hidden_act is tanh'],
  [{ model_type: 'bert' }, 'not of a llava checkpoint'],
  [7, 'not of a llava checkpoint'],
])('%j is refused by what it says: %s', (config, said) => {
  expect(refusal(config)).toContain(`architecture-unsupported: `);
  expect(refusal(config)).toContain(said);
});

test.each([
  [{ mm_projector_type: 'mlp2x_relu' }, 'mm_projector_type is mlp2x_relu'],
  [{ mm_vision_select_feature: 'cls' }, 'mm_vision_select_feature is cls'],
  [{ image_aspect_ratio: 'anyres' }, 'tiled images'],
  [{ mm_hidden_size: 1024 }, "mm_hidden_size is 1024 in config.json, the tower's hidden_size is 64"],
])('an original config with %j is refused: %s', (changes, said) => {
  expect(refusal(original(changes), tower)).toContain(said);
});

test('both forms call themselves llava; their keys tell them apart', () => {
  expect(llavaForm({ model_type: 'llava', text_config: {} })).toBe('hf');
  expect(llavaForm({ model_type: 'llava', mm_vision_tower: 'x' })).toBe('original');
  expect(llavaForm({ model_type: 'llava', architectures: ['LlavaLlamaForCausalLM'] })).toBe('original');
  expect(llavaForm({ model_type: 'llava_next', text_config: {} })).toBeNull();
  expect(llavaForm({ model_type: 'llava' })).toBeNull();
  expect(llavaForm(null)).toBeNull();
});
