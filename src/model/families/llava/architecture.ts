/**
 * The config of a llava checkpoint, HF form or original form, as one typed architecture.
 *
 * Published configs hold only what differs from the HF class defaults of their model type, so a missing key means that class's default,
 * never another checkpoint's value. `model_type: llava` is used by both forms: text_config, vision_config or the architecture's name tell.
 * Source: transformers configuration_{llava,clip,siglip,llama,mistral,qwen2}.py; the authors' llava/model/builder.py.
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { parsed, refuse } from '../config.ts';
import { readDecoder } from '../hf-decoder.ts';
import { readVision } from '../hf-vision.ts';
import type { ImageDecoder } from '../image-decoder.ts';

export interface LlavaArchitecture extends ImageDecoder {
  readonly form: 'hf' | 'original';
  /** Placeholder id of the HF form; null in the original form, where it is -200. */
  readonly imageTokenId: number | null;
}

/** What lies in the checkpoint beside its config. */
export interface CheckpointFacts {
  /** config.json of the tower that mm_vision_tower names (a whole CLIP's or the tower's own); null when it was not found. */
  readonly towerConfig: unknown;
  /** Whether a head tensor is in the checkpoint; it decides where the config contradicts itself about tied embeddings. */
  readonly hasHead: boolean;
}

const section = z.record(z.string(), z.unknown());
const hfSchema = z.looseObject({
  text_config: section.optional(),
  vision_config: section.optional(),
  image_token_index: z.number().int().optional(),
  image_token_id: z.number().int().optional(),
  vision_feature_layer: z.union([z.number().int(), z.array(z.number().int())]).default(-2),
  vision_feature_select_strategy: z.string().default('default'),
  projector_hidden_act: z.string().default('gelu'),
  multimodal_projector_bias: z.boolean().default(true),
  tie_word_embeddings: z.boolean().optional(),
});
const originalSchema = z.looseObject({
  architectures: z.array(z.string()).default([]),
  mm_vision_tower: z.string().optional(),
  mm_vision_select_layer: z.number().int().default(-2),
  mm_vision_select_feature: z.string().default('patch'),
  mm_projector_type: z.string().default('linear'),
  mm_hidden_size: z.number().int().positive().optional(),
  mm_patch_merge_type: z.string().default('flat'),
  image_aspect_ratio: z.string().nullish(),
});

/** The form of a llava config, or null when it is none. */
export function llavaForm(config: unknown): 'hf' | 'original' | null {
  const head = z.looseObject({ model_type: z.string().optional(), architectures: z.array(z.string()).optional() }).safeParse(config);
  if (!head.success) return null;
  const { model_type: type, architectures = [] } = head.data;
  const original = ['LlavaLlamaForCausalLM', 'LlavaMistralForCausalLM', 'LlavaQwen2ForCausalLM'];
  if (architectures.some((name) => original.includes(name))) return 'original';
  if (type === 'llava_llama' || type === 'llava_mistral' || type === 'llava_qwen2') return 'original';
  if (architectures.includes('LlavaForConditionalGeneration')) return 'hf';
  if (type !== 'llava') return null;
  if ('text_config' in head.data || 'vision_config' in head.data) return 'hf';
  return 'mm_vision_tower' in head.data ? 'original' : null;
}

function projectorActivation(name: string): 'quick_gelu' | 'gelu' | 'gelu_pytorch_tanh' {
  if (name === 'gelu' || name === 'gelu_pytorch_tanh' || name === 'quick_gelu') return name;
  return refuse(`config.json: projector_hidden_act is ${name}; gelu, gelu_pytorch_tanh and quick_gelu are known`);
}

function readHf(config: unknown, facts: CheckpointFacts): LlavaArchitecture {
  const top = parsed(hfSchema, config, 'config.json');
  const layer = top.vision_feature_layer;
  if (typeof layer !== 'number') return refuse(`config.json: vision_feature_layer is a list (${layer.join(', ')}); one layer is supported`);
  const strategy = top.vision_feature_select_strategy;
  if (strategy !== 'default' && strategy !== 'full') {
    return refuse(`config.json: vision_feature_select_strategy is ${strategy}; default and full are known`);
  }
  const text = top.text_config ?? {};
  // Where top level and text_config contradict each other, the file's tensors tell: some versions wrote a class default at the top.
  const claims = [top.tie_word_embeddings, text.tie_word_embeddings].filter((claim) => typeof claim === 'boolean');
  const tied = claims.includes(true) && (!claims.includes(false) || !facts.hasHead);
  const type = typeof text.model_type === 'string' ? text.model_type : 'llama';
  const decoder = { ...readDecoder(type, text, 'text_config'), tiedHead: tied };
  return {
    form: 'hf',
    decoder,
    // The whole section missing means ViT-L/14 at 336; a missing key means the class default of its type.
    vision: readVision(top.vision_config ?? 'large', { layer, dropFirst: strategy === 'default', where: 'vision_config' }),
    projector: {
      layers: 2,
      activation: projectorActivation(top.projector_hidden_act),
      bias: top.multimodal_projector_bias,
      outSize: decoder.hiddenSize,
    },
    imageTokenId: top.image_token_id ?? top.image_token_index ?? 32000,
  };
}

/** Layers of `linear` or `mlpNx_gelu`. */
function projectorLayers(type: string): number {
  if (type === 'linear') return 1;
  const layers = /^mlp(\d+)x_gelu$/.exec(type)?.[1];
  if (layers === undefined || Number(layers) < 1)
    return refuse(`config.json: mm_projector_type is ${type}; linear and mlpNx_gelu are known`);
  return Number(layers);
}

function originalType(architectures: readonly string[], modelType: unknown): string {
  const name = `${architectures.join(' ')} ${String(modelType)}`.toLowerCase();
  if (name.includes('mistral')) return 'mistral';
  return name.includes('qwen2') ? 'qwen2' : 'llama';
}

function readOriginal(config: unknown, facts: CheckpointFacts): LlavaArchitecture {
  const top = parsed(originalSchema, config, 'config.json');
  if (top.mm_patch_merge_type !== 'flat' || top.image_aspect_ratio === 'anyres') {
    return refuse(
      `config.json: image_aspect_ratio ${top.image_aspect_ratio}, mm_patch_merge_type ${top.mm_patch_merge_type}: tiled images are not supported`,
    );
  }
  if (facts.towerConfig === null || facts.towerConfig === undefined) {
    throw new WetreadError(
      'import-option-missing',
      `the config of the vision tower ${top.mm_vision_tower ?? '(not named)'} is not in the checkpoint`,
      {
        hint: `put config.json and preprocessor_config.json of ${top.mm_vision_tower ?? 'the tower'} beside the checkpoint, or name their folder`,
      },
    );
  }
  const feature = top.mm_vision_select_feature;
  if (feature !== 'patch' && feature !== 'cls_patch') {
    return refuse(`config.json: mm_vision_select_feature is ${feature}; patch and cls_patch are known`);
  }
  const tower = parsed(z.looseObject({ vision_config: section.optional() }), facts.towerConfig, "the tower's config.json");
  const given = readVision(tower.vision_config === undefined ? tower : { model_type: 'clip_vision_model', ...tower.vision_config }, {
    layer: top.mm_vision_select_layer,
    dropFirst: feature === 'patch',
    where: "the tower's config.json",
  });
  // `patch` drops the class token; a SigLIP tower has none to drop.
  const vision = { ...given, dropFirst: given.dropFirst && given.kind === 'clip' };
  if (top.mm_hidden_size !== undefined && top.mm_hidden_size !== vision.hiddenSize) {
    return refuse(`mm_hidden_size is ${top.mm_hidden_size} in config.json, the tower's hidden_size is ${vision.hiddenSize}`);
  }
  const read = readDecoder(originalType(top.architectures, top.model_type), top, 'config.json');
  const decoder = { ...read, tiedHead: top.tie_word_embeddings === true };
  const layers = projectorLayers(top.mm_projector_type);
  return {
    form: 'original',
    decoder,
    vision,
    projector: { layers, activation: 'gelu', bias: true, outSize: decoder.hiddenSize },
    imageTokenId: null,
  };
}

/**
 * @param config the parsed config.json
 * @throws architecture-unsupported naming the key, what it says and what is known
 * @throws import-option-missing when an original checkpoint's tower is nowhere
 */
export function readArchitecture(config: unknown, facts: CheckpointFacts): LlavaArchitecture {
  const form = llavaForm(config);
  if (form === 'hf') return readHf(config, facts);
  if (form === 'original') return readOriginal(config, facts);
  return refuse('config.json is not of a llava checkpoint: neither text_config, vision_config nor a Llava architecture is named');
}
