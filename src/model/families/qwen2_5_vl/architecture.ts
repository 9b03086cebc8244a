/**
 * The config of a Qwen2.5-VL checkpoint (Lingshu is one) as one typed architecture, and its three graphs.
 *
 * Published files are flat, the decoder's keys beside vision_config; newer saves nest them in text_config. A missing key means the class
 * default, which is not what any published model has: rms_norm_eps 1e-5, vision hidden_size 3584.
 * Source: transformers models/qwen2_5_vl/configuration_qwen2_5_vl.py.
 */

import { z } from 'zod';
import { type DecoderArchitecture, decoderGraph, embeddingGraph } from '../../onnx/decoder.ts';
import type { GraphFile } from '../../onnx/files.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { parsed, refuse } from '../config.ts';
import { readDecoder } from '../hf-decoder.ts';
import { decoderSizes, graphFiles } from '../image-decoder.ts';
import { type PatchEncoder, patchEncoderGraph } from './patch-encoder.ts';

export interface QwenArchitecture {
  readonly decoder: DecoderArchitecture;
  readonly vision: PatchEncoder;
  /** Side of a window in merged units. */
  readonly windowUnits: number;
  readonly tokens: { readonly image: number; readonly start: number; readonly end: number };
}

const count = z.int().positive();
const section = z.record(z.string(), z.unknown());

const topSchema = z.looseObject({
  text_config: section.optional(),
  vision_config: section.default({}),
  image_token_id: z.int().nonnegative().default(151655),
  vision_start_token_id: z.int().nonnegative().default(151652),
  vision_end_token_id: z.int().nonnegative().default(151653),
  tie_word_embeddings: z.boolean().optional(),
});

/** Class defaults of the decoder, where they differ from Qwen2's. */
const decoderDefaults = {
  vocab_size: 152064,
  hidden_size: 8192,
  intermediate_size: 29568,
  num_hidden_layers: 80,
  num_attention_heads: 64,
  num_key_value_heads: 8,
  max_position_embeddings: 32768,
  rms_norm_eps: 1e-5,
  max_window_layers: 80,
};
const defaultTheta = 1_000_000;

const ropeSchema = z.looseObject({
  type: z.string().optional(),
  rope_type: z.string().optional(),
  rope_theta: z.number().positive().optional(),
  mrope_section: z.array(count).length(3),
});

const visionSchema = z.looseObject({
  depth: count.default(32),
  hidden_size: count.default(3584),
  hidden_act: z.string().default('silu'),
  intermediate_size: count.default(3420),
  num_heads: count.default(16),
  in_channels: z.literal(3).default(3),
  patch_size: count.default(14),
  spatial_merge_size: count.default(2),
  temporal_patch_size: count.default(2),
  window_size: count.default(112),
  out_hidden_size: count.default(3584),
  fullatt_block_indexes: z.array(z.int().nonnegative()).default([7, 15, 23, 31]),
});

const headSchema = z.looseObject({ model_type: z.string().optional(), architectures: z.array(z.string()).optional() });

/** Whether a parsed config.json is of this family. */
export function isQwen(config: unknown): boolean {
  const head = headSchema.safeParse(config);
  if (!head.success) return false;
  return head.data.model_type === 'qwen2_5_vl' || head.data.architectures?.includes('Qwen2_5_VLForConditionalGeneration') === true;
}

/** `mrope` is no scaling: it says that there are three axes. */
function readText(text: Record<string, unknown>, where: string, tiedHead: boolean): DecoderArchitecture {
  const key = text.rope_parameters ? 'rope_parameters' : 'rope_scaling';
  const rope = parsed(ropeSchema, text[key] ?? {}, `${where}.${key}`);
  const type = rope.rope_type ?? rope.type ?? 'default';
  const theta = rope.rope_theta ?? text.rope_theta ?? defaultTheta;
  const decoder = readDecoder(
    'qwen2',
    { ...decoderDefaults, ...text, rope_parameters: { ...rope, rope_theta: theta, rope_type: type === 'mrope' ? 'default' : type } },
    where,
  );
  const sum = rope.mrope_section.reduce((total, part) => total + part, 0);
  if (sum * 2 !== decoder.headDim) {
    return refuse(`${where}.${key}: mrope_section has ${sum} frequencies in sum, a head of ${decoder.headDim} has ${decoder.headDim / 2}`);
  }
  return { ...decoder, tiedHead, positionSections: rope.mrope_section };
}

function readVision(given: unknown, outSize: number): { readonly vision: PatchEncoder; readonly windowUnits: number } {
  const where = 'config.json: vision_config';
  const keys = parsed(visionSchema, given, where);
  const headDim = keys.hidden_size / keys.num_heads;
  const windowUnits = Math.floor(Math.floor(keys.window_size / keys.spatial_merge_size) / keys.patch_size);
  if (keys.hidden_act !== 'silu') return refuse(`${where}: hidden_act is ${keys.hidden_act}; only silu is built`);
  if (headDim % 4 !== 0) {
    return refuse(
      `${where}: hidden_size ${keys.hidden_size} and ${keys.num_heads} heads give a head size of ${headDim}; a multiple of 4 is needed`,
    );
  }
  if (windowUnits < 1) return refuse(`${where}: window_size ${keys.window_size} is less than one merged unit`);
  if (keys.out_hidden_size !== outSize) {
    return refuse(`${where}: out_hidden_size is ${keys.out_hidden_size}, the decoder's hidden_size is ${outSize}`);
  }
  const full = new Set(keys.fullatt_block_indexes);
  const vision: PatchEncoder = {
    hiddenSize: keys.hidden_size,
    intermediateSize: keys.intermediate_size,
    heads: keys.num_heads,
    blocks: Array.from({ length: keys.depth }, (_, index) => (full.has(index) ? 'picture' : 'window')),
    patch: keys.patch_size,
    temporal: keys.temporal_patch_size,
    merge: keys.spatial_merge_size,
    outSize,
  };
  return { vision, windowUnits };
}

/**
 * @param config the parsed config.json
 * @param hasHead whether the checkpoint holds a head; it decides where the config contradicts itself about tied embeddings
 * @throws architecture-unsupported naming the key, what it says and what is known
 */
export function readArchitecture(config: unknown, hasHead: boolean): QwenArchitecture {
  const top = parsed(topSchema, config, 'config.json');
  const text = top.text_config ?? top;
  const claims = [top.tie_word_embeddings, text.tie_word_embeddings].filter((claim) => typeof claim === 'boolean');
  const tied = claims.includes(true) && (!claims.includes(false) || !hasHead);
  const decoder = readText(text, top.text_config === undefined ? 'config.json' : 'config.json: text_config', tied);
  return {
    decoder,
    ...readVision(top.vision_config, decoder.hiddenSize),
    tokens: { image: top.image_token_id, start: top.vision_start_token_id, end: top.vision_end_token_id },
  };
}

/** The graphs of an architecture, not yet with values. */
export function qwenGraphs(a: QwenArchitecture): readonly GraphFile[] {
  return [
    { file: graphFiles.vision, graph: patchEncoderGraph(a.vision) },
    { file: graphFiles.embedding, graph: embeddingGraph(a.decoder) },
    { file: graphFiles.decoder, graph: decoderGraph(a.decoder) },
  ];
}

/** What the engine must know of the graphs. @param visualTokens decoder rows of the largest picture */
export function qwenSizes(a: QwenArchitecture, visualTokens: number): ModelSizes {
  return { ...decoderSizes(a.decoder, visualTokens), positionAxes: 3 };
}
