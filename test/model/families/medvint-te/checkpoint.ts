/** A MedVInT-TE folder in its authors' form, with PMC-CLIP's ResNet or a CLIP tower. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { NamedTensor } from '#model/checkpoint/safetensors-write.ts';
import { noise } from '../answering.ts';
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
  queryLayer,
  type Shapes,
  tensorsOf,
  vocab,
  writeTrainerFolder,
} from '../pmc-vqa.ts';

/** Width of queries and fusion: 4 and 8 heads share it. */
export const width = 16;
export const queries = 3;
export const places = 56;
const patch = 8;

const visual = 'image_encoder.visual.';

function resnet(): Shapes {
  return [
    [`${visual}conv1.weight`, [2, 3, 3, 3]],
    ...batchNorm(`${visual}bn1`, 2),
    [`${visual}conv2.weight`, [2, 2, 3, 3]],
    ...batchNorm(`${visual}bn2`, 2),
    [`${visual}conv3.weight`, [4, 2, 3, 3]],
    ...batchNorm(`${visual}bn3`, 4),
    ...bottleneck(`${visual}layer1.0.`, 4, 2, true),
    ...bottleneck(`${visual}layer1.1.`, 8, 2, false),
    ...bottleneck(`${visual}layer2.0.`, 8, 3, true),
    // As many channels out as in: the smaller side alone asks for the shortcut.
    ...bottleneck(`${visual}layer3.0.`, 12, 3, true),
    ...bottleneck(`${visual}layer4.0.`, 12, 5, true),
    [`${visual}attnpool.positional_embedding`, [5, 20]],
    ...both(`${visual}attnpool.q_proj`, [20, 20]),
    ...both('image_embed.0', [width, 20]),
  ];
}

function shapes(tower: 'resnet' | 'clip'): Shapes {
  return [
    ['positional_embedding', [places, width]],
    ['text_projection', [width, width]],
    ['mlm_projection', [width, vocab]],
    ['logit_scale', []],
    ['img_special_token', [1, 1, width]],
    ['qformer_query', [queries, width]],
    ...(tower === 'resnet' ? resnet() : clip('image_encoder.vision_model.', 3, width, patch, 20)),
    ...queryLayer('qformer_decoder_layer.', width, 12),
    ...queryDecoder('qformer_decoder.', 2, width, 12),
    ...both('qformer_decoder_norm', [width]),
    ['fusion_module.resblocks.0.attn.in_proj_weight', [3 * width, width]],
    ['fusion_module.resblocks.0.attn.in_proj_bias', [3 * width]],
    ...both('fusion_module.resblocks.0.attn.out_proj', [width, width]),
    ...both('fusion_module.resblocks.0.ln_1', [width]),
    ...both('fusion_module.resblocks.0.mlp.c_fc', [22, width]),
    ...both('fusion_module.resblocks.0.mlp.c_proj', [width, 22]),
    ...both('fusion_module.resblocks.0.ln_2', [width]),
    ...both('text_embed.0', [width, hidden]),
    ...llama('llama_model.'),
    ...llama('text_encoder.base_model.model.'),
  ];
}

/** Tensors that the authors store under two names have the same values. */
const alike = (name: string) =>
  name.replace(/^text_encoder\.base_model\.model\./, 'llama_model.').replace('qformer_decoder_norm.', 'qformer_decoder.norm.');

/** Writes the checkpoint into a new folder `to`: CLIP's pictures have 24 pixels, its config says 16. */
export async function writeCheckpoint(to: string, tower: 'resnet' | 'clip', changes: Changes = {}): Promise<void> {
  await writeTrainerFolder(to, 'LLAMA_Model', tensorsOf(shapes(tower), alike), changes);
  if (tower === 'resnet') return;
  const folder = join(to, 'openai/clip-vit-base-patch32');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.json'), JSON.stringify(clipConfig(width, patch, 20)));
}

/** Pieces that are read as text: an answer's row has nothing else to choose. */
const words = { from: 259, to: 343 };

/** Random weights that draft from the answer to a question that fits between the places. */
export async function writeTinyCheckpoint(to: string, seed: number): Promise<void> {
  const tensors = (all: NamedTensor[]) => {
    const made = new Map(noise(all, seed).map((tensor) => [tensor.name, tensor]));
    return all.map(({ name, shape }) => {
      const { values } = made.get(alike(name)) ?? made.get(name) ?? { values: new Float32Array() };
      if (name !== 'mlm_projection') return { name, shape, values };
      const isWord = (id: number) => id >= words.from && id < words.to;
      return { name, shape, values: values.map((value, at) => (isWord(at % vocab) ? 4 * value : 0)) };
    });
  };
  await writeCheckpoint(to, 'resnet', { tensors });
  await writeFile(join(to, 'wetread.json'), JSON.stringify({ imageSize: 32, questions: ['Is it ill?', 'Where?'] }));
}
