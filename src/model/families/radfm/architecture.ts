/**
 * The architecture of a RadFM checkpoint: the decoder from Language_files/config.json, everything else from names and shapes of tensors,
 * because the authors' constructor holds the sizes and no file does.
 *
 * The surprise: 8 heads of 64 whatever the width is, so attention is 512 wide and width / heads means nothing.
 * Source: chaoyi-wu/RadFM, Quick_demo/Model/RadFM/{multimodality_model,my_embedding_layer,vit_3d,helpers}.py.
 */

import { z } from 'zod';
import { countNumbered, dimensions } from '../../checkpoint/shapes.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { type DecoderArchitecture, decoderGraph, embeddingGraph } from '../../onnx/decoder.ts';
import type { GraphFile } from '../../onnx/files.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { refuse } from '../config.ts';
import { readDecoder } from '../hf-decoder.ts';
import { decoderSizes, graphFiles } from '../image-decoder.ts';
import { attentionWidth, channels, framePatch, type VolumeEncoder, volumeGraph } from './volume-encoder.ts';

export interface RadfmArchitecture {
  readonly decoder: DecoderArchitecture;
  readonly encoder: VolumeEncoder;
}

/** The marks before and after an image: rows of the embedding that the head does not have. */
export const imageMarks = 2;

/** Where the config lies: the authors keep it beside the weights, with the tokenizer. */
export const languageFolder = 'Language_files';

const configSchema = z.looseObject({ model_type: z.string().optional() });

/** Whether Language_files/config.json (parsed) is of this family. */
export function isRadfm(config: unknown): boolean {
  const parsed = configSchema.safeParse(config);
  return parsed.success && parsed.data.model_type === 'llama';
}

const embedding = 'embedding_layer.';

function readEncoder(source: TensorSource, outSize: number): VolumeEncoder {
  const at = (name: string, rank: number, axis: number) => dimensions(source, embedding + name, rank)[axis] ?? 0;
  const vision = 'vision_encoder.';
  const patchVector = at(`${vision}to_patch_embedding.2.weight`, 2, 1);
  const patchSize = Math.sqrt(patchVector / (channels * framePatch));
  if (!Number.isInteger(patchSize)) {
    return refuse(`a patch vector of ${patchVector} values is no square of ${channels} channels and ${framePatch} slices`);
  }
  const table = (axis: string) => dimensions(source, `${embedding}${vision}pos_embedding.${axis}_embed.weight`, 2);
  const [rows = 0, rowWidth = 0] = table('row');
  const [columns = 0, columnWidth = 0] = table('col');
  const [slices = 0, sliceWidth = 0] = table('dep');
  const width = at(`${vision}to_patch_embedding.2.weight`, 2, 0);
  if (rowWidth + columnWidth + sliceWidth !== width) {
    return refuse(`position rows of ${rowWidth}, ${columnWidth} and ${sliceWidth} values together are not the encoder's width ${width}`);
  }
  if (rows !== columns) return refuse(`the position tables hold ${rows} rows and ${columns} columns; pictures are square`);
  const inner = at(`${vision}transformer.layers.0.0.fn.to_qkv.weight`, 2, 0);
  if (inner !== 3 * attentionWidth) return refuse(`to_qkv has ${inner} rows; 3 x 8 heads of 64 are ${3 * attentionWidth}`);
  return {
    width,
    patchSize,
    tables: { row: [rows, rowWidth], col: [columns, columnWidth], dep: [slices, sliceWidth] },
    layers: countNumbered(source.names, `${embedding}${vision}transformer.layers.`),
    feedForward: at(`${vision}transformer.layers.0.1.fn.net.0.weight`, 2, 0),
    perceiver: {
      width,
      latents: at('perceiver.latents', 2, 0),
      layers: countNumbered(source.names, `${embedding}perceiver.layers.`),
      feedForward: at('perceiver.layers.0.1.1.weight', 2, 0),
    },
    outSize,
  };
}

/**
 * @param config the parsed Language_files/config.json
 * @throws architecture-unsupported naming what was found and what is known; checkpoint-tensors for a tensor that sizes come from
 */
export function readArchitecture(config: Record<string, unknown>, source: TensorSource): RadfmArchitecture {
  const read = readDecoder('llama', config, 'config.json');
  // The head is stored apart from the embedding, whatever the config says of tying.
  const decoder = { ...read, tiedHead: false };
  return { decoder, encoder: readEncoder(source, decoder.hiddenSize) };
}

/** The graphs of an architecture, not yet with values. */
export function radfmGraphs(a: RadfmArchitecture): readonly GraphFile[] {
  return [
    { file: graphFiles.vision, graph: volumeGraph(a.encoder) },
    { file: graphFiles.embedding, graph: embeddingGraph({ ...a.decoder, vocabSize: a.decoder.vocabSize + imageMarks }) },
    { file: graphFiles.decoder, graph: decoderGraph(a.decoder) },
  ];
}

/** What the engine must know of the graphs. */
export function radfmSizes(a: RadfmArchitecture): ModelSizes {
  return { ...decoderSizes(a.decoder, a.encoder.perceiver.latents), embeddingRows: a.decoder.vocabSize + imageMarks };
}
