/**
 * The configs of a VILA folder as one typed architecture, and its three graphs.
 *
 * Each part keeps a config of its own (`llm/`, `vision_tower/`, `mm_projector/`), and those rule; config.json holds copies of them, and how
 * pictures and hidden states are taken. The order of merged blocks follows from no key: VILA 1.5 and M3 put them column by column, the
 * release after them row by row under the same projector name.
 * Source: NVlabs/VILA 355fda9, llava/model/{llava_arch,multimodal_projector/base_projector,multimodal_encoder/vision_encoder}.py.
 */

import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { type DecoderArchitecture, decoderGraph, embeddingGraph } from '../../onnx/decoder.ts';
import type { GraphFile } from '../../onnx/files.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { encoderGraph, type VisionArchitecture, visualTokens } from '../../onnx/vision-transformer.ts';
import { parsed, refuse } from '../config.ts';
import { readDecoder } from '../hf-decoder.ts';
import { readVision } from '../hf-vision.ts';
import { decoderSizes, graphFiles } from '../image-decoder.ts';
import { blocksPerImage, type MergeOrder, type VilaProjector, vilaProjection } from './projector.ts';

export interface VilaArchitecture {
  readonly decoder: DecoderArchitecture;
  readonly vision: VisionArchitecture;
  readonly projector: VilaProjector;
  readonly aspect: 'resize' | 'pad' | 'processor';
}

/** The parsed config.json of the folder and of its three parts. */
export interface VilaConfigs {
  readonly top: unknown;
  readonly llm: unknown;
  readonly tower: unknown;
  readonly projector: unknown;
}

const topSchema = z.looseObject({
  mm_hidden_size: z.int().positive().nullish(),
  mm_vision_select_layer: z.int().nullish(),
  mm_vision_select_feature: z.string().nullish(),
  image_aspect_ratio: z.string().nullish(),
  // The class default is true, so a config without the key asks for the token.
  mm_use_im_patch_token: z.boolean().default(true),
  mm_use_im_start_end: z.boolean().default(false),
  s2: z.boolean().nullish(),
  transformers_version: z.string().nullish(),
});
type Top = z.infer<typeof topSchema>;

const llmSchema = z.looseObject({
  model_type: z.string().default('llama'),
  tie_word_embeddings: z.boolean().default(false),
  tokenizer_model_max_length: z.int().positive().nullish(),
});

/** Whether a config.json is of a VILA folder; its parts' configs are nested in it. */
export function isVila(config: unknown): boolean {
  const schema = z.looseObject({ model_type: z.string().optional(), architectures: z.array(z.string()).optional() });
  const head = schema.safeParse(config);
  if (!head.success) return false;
  return head.data.architectures?.includes('LlavaLlamaModel') === true || 'llm_cfg' in head.data;
}

function aspectOf(ratio: string | null | undefined): VilaArchitecture['aspect'] {
  if (ratio === 'resize' || ratio === 'pad') return ratio;
  if (ratio?.startsWith('dynamic') === true || ratio?.startsWith('anyres') === true) {
    return refuse(`config.json: image_aspect_ratio is ${ratio}: tiled images are not supported`);
  }
  return 'processor';
}

/** The version of transformers that VILA pinned up to M3; later releases put merged blocks in another order. */
const lastColumnVersion = [4, 37] as const;

function isLater(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [lastMajor, lastMinor] = lastColumnVersion;
  return major > lastMajor || (major === lastMajor && minor > lastMinor);
}

function mergeOrder(top: Top, given: MergeOrder | null): MergeOrder {
  if (given !== null) return given;
  const version = top.transformers_version ?? null;
  if (version === null || !isLater(version)) return 'columns';
  throw new WetreadError(
    'import-option-missing',
    `config.json was written with transformers ${version}, after VILA 1.5 and M3: no file says in which order mlp_downsample puts its blocks`,
    { hint: 'give mergeOrder: "columns" for a model trained with VILA before December 2024, "rows" for a later one' },
  );
}

function readProjector(config: unknown, top: Top, vision: VisionArchitecture, outSize: number, order: MergeOrder | null): VilaProjector {
  const { mm_projector_type: type } = parsed(z.looseObject({ mm_projector_type: z.string() }), config, 'mm_projector/config.json');
  if (type === 'mlp_downsample') {
    const side = Math.sqrt(visualTokens(vision));
    if (Number.isInteger(side)) return { kind: 'merge', side, order: mergeOrder(top, order), outSize };
    return refuse(
      `mm_projector/config.json: mlp_downsample needs a square of rows, the tower gives ${visualTokens(vision)} (mm_vision_select_feature)`,
    );
  }
  if (type === 'linear') return { kind: 'layers', layers: 1, alone: true, outSize };
  const layers = Number(/^mlp(\d+)x_gelu$/.exec(type)?.[1] ?? 0);
  if (layers > 0) return { kind: 'layers', layers, alone: false, outSize };
  return refuse(`mm_projector/config.json: mm_projector_type is ${type}; mlp_downsample, mlpNx_gelu and linear are built`);
}

/**
 * Longest prompt and answer together: what the authors' code cuts at. Their training stretches the rotary positions to it and saves that, so
 * max_position_embeddings, which is the base model's, does not bound it.
 */
function positionsOf(decoder: Omit<DecoderArchitecture, 'tiedHead'>, trained: number | null): number {
  const { scaling } = decoder.rotary;
  return trained ?? (scaling.type === 'linear' ? Math.floor(decoder.maxPositions * scaling.factor) : decoder.maxPositions);
}

/**
 * @param order how merged blocks are ordered, where the importer was told; null = as the config's version says
 * @throws architecture-unsupported naming the file, the key, what it says and what is known
 * @throws import-option-missing when the order of merged blocks cannot be told
 */
export function readArchitecture(configs: VilaConfigs, order: MergeOrder | null): VilaArchitecture {
  const top = parsed(topSchema, configs.top, 'config.json');
  if (top.mm_use_im_patch_token || top.mm_use_im_start_end) {
    return refuse(
      `config.json: mm_use_im_patch_token is ${top.mm_use_im_patch_token}, mm_use_im_start_end ${top.mm_use_im_start_end}; only false is built`,
    );
  }
  if (top.s2 === true) return refuse('config.json: s2 is true: several scales of one image are not supported');
  const feature = top.mm_vision_select_feature ?? 'patch';
  if (feature !== 'patch' && feature !== 'cls_patch') {
    return refuse(`config.json: mm_vision_select_feature is ${feature}; patch and cls_patch are known`);
  }
  const tower = parsed(z.record(z.string(), z.unknown()), configs.tower, 'vision_tower/config.json');
  // `patch` drops the first row whatever it is, as the authors' code does; M3's SigLIP takes `cls_patch`, which drops none.
  const selection = { layer: top.mm_vision_select_layer ?? -2, dropFirst: feature === 'patch', where: 'vision_tower/config.json' };
  const vision = readVision(tower, selection);
  if (typeof top.mm_hidden_size === 'number' && top.mm_hidden_size !== vision.hiddenSize) {
    return refuse(
      `mm_hidden_size is ${top.mm_hidden_size} in config.json, hidden_size is ${vision.hiddenSize} in vision_tower/config.json`,
    );
  }
  const llm = parsed(llmSchema, configs.llm, 'llm/config.json');
  const read = readDecoder(llm.model_type, llm, 'llm/config.json');
  const maxPositions = positionsOf(read, llm.tokenizer_model_max_length ?? null);
  return {
    decoder: { ...read, maxPositions, tiedHead: llm.tie_word_embeddings },
    vision,
    projector: readProjector(configs.projector, top, vision, read.hiddenSize, order),
    aspect: aspectOf(top.image_aspect_ratio),
  };
}

/** The graphs of an architecture, not yet with values. */
export function vilaGraphs(a: VilaArchitecture): readonly GraphFile[] {
  return [
    { file: graphFiles.vision, graph: encoderGraph(a.vision, vilaProjection(a.vision, a.projector)) },
    { file: graphFiles.embedding, graph: embeddingGraph(a.decoder) },
    { file: graphFiles.decoder, graph: decoderGraph(a.decoder) },
  ];
}

/** What the engine must know of the graphs. */
export function vilaSizes({ decoder, vision, projector }: VilaArchitecture): ModelSizes {
  return decoderSizes(decoder, projector.kind === 'merge' ? blocksPerImage(projector) : visualTokens(vision));
}
