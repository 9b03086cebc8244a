/**
 * Decoder keys of a config (text_config, or the top level of an original checkpoint) with the HF class defaults of the model type.
 *
 * A key that would change the computation and that we do not build is refused by name, never ignored.
 * Source: transformers configuration_{llama,mistral,qwen2}.py, modeling_rope_utils.py.
 */

import { z } from 'zod';
import type { DecoderArchitecture } from '../onnx/decoder.ts';
import type { RopeScaling, Rotary } from '../onnx/rotary.ts';
import { parsed, refuse } from './config.ts';

const size = z.number().int().positive();

const common = {
  hidden_size: size.default(4096),
  num_hidden_layers: size.default(32),
  num_attention_heads: size.default(32),
  rms_norm_eps: z.number().positive().default(1e-6),
  hidden_act: z.string().default('silu'),
  head_dim: size.nullish(),
  rope_theta: z.number().positive().optional(),
  rope_scaling: z.record(z.string(), z.unknown()).nullish(),
  rope_parameters: z.record(z.string(), z.unknown()).nullish(),
  partial_rotary_factor: z.number().optional(),
  layer_types: z.array(z.string()).nullish(),
};

/** Missing kv heads are as many as query heads in Llama. */
const schemas = {
  llama: z.looseObject({
    ...common,
    intermediate_size: size.default(11008),
    num_key_value_heads: size.nullish(),
    vocab_size: size.default(32000),
    max_position_embeddings: size.optional(),
    /** What configs of LLaMA 1 called it. */
    max_sequence_length: size.optional(),
    attention_bias: z.boolean().default(false),
    mlp_bias: z.boolean().default(false),
  }),
  mistral: z.looseObject({
    ...common,
    intermediate_size: size.default(14336),
    num_key_value_heads: size.nullable().default(8),
    vocab_size: size.default(32000),
    max_position_embeddings: size.default(131072),
    sliding_window: size.nullable().default(4096),
  }),
  qwen2: z.looseObject({
    ...common,
    intermediate_size: size.default(22016),
    num_key_value_heads: size.nullable().default(32),
    vocab_size: size.default(151936),
    max_position_embeddings: size.default(32768),
    use_sliding_window: z.boolean().default(false),
    sliding_window: size.nullable().default(4096),
    max_window_layers: z.number().int().nonnegative().default(28),
  }),
} as const;

const DEFAULT_THETA = 10_000;

const llama3Schema = z.looseObject({
  factor: z.number().positive(),
  low_freq_factor: z.number().positive(),
  high_freq_factor: z.number().positive(),
  original_max_position_embeddings: size,
});

function readScaling(keys: Record<string, unknown>, where: string): RopeScaling {
  const type = keys.rope_type ?? keys.type ?? 'default';
  if (type === 'default') return { type: 'none' };
  if (type === 'linear') {
    return { type: 'linear', factor: parsed(z.looseObject({ factor: z.number().positive() }), keys, where).factor };
  }
  if (type !== 'llama3') return refuse(`${where}: rotary scaling ${String(type)} is not built; default, linear and llama3 are`);
  const llama3 = parsed(llama3Schema, keys, where);
  return {
    type: 'llama3',
    factor: llama3.factor,
    lowFrequencyFactor: llama3.low_freq_factor,
    highFrequencyFactor: llama3.high_freq_factor,
    originalMaxPositions: llama3.original_max_position_embeddings,
  };
}

/** New form `rope_parameters` holds theta and scaling; old form has `rope_theta` and `rope_scaling`. */
function readRotary(keys: z.output<(typeof schemas)['llama' | 'mistral' | 'qwen2']>, where: string): Rotary {
  const given = keys.rope_parameters ?? {};
  const theta = typeof given.rope_theta === 'number' ? given.rope_theta : (keys.rope_theta ?? DEFAULT_THETA);
  const partial = typeof given.partial_rotary_factor === 'number' ? given.partial_rotary_factor : (keys.partial_rotary_factor ?? 1);
  if (partial !== 1) return refuse(`${where}: partial_rotary_factor is ${partial}; only 1 is built`);
  return { theta, scaling: readScaling(keys.rope_parameters ?? keys.rope_scaling ?? {}, where) };
}

/** Window of each layer. `layer_types`, where it is given, says which layers have one; else the class's rule does. */
function windowsOf(layers: number, types: readonly string[] | null, window: number | null, from: number, where: string): (number | null)[] {
  if (types !== null && types.length !== layers) return refuse(`${where}: layer_types has ${types.length} entries for ${layers} layers`);
  const unknown = types?.find((type) => type !== 'full_attention' && type !== 'sliding_attention');
  if (unknown !== undefined) return refuse(`${where}: layer type ${unknown} is not built; full_attention and sliding_attention are`);
  return Array.from({ length: layers }, (_, layer) => {
    const sliding = types === null ? layer >= from : types[layer] === 'sliding_attention';
    return sliding ? window : null;
  });
}

/**
 * @param type model_type of the decoder: llama, mistral or qwen2
 * @param where name of the config's part, for messages
 * @throws architecture-unsupported naming the key, what it says and what is known
 */
export function readDecoder(type: string, config: unknown, where: string): Omit<DecoderArchitecture, 'tiedHead'> {
  if (type !== 'llama' && type !== 'mistral' && type !== 'qwen2') {
    return refuse(`${where}: decoder ${type} is not built; llama, mistral and qwen2 are`);
  }
  const keys = parsed<(typeof schemas)[typeof type]>(schemas[type], config, where);
  if (keys.hidden_act !== 'silu') return refuse(`${where}: hidden_act is ${keys.hidden_act}; only silu is built`);
  const heads = keys.num_attention_heads;
  const kvHeads = keys.num_key_value_heads ?? heads;
  const headDim = keys.head_dim ?? keys.hidden_size / heads;
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    return refuse(`${where}: hidden_size ${keys.hidden_size} and ${heads} heads give a head size of ${headDim}; an even number is needed`);
  }
  if (heads % kvHeads !== 0) return refuse(`${where}: ${heads} query heads cannot share ${kvHeads} key-value heads`);
  const llama = type === 'llama' ? parsed(schemas.llama, config, where) : null;
  const qwen2 = type === 'qwen2' ? parsed(schemas.qwen2, config, where) : null;
  const mistral = type === 'mistral' ? parsed(schemas.mistral, config, where) : null;
  const window = mistral?.sliding_window ?? (qwen2?.use_sliding_window === true ? qwen2.sliding_window : null);
  const attentionBias = llama?.attention_bias === true;
  return {
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size,
    heads,
    kvHeads,
    headDim,
    normEpsilon: keys.rms_norm_eps,
    vocabSize: keys.vocab_size,
    maxPositions: keys.max_position_embeddings ?? llama?.max_sequence_length ?? 2048,
    rotary: readRotary(keys, where),
    windows: windowsOf(
      keys.num_hidden_layers,
      keys.layer_types ?? null,
      typeof window === 'number' ? window : null,
      qwen2?.max_window_layers ?? 0,
      where,
    ),
    bias: { qkv: type === 'qwen2' || attentionBias, out: attentionBias, mlp: llama?.mlp_bias === true },
  };
}
