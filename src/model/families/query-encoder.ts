/**
 * A picture encoder whose rows learned queries look at: PMC-CLIP's ResNet or a CLIP tower, a linear layer where widths differ, the queries,
 * and linear layers behind them. The rows of an image are as many as there are queries.
 *
 * Sizes come from tensors; the CLIP tower's heads are in its config alone, and its picture's side only in its position table, because the
 * authors exchange the table and keep the config. Source: xiaoman-zhang/PMC-VQA at 1678ec2, src/MedVInT_TD, src/MedVInT_TE.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { countNumbered, dimensions } from '../checkpoint/shapes.ts';
import { type Spelling, spelt } from '../checkpoint/spelling.ts';
import type { TensorSource } from '../checkpoint/tensors.ts';
import { readJson } from '../json.ts';
import type { Graph } from '../onnx/graph.ts';
import { linear } from '../onnx/layers.ts';
import { type ModifiedResnet, resnetGraph, resnetSide, resnetWidth } from '../onnx/modified-resnet.ts';
import { type QueryDecoder, queryRows } from '../onnx/query-decoder.ts';
import { encoderGraph, type ProjectorArchitecture, project, type VisionArchitecture } from '../onnx/vision-transformer.ts';
import type { Processor } from '../preprocess/processor.ts';
import { readVision } from './hf-vision.ts';

export type PictureTower =
  | { readonly kind: 'clip'; readonly vision: VisionArchitecture }
  | { readonly kind: 'resnet'; readonly resnet: ModifiedResnet };

export interface QueryEncoder {
  readonly tower: PictureTower;
  /** A linear layer brings the tower's rows to the queries' width. */
  readonly embeds: boolean;
  readonly queries: QueryDecoder;
  /** null = the queries' rows are the image's. */
  readonly projector: ProjectorArchitecture | null;
}

type Shapes = Pick<TensorSource, 'names' | 'info'>;

function refuse(message: string): never {
  throw new WetreadError('architecture-unsupported', message);
}

/** Width of the tower's rows. */
function towerWidth(tower: PictureTower): number {
  return tower.kind === 'clip' ? tower.vision.hiddenSize : resnetWidth(tower.resnet);
}

/** Side of the pictures in pixels. */
export function pictureSide({ tower }: QueryEncoder): number {
  return tower.kind === 'clip' ? tower.vision.imageSize : tower.resnet.imageSize;
}

/** Width of an image's rows. */
export function queryWidth({ queries, projector }: QueryEncoder): number {
  return projector?.outSize ?? queries.size;
}

/** `vision` are the tower's rows, `features` [images, queries, width] those of the queries behind the projector. */
export function queryEncoderGraph(a: QueryEncoder): Graph {
  const { tower, queries, projector } = a;
  const width = towerWidth(tower);
  const projection = {
    rows: queries.queries,
    outSize: queryWidth(a),
    add(graph: Graph, vision: string) {
      const seen = a.embeds ? linear(graph, vision, 'embedded.rows', 'vision_embed', { into: width, out: queries.size }) : vision;
      const rows = queryRows(graph, queries, seen);
      return projector === null ? rows : project(graph, projector, rows, queries.size);
    },
  };
  return tower.kind === 'clip' ? encoderGraph(tower.vision, projection) : resnetGraph(tower.resnet, projection);
}

const sectionSchema = z.record(z.string(), z.unknown());
const configSchema = z.looseObject({ vision_config: sectionSchema.optional() });

/** CLIP's config.json in the first folder that has one. @throws import-option-missing where none has */
async function clipConfig(folders: readonly string[]): Promise<Record<string, unknown>> {
  const folder = folders.find((candidate) => existsSync(join(candidate, 'config.json')));
  if (folder !== undefined) {
    const config = await readJson(join(folder, 'config.json'), configSchema, 'architecture-unsupported');
    return config.vision_config ?? config;
  }
  throw new WetreadError('import-option-missing', "the CLIP tower's config.json is not beside the weights: no tensor says its heads", {
    hint: 'put config.json of openai/clip-vit-base-patch32 where the authors have it, or name its folder with --tower',
  });
}

function readClip(config: Record<string, unknown>, source: Shapes, name: (ours: string) => string): VisionArchitecture {
  const given = readVision(
    { model_type: 'clip_vision_model', ...config },
    { layer: -1, dropFirst: true, where: "the tower's config.json" },
  );
  if (given.kind !== 'clip') return refuse("the tower's config.json is of SigLIP; CLIP is what the authors have");
  const [rows = 0] = dimensions(source, name('vision.embeddings.position_embedding.weight'), 2);
  const side = Math.sqrt(rows - 1);
  if (!Number.isInteger(side) || side === 0)
    return refuse(`the tower's position table has ${rows} rows; a square and one more are expected`);
  return { ...given, imageSize: side * given.patchSize };
}

function readResnet(stages: number, imageSize: number, source: Shapes, name: (ours: string) => string): ModifiedResnet {
  const size = (ours: string, axis: number) => dimensions(source, name(ours), 4)[axis] ?? 0;
  const read = Array.from({ length: stages }, (_, stage) => {
    const at = `vision.stages.${stage}.`;
    return Array.from({ length: countNumbered(source.names, name(at)) }, (__, n) => {
      const into = size(`${at}${n}.conv1.weight`, 1);
      const out = size(`${at}${n}.conv3.weight`, 0);
      return { into, inner: size(`${at}${n}.conv1.weight`, 0), out, shortcut: (stage > 0 && n === 0) || into !== out };
    });
  });
  return {
    channels: size('vision.stem.conv1.weight', 1),
    stem: [size('vision.stem.conv1.weight', 0), size('vision.stem.conv2.weight', 0), size('vision.stem.conv3.weight', 0)],
    stages: read,
    imageSize,
  };
}

/** What no tensor says. */
export interface EncoderFacts {
  readonly spelling: Spelling;
  /** Stages of the ResNet that the authors keep. */
  readonly stages: number;
  readonly heads: number;
  /** Side of the pictures, which a ResNet takes in any size; null = not given. */
  readonly imageSize: number | null;
  /** Where the CLIP tower's config may lie, the first that is there. */
  readonly clipFolders: readonly string[];
}

async function readTower(source: Shapes, facts: EncoderFacts): Promise<PictureTower> {
  const name = (ours: string) => spelt(ours, facts.spelling);
  const { imageSize } = facts;
  if (!source.names.some((candidate) => candidate.startsWith(name('vision.stages.0.')))) {
    const vision = readClip(await clipConfig(facts.clipFolders), source, name);
    if (imageSize === null || imageSize === vision.imageSize) return { kind: 'clip', vision };
    return refuse(`imageSize is ${imageSize}, the position table is that of pictures of ${vision.imageSize}`);
  }
  if (imageSize === null) {
    throw new WetreadError('import-option-missing', 'imageSize is missing: the ResNet takes pictures of any side and no file says which', {
      hint: 'the authors have 512: { "imageSize": 512 } in wetread.json beside the weights, or in the file that --metadata names',
    });
  }
  const resnet = readResnet(facts.stages, imageSize, source, name);
  if (resnetSide(resnet) === 0) return refuse(`imageSize is ${imageSize}; nothing is left of it after ${facts.stages} stages`);
  return { kind: 'resnet', resnet };
}

/**
 * The encoder of a trainer file.
 * @param projected width of the rows behind the projector; null = there is no projector
 * @throws checkpoint-tensors, architecture-unsupported, import-option-missing
 */
export async function readQueryEncoder(source: Shapes, facts: EncoderFacts, projected: number | null): Promise<QueryEncoder> {
  const name = (ours: string) => spelt(ours, facts.spelling);
  const tower = await readTower(source, facts);
  const [count = 0, size = 0] = dimensions(source, name('queries.table'), 2);
  if (size % facts.heads !== 0) return refuse(`${facts.heads} heads cannot share the queries' ${size} values`);
  const queries = {
    queries: count,
    size,
    heads: facts.heads,
    layers: countNumbered(source.names, name('queries.layers.')),
    feedForward: dimensions(source, name('queries.layers.0.linear1.weight'), 2)[0] ?? 0,
  };
  const embeds = source.names.includes(name('vision_embed.weight'));
  if (!embeds && towerWidth(tower) !== size) {
    return refuse(
      `the tower's rows have ${towerWidth(tower)} values, the queries ${size}, and no ${name('vision_embed.weight')} is between`,
    );
  }
  const projector =
    projected === null ? null : ({ layers: 2, activation: 'relu', bias: true, innerSize: size, outSize: projected } as const);
  return { tower, embeds, queries, projector };
}

/** The authors' pictures: a square without regard to the aspect, ImageNet's mean and deviation. */
export function queryProcessor(side: number): Processor {
  return {
    pad: false,
    resize: { to: 'size', height: side, width: side },
    filter: 'bicubic',
    crop: null,
    scale: 1 / 255,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  };
}
