/** The three graphs of a model whose tower's rows stand in the decoder's prompt, and what the engine must know of them. */
import { cacheHeadDim, type DecoderArchitecture, decoderGraph, embeddingGraph } from '../onnx/decoder.ts';
import type { GraphFile } from '../onnx/files.ts';
import type { GraphFiles, ModelSizes } from '../onnx/sizes.ts';
import { type ProjectorArchitecture, type VisionArchitecture, visionGraph, visualTokens } from '../onnx/vision-transformer.ts';

/** A tower whose rows stand in a decoder's prompt: what the three graphs are built of. */
export interface ImageDecoder {
  readonly decoder: DecoderArchitecture;
  readonly vision: VisionArchitecture;
  readonly projector: ProjectorArchitecture;
}

export const graphFiles: GraphFiles = {
  vision: 'vision.onnx',
  embedding: 'embedding.onnx',
  decoder: 'decoder.onnx',
  data: 'weights.data',
};

/** The graphs of an architecture, not yet with values. */
export function imageDecoderGraphs(a: ImageDecoder): readonly GraphFile[] {
  return [
    { file: graphFiles.vision, graph: visionGraph(a.vision, a.projector) },
    { file: graphFiles.embedding, graph: embeddingGraph(a.decoder) },
    { file: graphFiles.decoder, graph: decoderGraph(a.decoder) },
  ];
}

/** What the engine must know of a decoder whose prompt holds `visualTokens` rows for each image. */
export function decoderSizes(decoder: DecoderArchitecture, visualTokens: number): ModelSizes {
  return {
    hiddenSize: decoder.hiddenSize,
    layers: decoder.windows.length,
    kvHeads: decoder.kvHeads,
    headDim: cacheHeadDim(decoder),
    vocabSize: decoder.vocabSize,
    contextTokens: decoder.maxPositions,
    visualTokens,
    needs: decoder.windows.some((window) => window !== null) ? ['attention', 'window'] : ['attention'],
  };
}

/** What the engine must know of the graphs. */
export function imageDecoderSizes(a: ImageDecoder): ModelSizes {
  return decoderSizes(a.decoder, visualTokens(a.vision));
}
