/**
 * The architecture of a Med-Flamingo checkpoint: the decoder from the base's config.json, everything else from names and shapes of tensors.
 *
 * What was trained says where the gated layers stand, and how many rows the embedding has: those of the base and the tokens that were added.
 * Source: mlfoundations/open_flamingo 0.0.2 factory.py, flamingo.py, flamingo_lm.py; snap-stanford/med-flamingo at b3c1e64.
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { refuseMisfit } from '../../checkpoint/misfit.ts';
import { countNumbered, dimensions } from '../../checkpoint/shapes.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { type DecoderArchitecture, decoderGraph, embeddingGraph } from '../../onnx/decoder.ts';
import type { GraphFile } from '../../onnx/files.ts';
import type { Graph } from '../../onnx/graph.ts';
import { layerNorm } from '../../onnx/layers.ts';
import { type Perceiver, perceive } from '../../onnx/perceiver.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { encoderGraph, type VisionArchitecture } from '../../onnx/vision-transformer.ts';
import { readDecoder } from '../hf-decoder.ts';
import { decoderSizes, graphFiles } from '../image-decoder.ts';
import { crossAttention, type GatedLayer } from './cross-attention.ts';

export interface FlamingoArchitecture {
  readonly vision: VisionArchitecture;
  readonly perceiver: Perceiver;
  readonly gated: readonly GatedLayer[];
  readonly decoder: DecoderArchitecture;
  /** Rows of the head; the embedding may have more, for the tokens that were added, and their logits are 0. */
  readonly headRows: number;
}

const perceiverEpsilon = 1e-5;
const trained = 'lang_encoder.gated_cross_attn_layers.';
export const embedding = 'lang_encoder.model.embed_tokens.weight';
export const head = 'lm_head.weight';

const configSchema = z.looseObject({ model_type: z.string().default('llama'), tie_word_embeddings: z.boolean().default(false) });

type Shapes = Pick<TensorSource, 'names' | 'info'>;

function refuse(message: string): never {
  throw new WetreadError('architecture-unsupported', message);
}

/** Layers that have a gated block before them, in order. @throws checkpoint-tensors when there is none or one is beyond the decoder's layers */
function readGated(source: Shapes, layers: number): GatedLayer[] {
  const numbers = source.names.flatMap((name) => (name.startsWith(trained) ? [Number.parseInt(name.slice(trained.length), 10)] : []));
  const places = [...new Set(numbers)].sort((a, b) => a - b);
  if (places.length === 0) refuseMisfit({ missing: [`${trained}N.*`], misshapen: [], extra: [] });
  const beyond = places.filter((layer) => !(layer < layers));
  if (beyond.length > 0) {
    return refuse(`${beyond.map((layer) => trained + layer).join(', ')} stand before layers that the base, which has ${layers}, lacks`);
  }
  return places.map((layer) => ({ layer, feedForward: dimensions(source, `${trained}${layer}.ff.1.weight`, 2)[0] ?? 0 }));
}

/** Rows of the head: of the base, or of the embedding where the checkpoint has a head of its own. */
function readHeadRows(source: Shapes, { tiedHead, vocabSize }: DecoderArchitecture, baseVocab: number): number {
  if (tiedHead || (source.names.includes(head) && source.info(head).shape[0] === vocabSize)) return vocabSize;
  if (baseVocab <= vocabSize) return baseVocab;
  return refuse(`the base has ${baseVocab} tokens, ${embedding} ${vocabSize} rows: they are not of one checkpoint`);
}

/**
 * @param config the base's parsed config.json
 * @param source trained part, base and tower in one, by their authors' names
 * @throws architecture-unsupported; checkpoint-tensors for a tensor that sizes come from
 */
export function readArchitecture(config: unknown, vision: VisionArchitecture, source: Shapes): FlamingoArchitecture {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) return refuse(`config.json of the base: ${z.prettifyError(parsed.error).replaceAll('\n', ' ')}`);
  const { model_type: type, tie_word_embeddings: tiedHead } = parsed.data;
  if (type !== 'llama') return refuse(`config.json of the base: decoder ${type} is not built; llama is`);
  const base = readDecoder(type, parsed.data, 'config.json of the base');
  const [vocabSize = 0] = dimensions(source, embedding, 2);
  const decoder = { ...base, vocabSize, tiedHead };
  return {
    vision,
    perceiver: {
      width: vision.hiddenSize,
      latents: dimensions(source, 'perceiver.latents', 2)[0] ?? 0,
      layers: countNumbered(source.names, 'perceiver.layers.'),
      feedForward: dimensions(source, 'perceiver.layers.0.1.1.weight', 2)[0] ?? 0,
    },
    gated: readGated(source, base.windows.length),
    decoder,
    headRows: readHeadRows(source, decoder, base.vocabSize),
  };
}

export function flamingoGraphs(a: FlamingoArchitecture): readonly GraphFile[] {
  const { decoder, perceiver } = a;
  const norm = { size: perceiver.width, epsilon: perceiverEpsilon };
  const resampler = {
    rows: perceiver.latents,
    outSize: perceiver.width,
    add: (graph: Graph, vision: string) =>
      perceive(graph, perceiver, vision, (within, rows, name, from) => layerNorm(within, rows, name, from, norm)),
  };
  const media = { mediaWidth: perceiver.width, mediaRows: perceiver.latents, hiddenSize: decoder.hiddenSize, layers: a.gated };
  return [
    { file: graphFiles.vision, graph: encoderGraph(a.vision, resampler) },
    { file: graphFiles.embedding, graph: embeddingGraph(decoder) },
    { file: graphFiles.decoder, graph: decoderGraph(decoder, crossAttention(media)) },
  ];
}

export function flamingoSizes({ decoder, perceiver }: FlamingoArchitecture): ModelSizes {
  return { ...decoderSizes(decoder, perceiver.latents), mediaWidth: perceiver.width };
}
