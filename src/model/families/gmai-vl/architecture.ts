/**
 * The config of a GMAI-VL checkpoint (XTuner's `enhanced_llava`: a fork of HF's Llava with an InternLM2 decoder) as one typed architecture.
 *
 * It calls its architecture by HF's name, LlavaForConditionalGeneration: only model_type or the decoder's type tell them apart.
 * Source: the authors' xtuner/_lite/modelings/llava/configuration_llava.py.
 */
import { z } from 'zod';
import { activations } from '../../onnx/layers.ts';
import { parsed, refuse } from '../config.ts';
import { readVision } from '../hf-vision.ts';
import type { ImageDecoder } from '../image-decoder.ts';
import { readDecoder } from './decoder-config.ts';

export interface GmaiVlArchitecture extends ImageDecoder {
  readonly imageTokenId: number;
  /** The token whose rows the authors' merge step blanks; null = none. Only the top level's counts, not text_config's. */
  readonly zeroRowId: number | null;
}

const section = z.record(z.string(), z.unknown());
const schema = z.looseObject({
  text_config: section,
  vision_config: section.optional(),
  // The class default is no image token of InternLM2; the importer compares it with the tokenizer.
  image_token_index: z.int().nonnegative().default(32000),
  pad_token_id: z.int().nullish(),
  projector_hidden_act: z.string().default('gelu'),
  vision_feature_layer: z.int().default(-2),
  vision_feature_select_strategy: z.enum(['default', 'full']).default('default'),
});

const headSchema = z.looseObject({
  model_type: z.string().optional(),
  text_config: z.looseObject({ model_type: z.string().optional() }).optional(),
});

/** Whether a parsed config.json is of this family. */
export function isGmaiVl(config: unknown): boolean {
  const head = headSchema.safeParse(config);
  if (!head.success) return false;
  const { model_type: type, text_config: text } = head.data;
  return type === 'enhanced_llava' || (type === 'llava' && text?.model_type === 'internlm2');
}

/**
 * @param config the parsed config.json
 * @throws architecture-unsupported naming the key, what it says and what is known
 */
export function readArchitecture(config: unknown): GmaiVlArchitecture {
  const top = parsed(schema, config, 'config.json');
  const activation = activations.find((name) => name === top.projector_hidden_act);
  if (activation === undefined)
    return refuse(`config.json: projector_hidden_act is ${top.projector_hidden_act}; ${activations.join(', ')} are known`);
  const decoder = readDecoder(top.text_config);
  const dropFirst = top.vision_feature_select_strategy === 'default';
  const pad = top.pad_token_id ?? -1;
  return {
    decoder,
    // The whole section missing means ViT-L/14 at 336; a missing key means the class default of its type.
    vision: readVision(top.vision_config ?? 'large', { layer: top.vision_feature_layer, dropFirst, where: 'vision_config' }),
    projector: { layers: 2, activation, bias: true, outSize: decoder.hiddenSize },
    imageTokenId: top.image_token_index,
    zeroRowId: pad < 0 ? null : pad,
  };
}
