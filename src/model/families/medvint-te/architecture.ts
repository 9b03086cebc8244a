/**
 * The architecture of a MedVInT-TE trainer file: LLaMA from its config.json, everything else from names and shapes of tensors, but the heads of
 * queries and fusion, which are constants of the authors' code.
 * Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TE/models/llama/vqa_model.py, models/pmc_oa/blocks.py.
 */
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import { countNumbered, dimensions } from '../../checkpoint/shapes.ts';
import { spelt } from '../../checkpoint/spelling.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { cacheHeadDim, type DecoderArchitecture } from '../../onnx/decoder.ts';
import type { GraphFile } from '../../onnx/files.ts';
import type { ModelSizes } from '../../onnx/sizes.ts';
import { readDecoder } from '../hf-decoder.ts';
import { graphFiles } from '../image-decoder.ts';
import { languageFolders } from '../pmc-vqa.ts';
import { type QueryEncoder, queryEncoderGraph, queryWidth, readQueryEncoder } from '../query-encoder.ts';
import { type Fusion, fusionGraph, marks, textGraph } from './graphs.ts';
import { spelling } from './spelling.ts';

export interface MedvintTe {
  readonly text: DecoderArchitecture;
  readonly encoder: QueryEncoder;
  readonly fusion: Fusion;
  /** Length to which every text is padded. */
  readonly places: number;
}

const queryHeads = 4;
const fusionHeads = 8;
/** All stages of PMC-CLIP's ResNet. */
const stages = 4;

/** Below the checkpoint, as the authors' scripts have it. */
export const languageRoot = 'LLAMA_Model';
const clipFolder = 'openai/clip-vit-base-patch32';

export const languageConfig = languageFolders(languageRoot).config;

function refuse(message: string): never {
  throw new WetreadError('architecture-unsupported', message);
}

/** What the importer says beside the files. */
interface Given {
  readonly from: string;
  /** Folder of the CLIP tower's config, where it is not below the checkpoint. */
  readonly tower: string | null;
  readonly imageSize: number | null;
}

/**
 * @param config the language model's config.json, parsed
 * @throws architecture-unsupported, checkpoint-tensors for a tensor that sizes come from, import-option-missing
 */
export async function readArchitecture(config: unknown, source: TensorSource, given: Given): Promise<MedvintTe> {
  const facts = {
    spelling,
    stages,
    heads: queryHeads,
    imageSize: given.imageSize,
    clipFolders: [...(given.tower === null ? [] : [given.tower]), join(given.from, clipFolder)],
  };
  const encoder = await readQueryEncoder(source, facts, null);
  const size = queryWidth(encoder);
  if (size % fusionHeads !== 0) return refuse(`${fusionHeads} heads cannot share the fusion blocks' ${size} values`);
  const shape = (name: string) => dimensions(source, spelt(name, spelling), 2);
  const [places = 0] = shape('positional_embedding');
  // Rotary positions of the padded text and of the mark behind it; nothing is longer.
  const text = { ...readDecoder('llama', config, languageConfig), tiedHead: false, maxPositions: places + 1 };
  const fusion = {
    size,
    heads: fusionHeads,
    feedForward: shape('fusion.0.mlp.fc1.weight')[0] ?? 0,
    blocks: countNumbered(source.names, spelt('fusion.', spelling)),
    vocabSize: shape('head.projection')[1] ?? 0,
  };
  return { text, encoder, fusion, places };
}

/** The graphs of an architecture, not yet with values. */
export function medvintTeGraphs(a: MedvintTe): readonly GraphFile[] {
  return [
    { file: graphFiles.vision, graph: queryEncoderGraph(a.encoder) },
    { file: graphFiles.embedding, graph: textGraph(a.text, a.fusion) },
    { file: graphFiles.decoder, graph: fusionGraph(a.fusion) },
  ];
}

/** What the engine must know of the graphs: the decoder is the fusion, which keeps no cache. */
export function medvintTeSizes(a: MedvintTe): ModelSizes {
  return {
    hiddenSize: a.fusion.size,
    layers: 0,
    kvHeads: a.text.kvHeads,
    headDim: cacheHeadDim(a.text),
    vocabSize: a.fusion.vocabSize,
    embeddingRows: a.text.vocabSize + marks,
    contextTokens: a.places + 1 + a.encoder.queries.queries,
    visualTokens: a.encoder.queries.queries,
    needs: ['attention'],
  };
}
