/**
 * Decoder keys of text_config with the class defaults of InternLM2Config: HF writes only what differs from them, so a missing key means them.
 *
 * Dynamic rotary scaling changes nothing before max_position_embeddings and re-bases every step after it, without turning cached keys again.
 * The bundle stops at max_position_embeddings instead. Source: the authors' xtuner configuration_internlm2.py, modeling_internlm2.py.
 */
import { z } from 'zod';
import type { DecoderArchitecture } from '../../onnx/decoder.ts';
import type { RopeScaling } from '../../onnx/rotary.ts';
import { parsed, refuse } from '../config.ts';

const size = z.int().positive();

const schema = z.looseObject({
  model_type: z.string().default('not named'),
  vocab_size: size.default(103168),
  hidden_size: size.default(4096),
  intermediate_size: size.default(11008),
  num_hidden_layers: size.default(32),
  num_attention_heads: size.default(32),
  num_key_value_heads: size.nullish(),
  hidden_act: z.string().default('silu'),
  max_position_embeddings: size.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  bias: z.boolean().default(true),
  rope_theta: z.number().positive().default(10000),
  rope_scaling: z.looseObject({ type: z.string(), factor: z.number().min(1) }).nullish(),
  tie_word_embeddings: z.boolean().default(false),
});

function scalingOf(given: z.output<typeof schema>['rope_scaling']): RopeScaling {
  if (!given || given.type === 'dynamic') return { type: 'none' };
  if (given.type === 'linear') return { type: 'linear', factor: given.factor };
  return refuse(`text_config: rotary scaling ${given.type} is not built; linear and dynamic are`);
}

/** @throws architecture-unsupported naming the key, what it says and what is known */
export function readDecoder(config: unknown): DecoderArchitecture {
  const keys = parsed(schema, config, 'text_config');
  if (keys.model_type !== 'internlm2') return refuse(`text_config: decoder ${keys.model_type} is not built; internlm2 is`);
  const heads = keys.num_attention_heads;
  const kvHeads = keys.num_key_value_heads ?? heads;
  const headDim = keys.hidden_size / heads;
  if (keys.hidden_act !== 'silu') return refuse(`text_config: hidden_act is ${keys.hidden_act}; only silu is built`);
  if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
    return refuse(
      `text_config: hidden_size ${keys.hidden_size} and ${heads} heads give a head size of ${headDim}; an even number is needed`,
    );
  }
  if (heads % kvHeads !== 0) return refuse(`text_config: ${heads} query heads cannot share ${kvHeads} key-value heads`);
  return {
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size,
    heads,
    kvHeads,
    headDim,
    normEpsilon: keys.rms_norm_eps,
    vocabSize: keys.vocab_size,
    maxPositions: keys.max_position_embeddings,
    rotary: { theta: keys.rope_theta, scaling: scalingOf(keys.rope_scaling) },
    windows: new Array<null>(keys.num_hidden_layers).fill(null),
    bias: { qkv: keys.bias, out: keys.bias, mlp: false },
    tiedHead: keys.tie_word_embeddings,
  };
}
