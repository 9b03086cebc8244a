/** A MedVInT-TD folder in its authors' form, with PMC-CLIP's ResNet cut behind its third stage or a CLIP tower. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { answering, llamaSentences } from '../answering.ts';
import {
  batchNorm,
  both,
  bottleneck,
  type Changes,
  clip,
  clipConfig,
  hidden,
  llama,
  queryDecoder,
  type Shapes,
  tensorsOf,
  vocab,
  writeTrainerFolder,
} from '../pmc-vqa.ts';

/** Width of the tower's rows and of the queries. */
export const width = 16;
export const queries = 3;
const patch = 8;
const feedForward = 20;

function resnet(): Shapes {
  return [
    ['vision_model.0.weight', [2, 3, 3, 3]],
    ...batchNorm('vision_model.1', 2),
    ['vision_model.3.weight', [2, 2, 3, 3]],
    ...batchNorm('vision_model.4', 2),
    ['vision_model.6.weight', [4, 2, 3, 3]],
    ...batchNorm('vision_model.7', 4),
    ...bottleneck('vision_model.10.0.', 4, 2, true),
    ...bottleneck('vision_model.11.0.', 8, 3, true),
    ...bottleneck('vision_model.12.0.', 12, 4, true),
    ...bottleneck('vision_model.12.1.', 16, 4, false),
  ];
}

function shapes(tower: 'resnet' | 'clip'): Shapes {
  return [
    ...(tower === 'resnet' ? resnet() : clip('vision_model.vision_model.', 3, width, patch, feedForward)),
    ['query_embed.weight', [queries, width]],
    ...queryDecoder('decoder.', 2, width, 12),
    ...both('fc_l1', [width, width]),
    ...both('fc_l2', [hidden, width]),
    ...llama('llamacasual.base_model.model.model.'),
    ['llamacasual.base_model.model.lm_head.weight', [vocab, hidden]],
  ];
}

/** Writes the checkpoint into a new folder `to`: CLIP's pictures have 24 pixels, its config says 16. */
export async function writeCheckpoint(to: string, tower: 'resnet' | 'clip', changes: Changes = {}): Promise<void> {
  await writeTrainerFolder(to, 'LLAMA', tensorsOf(shapes(tower)), changes);
  if (tower === 'resnet') return;
  const folder = join(to, 'img_checkpoint/CLIP/clip-vit-base-patch32');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(clipConfig(width, patch, feedForward)));
}

/** The end of an answer, by config.json. */
const endId = 1;

/** Random weights that draft from the answers to two questions. */
export async function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  const decoder = 'llamacasual.base_model.model.';
  await writeCheckpoint(to, 'resnet', {
    tensors: (tensors) =>
      answering(tensors, seed, {
        tables: [`${decoder}model.embed_tokens.weight`],
        head: `${decoder}lm_head.weight`,
        lastNorm: `${decoder}model.norm.weight`,
        quiet: /^llamacasual\..*layers\.\d+\.(self_attn\.o_proj|mlp\.down_proj)\.weight$/,
        answer: [...llamaSentences, endId],
      }),
  });
  const said = { imageSize: 32, qformerHeads: 2, questions: ['Is it ill?', 'Where?'] };
  await writeFile(join(to, 'wetread.json'), JSON.stringify(said));
}
