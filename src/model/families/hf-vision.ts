/**
 * Vision keys of a config with the HF class defaults of the tower's type.
 *
 * A layer is counted from HF's hidden_states: 0 is the embeddings, k the output of block k, -1 the last block's output.
 * Source: transformers configuration_clip.py, configuration_siglip.py, configuration_llava.py.
 */

import { z } from 'zod';
import { activations } from '../onnx/layers.ts';
import type { VisionArchitecture } from '../onnx/vision-transformer.ts';
import { parsed, refuse } from './config.ts';

const size = z.number().int().positive();

const schemas = {
  clip_vision_model: z.looseObject({
    hidden_size: size.default(768),
    intermediate_size: size.default(3072),
    num_hidden_layers: size.default(12),
    num_attention_heads: size.default(12),
    num_channels: size.default(3),
    image_size: size.default(224),
    patch_size: size.default(32),
    hidden_act: z.string().default('quick_gelu'),
    layer_norm_eps: z.number().positive().default(1e-5),
  }),
  siglip_vision_model: z.looseObject({
    hidden_size: size.default(768),
    intermediate_size: size.default(3072),
    num_hidden_layers: size.default(12),
    num_attention_heads: size.default(12),
    num_channels: size.default(3),
    image_size: size.default(224),
    patch_size: size.default(16),
    hidden_act: z.string().default('gelu_pytorch_tanh'),
    layer_norm_eps: z.number().positive().default(1e-6),
  }),
} as const;

/** What LlavaConfig takes when there is no vision_config at all: CLIP ViT-L/14 at 336. */
const large = {
  model_type: 'clip_vision_model',
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 24,
  num_attention_heads: 16,
  image_size: 336,
  patch_size: 14,
};

export interface VisionSelection {
  readonly layer: number;
  readonly dropFirst: boolean;
  /** Name of the config's part, for messages. */
  readonly where: string;
}

/** @throws architecture-unsupported naming the key, what it says and what is known */
export function readVision(config: Record<string, unknown> | 'large', selection: VisionSelection): VisionArchitecture {
  const { where } = selection;
  const given = config === 'large' ? large : config;
  const type = 'model_type' in given ? given.model_type : 'clip_vision_model';
  if (type !== 'clip_vision_model' && type !== 'siglip_vision_model') {
    return refuse(`${where}: vision tower ${String(type)} is not built; clip_vision_model and siglip_vision_model are`);
  }
  const keys = parsed<(typeof schemas)[typeof type]>(schemas[type], given, where);
  const activation = activations.find((name) => name === (keys.hidden_act === 'gelu_new' ? 'gelu_pytorch_tanh' : keys.hidden_act));
  if (activation === undefined) return refuse(`${where}: hidden_act is ${keys.hidden_act}; ${activations.join(', ')} are known`);
  if (keys.hidden_size % keys.num_attention_heads !== 0) {
    return refuse(`${where}: hidden_size ${keys.hidden_size} cannot be shared by ${keys.num_attention_heads} heads`);
  }
  const blocks = selection.layer < 0 ? keys.num_hidden_layers + 1 + selection.layer : selection.layer;
  if (blocks < 0 || blocks > keys.num_hidden_layers) {
    return refuse(`${where}: layer ${selection.layer} is selected of ${keys.num_hidden_layers + 1} hidden states`);
  }
  if (keys.patch_size > keys.image_size)
    return refuse(`${where}: patch_size ${keys.patch_size} is larger than image_size ${keys.image_size}`);
  return {
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size,
    heads: keys.num_attention_heads,
    blocks,
    channels: keys.num_channels,
    imageSize: keys.image_size,
    patchSize: keys.patch_size,
    activation,
    normEpsilon: keys.layer_norm_eps,
    kind: type === 'clip_vision_model' ? 'clip' : 'siglip',
    dropFirst: selection.dropFirst,
  };
}
