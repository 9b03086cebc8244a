/**
 * The config of a Gemma 3 checkpoint (MedGemma among them) as one typed architecture, with the HF class defaults: text_config may leave out
 * whatever equals them. Newer saves say `layer_types` and `rope_parameters` where older ones have a pattern and two bases; the newer win.
 * Source: transformers configuration_gemma3.py.
 */

import { z } from 'zod';
import type { GraphFile } from '../../onnx/files.ts';
import type { Graph } from '../../onnx/graph.ts';
import type { Rotary } from '../../onnx/rotary.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { encoderGraph, type Projection, type VisionArchitecture } from '../../onnx/vision-transformer.ts';
import { parsed, refuse } from '../config.ts';
import { readVision } from '../hf-vision.ts';
import { graphFiles } from '../image-decoder.ts';
import { type GemmaDecoder, gemmaDecoder, gemmaEmbedding } from './decoder.ts';

export interface GemmaArchitecture {
  readonly decoder: GemmaDecoder;
  readonly vision: VisionArchitecture;
  /** Decoder rows per image, a square number. */
  readonly imageRows: number;
  readonly tokens: { readonly image: number; readonly start: number; readonly end: number };
}

const size = z.int().positive();
const section = z.record(z.string(), z.unknown());
const positive = z.number().positive();
const ropeSchema = z.looseObject({
  rope_type: z.string().optional(),
  type: z.string().optional(),
  factor: positive.optional(),
  rope_theta: positive.optional(),
});

const topSchema = z.looseObject({
  text_config: section,
  vision_config: section.default({}),
  mm_tokens_per_image: size.default(256),
  boi_token_index: z.int().nonnegative().default(255_999),
  eoi_token_index: z.int().nonnegative().default(256_000),
  image_token_index: z.int().nonnegative().default(262_144),
  tie_word_embeddings: z.boolean().nullish(),
});

const textSchema = z.looseObject({
  vocab_size: size.default(262_208),
  hidden_size: size.default(2304),
  intermediate_size: size.default(9216),
  num_hidden_layers: size.default(26),
  num_attention_heads: size.default(8),
  num_key_value_heads: size.default(4),
  head_dim: size.default(256),
  query_pre_attn_scalar: positive.default(256),
  rms_norm_eps: positive.default(1e-6),
  max_position_embeddings: size.default(131_072),
  sliding_window: size.default(4096),
  sliding_window_pattern: size.default(6),
  layer_types: z.array(z.enum(['full_attention', 'sliding_attention'])).nullish(),
  rope_theta: positive.default(1e6),
  rope_local_base_freq: positive.default(1e4),
  rope_scaling: ropeSchema.nullish(),
  rope_parameters: z.looseObject({ full_attention: ropeSchema, sliding_attention: ropeSchema }).nullish(),
  hidden_activation: z.literal('gelu_pytorch_tanh').default('gelu_pytorch_tanh'),
  attention_bias: z.literal(false).default(false),
  attn_logit_softcapping: z.null().default(null),
  final_logit_softcapping: z.null().default(null),
  use_bidirectional_attention: z.literal(false).nullish(),
  tie_word_embeddings: z.literal(true).default(true),
});
type Text = z.infer<typeof textSchema>;

/** Whether a parsed config.json is of this family. */
export function isGemma3(config: unknown): boolean {
  const head = z.looseObject({ model_type: z.string().optional(), architectures: z.array(z.string()).optional() }).safeParse(config);
  if (!head.success) return false;
  return head.data.model_type === 'gemma3' || head.data.architectures?.includes('Gemma3ForConditionalGeneration') === true;
}

function rotaryOf(keys: z.infer<typeof ropeSchema>, theta: number, where: string): Rotary {
  const type = keys.rope_type ?? keys.type ?? 'default';
  const own = keys.rope_theta ?? theta;
  if (type === 'default') return { theta: own, scaling: { type: 'none' } };
  if (type === 'linear' && keys.factor !== undefined) return { theta: own, scaling: { type: 'linear', factor: keys.factor } };
  return refuse(`${where}: rotary scaling ${type} with the factor ${keys.factor ?? 'not given'} is not built; default and linear are`);
}

function windowsOf(text: Text): (number | null)[] {
  const { layer_types: types, num_hidden_layers: layers, sliding_window_pattern: pattern } = text;
  if (types && types.length !== layers) return refuse(`text_config: layer_types has ${types.length} entries for ${layers} layers`);
  return Array.from({ length: layers }, (_, layer) => {
    const isFull = types ? types[layer] === 'full_attention' : (layer + 1) % pattern === 0;
    return isFull ? null : text.sliding_window;
  });
}

function readDecoder(text: Text): GemmaDecoder {
  const { num_attention_heads: heads, num_key_value_heads: kvHeads, head_dim: headDim } = text;
  if (heads % kvHeads !== 0) return refuse(`text_config: ${heads} query heads cannot share ${kvHeads} key-value heads`);
  if (headDim % 2 !== 0) return refuse(`text_config: head_dim is ${headDim}; an even number is needed`);
  const rope = text.rope_parameters;
  return {
    hiddenSize: text.hidden_size,
    intermediateSize: text.intermediate_size,
    heads,
    kvHeads,
    headDim,
    normEpsilon: text.rms_norm_eps,
    vocabSize: text.vocab_size,
    maxPositions: text.max_position_embeddings,
    scoreScale: text.query_pre_attn_scalar ** -0.5,
    rotary: {
      full: rotaryOf(rope?.full_attention ?? text.rope_scaling ?? {}, text.rope_theta, 'text_config, full layers'),
      sliding: rotaryOf(rope?.sliding_attention ?? {}, text.rope_local_base_freq, 'text_config, sliding layers'),
    },
    windows: windowsOf(text),
  };
}

const side = (a: VisionArchitecture) => Math.floor(a.imageSize / a.patchSize);

/**
 * @param config the parsed config.json
 * @throws architecture-unsupported naming the key, what it says and what is known
 */
export function readArchitecture(config: unknown): GemmaArchitecture {
  const top = parsed(topSchema, config, 'config.json');
  if (top.tie_word_embeddings === false) return refuse('config.json: tie_word_embeddings is false; only a tied head is built');
  const given = { model_type: 'siglip_vision_model', ...top.vision_config };
  if (given.model_type !== 'siglip_vision_model') {
    return refuse(`vision_config: model_type is ${given.model_type}; siglip_vision_model is built`);
  }
  const vision = { ...readVision(given, { layer: -1, dropFirst: false, where: 'vision_config' }), postNorm: true };
  const root = Math.sqrt(top.mm_tokens_per_image);
  if (!Number.isInteger(root) || side(vision) % root !== 0) {
    return refuse(
      `config.json: mm_tokens_per_image is ${top.mm_tokens_per_image}; the square of a divisor of ${side(vision)} patches per side is needed`,
    );
  }
  return {
    decoder: readDecoder(parsed(textSchema, top.text_config, 'text_config')),
    vision,
    imageRows: top.mm_tokens_per_image,
    tokens: { image: top.image_token_index, start: top.boi_token_index, end: top.eoi_token_index },
  };
}

/** Patches averaged over squares, normed, and multiplied by a matrix that is stored [vision, text]. */
function pooling({ vision, decoder, imageRows }: GemmaArchitecture): Projection {
  const { hiddenSize: into, normEpsilon } = vision;
  const outSize = decoder.hiddenSize;
  return {
    rows: imageRows,
    outSize,
    add(graph: Graph, rows: string): string {
      const kernel = { ints: new Array<number>(2).fill(side(vision) / Math.sqrt(imageRows)) };
      const swap = { perm: { ints: [0, 2, 1] } };
      graph.integers('pool.grid', [0, into, side(vision), side(vision)]);
      graph.integers('pool.flat', [0, into, imageRows]);
      graph.op('Reshape', [graph.op('Transpose', [rows], 'pool.columns', swap), 'pool.grid'], 'pool.patches');
      graph.op('AveragePool', ['pool.patches'], 'pool.means', { kernel_shape: kernel, strides: kernel });
      graph.op('Transpose', [graph.op('Reshape', ['pool.means', 'pool.flat'], 'pool.rows')], 'pooled', swap);
      const norm = { name: 'projector.mm_soft_emb_norm.weight', shape: [into] };
      graph.op(
        'SimplifiedLayerNormalization',
        ['pooled', graph.weight('pool.norm', [into], { kind: 'stored', tensors: [norm] })],
        'pool.normed',
        {
          axis: { int: -1 },
          epsilon: { float: normEpsilon },
          stash_type: { int: 1 },
        },
      );
      const matrix = { name: 'projector.mm_input_projection_weight', shape: [into, outSize] };
      return graph.op(
        'MatMul',
        ['pool.normed', graph.weight('pool.matrix', matrix.shape, { kind: 'stored', tensors: [matrix] })],
        'projected',
      );
    },
  };
}

/** The graphs of an architecture, not yet with values. */
export function gemmaGraphs(a: GemmaArchitecture): readonly GraphFile[] {
  return [
    { file: graphFiles.vision, graph: encoderGraph(a.vision, pooling(a)) },
    { file: graphFiles.embedding, graph: gemmaEmbedding(a.decoder) },
    { file: graphFiles.decoder, graph: gemmaDecoder(a.decoder) },
  ];
}

/** What the engine must know of the graphs; the one axis of positions is what each row sees. */
export function gemmaSizes({ decoder, imageRows }: GemmaArchitecture): ModelSizes {
  return {
    hiddenSize: decoder.hiddenSize,
    layers: decoder.windows.length,
    kvHeads: decoder.kvHeads,
    headDim: decoder.headDim,
    vocabSize: decoder.vocabSize,
    contextTokens: decoder.maxPositions,
    visualTokens: imageRows,
    positionAxes: 1,
    needs: ['attention'],
  };
}
