/**
 * The architecture of a MedVInT-TD trainer file: LLaMA from its config.json, everything else from names and shapes of tensors, but the heads of
 * the queries and the side of a ResNet's pictures, which the importer says.
 * Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TD/models/QA_model.py.
 */
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import { expectedShapes, spelt } from '../../checkpoint/spelling.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { type DecoderArchitecture, decoderGraph, embeddingGraph } from '../../onnx/decoder.ts';
import { type GraphFile, tensorNeeds } from '../../onnx/files.ts';
import { readDecoder } from '../hf-decoder.ts';
import { graphFiles } from '../image-decoder.ts';
import { languageFolders } from '../pmc-vqa.ts';
import { type QueryEncoder, queryEncoderGraph, readQueryEncoder } from '../query-encoder.ts';
import { spelling } from './spelling.ts';

export interface MedvintTd {
  readonly decoder: DecoderArchitecture;
  readonly encoder: QueryEncoder;
}

/** The authors cut PMC-CLIP's ResNet behind its third stage. */
const stages = 3;

/** Below the checkpoint, as the authors' scripts have it. */
export const languageRoot = 'LLAMA';
const clipFolder = 'img_checkpoint/CLIP/clip-vit-base-patch32';

export const languageConfig = languageFolders(languageRoot).config;

/** What the importer says beside the files. */
interface Given {
  readonly from: string;
  /** Folder of the CLIP tower's config, where it is not below the checkpoint. */
  readonly tower: string | null;
  readonly imageSize: number | null;
  readonly heads: number | null;
}

/**
 * @param config the language model's config.json, parsed
 * @throws architecture-unsupported, checkpoint-tensors for a tensor that sizes come from, import-option-missing
 */
export async function readArchitecture(config: Record<string, unknown>, source: TensorSource, given: Given): Promise<MedvintTd> {
  if (given.heads === null) {
    throw new WetreadError(
      'import-option-missing',
      'qformerHeads is missing: the attention heads of the learned queries, which no file says',
      {
        hint: 'the authors have 8 with PMC-CLIP and 12 with CLIP: { "qformerHeads": 8 } in wetread.json beside the weights, or in the file that --metadata names',
      },
    );
  }
  const hasHead = source.names.includes(spelt('head.weight', spelling));
  const decoder = { ...readDecoder('llama', config, languageConfig), tiedHead: config.tie_word_embeddings === true && !hasHead };
  const facts = {
    spelling,
    stages,
    heads: given.heads,
    imageSize: given.imageSize,
    clipFolders: [...(given.tower === null ? [] : [given.tower]), join(given.from, clipFolder)],
  };
  return { decoder, encoder: await readQueryEncoder(source, facts, decoder.hiddenSize) };
}

/** The graphs of an architecture, not yet with values. */
export function medvintTdGraphs(a: MedvintTd): readonly GraphFile[] {
  return [
    { file: graphFiles.vision, graph: queryEncoderGraph(a.encoder) },
    { file: graphFiles.embedding, graph: embeddingGraph(a.decoder) },
    { file: graphFiles.decoder, graph: decoderGraph(a.decoder) },
  ];
}

/** Stored, never used to answer: a norm above the rows that are seen, counters, buffers that are computed. */
const dropped = [/^vision_model\.vision_model\.post_layernorm\./, /\.(rotary_emb\.inv_freq|embeddings\.position_ids|num_batches_tracked)$/];

/** @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part */
export function checkMedvintTdTensors(a: MedvintTd, source: TensorSource): void {
  const expected = expectedShapes(tensorNeeds(medvintTdGraphs(a)).values(), spelling);
  checkTensors(expected, source, (name) => dropped.some((pattern) => pattern.test(name)));
}
