/**
 * The tensors of a VILA folder's three parts as one source, the authors' names for ours, and the check of all names and shapes.
 *
 * A name carries its folder in front (`llm/model.norm.weight`), in messages too. SigLIP's pooling head and the last norm of the tower are in
 * every published file and are never used.
 */
import { join } from 'node:path';
import { WetreadError } from '#domain/errors.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import { mergeSources, openCheckpoint } from '../../checkpoint/open.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import type { ReadTensor } from '../../onnx/layout.ts';
import { type VilaArchitecture, vilaGraphs } from './architecture.ts';

function below(folder: string, source: TensorSource): TensorSource {
  const inner = (name: string) => name.slice(folder.length + 1);
  return {
    names: source.names.map((name) => `${folder}/${name}`),
    info: (name) => source.info(inner(name)),
    readF32: (name, range) => source.readF32(inner(name), range),
    close: () => source.close(),
  };
}

/** All three parts. @throws checkpoint-unreadable, checkpoint-hostile, checkpoint-tensors */
export async function openParts(from: string): Promise<TensorSource> {
  let all = below('llm', await openCheckpoint(join(from, 'llm')));
  try {
    for (const folder of ['vision_tower', 'mm_projector']) all = mergeSources(all, below(folder, await openCheckpoint(join(from, folder))));
    return all;
  } catch (error) {
    await all.close();
    throw error;
  }
}

const ignorable = [
  /^llm\/.*\.rotary_emb\.inv_freq$/,
  /^vision_tower\/vision_model\.embeddings\.position_ids$/,
  /^vision_tower\/vision_model\.post_layernorm\.(weight|bias)$/,
  /^vision_tower\/vision_model\.head\./,
];

/** The authors' name of one of our tensors. */
function theirName(ours: string, { projector }: VilaArchitecture): string {
  const [part = ''] = ours.split('.', 1);
  const rest = ours.slice(part.length + 1);
  if (part === 'decoder') return `llm/model.${rest}`;
  if (part === 'head') return `llm/lm_head.${rest}`;
  if (part === 'vision') return `vision_tower/vision_model.${rest}`;
  const [layer = '', parameter = ''] = rest.split('.');
  if (layer === 'norm') return `mm_projector/layers.1.${parameter}`;
  // A single layer stands alone; in a Sequential every second module is an activation, and the merge and its norm come first.
  if (projector.kind === 'layers' && projector.alone) return `mm_projector/layers.${parameter}`;
  return `mm_projector/layers.${(projector.kind === 'merge' ? 2 : 0) + 2 * Number(layer)}.${parameter}`;
}

/** Blocks above the selected layer, the head of a tied model, and the list above. */
function mayBeIgnored(name: string, a: VilaArchitecture): boolean {
  const block = /^vision_tower\/vision_model\.encoder\.layers\.(\d+)\./.exec(name)?.[1];
  if (block !== undefined && Number(block) >= a.vision.blocks) return true;
  if (a.decoder.tiedHead && name === 'llm/lm_head.weight') return true;
  return ignorable.some((pattern) => pattern.test(name));
}

/**
 * Finds every tensor that the graphs need.
 * @returns values by our name
 * @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part
 */
export function resolveWeights(a: VilaArchitecture, source: TensorSource): ReadTensor {
  const expected = new Map([...tensorNeeds(vilaGraphs(a)).values()].map(({ name, shape }) => [theirName(name, a), shape] as const));
  checkTensors(expected, source, (name) => mayBeIgnored(name, a));
  return async (ours, range) => {
    const theirs = theirName(ours, a);
    if (!expected.has(theirs)) throw new WetreadError('internal', `${ours} was not resolved`);
    return await source.readF32(theirs, range);
  };
}
