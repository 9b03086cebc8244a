/**
 * The authors' tensor names in ours, and the check of all names and shapes before anything is read or written.
 *
 * Three spellings of each part exist (HF old, HF new, original). Where a tensor is there under several names, the first spelling of the list
 * wins: tensors inside the checkpoint come before the tower's own file, because a trained tower must win over the stale base.
 */
import { WetreadError } from '#domain/errors.ts';
import { refuseMisfit } from '../../checkpoint/misfit.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { tensorNeeds, type Writing, writeGraphs } from '../../onnx/files.ts';
import type { ReadTensor } from '../../onnx/layout.ts';
import { graphFiles, imageDecoderGraphs } from '../image-decoder.ts';
import type { LlavaArchitecture } from './architecture.ts';

/** [authors' prefix, our prefix], the winning spelling first. The longest matching authors' prefix names the part. */
const prefixes: readonly (readonly [string, string])[] = [
  ['model.vision_tower.vision_tower.vision_model.', 'vision.'],
  ['model.vision_tower.vision_tower.', 'vision.'],
  ['model.vision_tower.vision_model.', 'vision.'],
  ['model.vision_tower.', 'vision.'],
  ['vision_tower.vision_model.', 'vision.'],
  ['vision_tower.', 'vision.'],
  ['vision_model.', 'vision.'],
  ['model.multi_modal_projector.', 'projector.'],
  ['multi_modal_projector.', 'projector.'],
  ['model.mm_projector.', 'projector.'],
  ['mm_projector.', 'projector.'],
  ['language_model.lm_head.', 'head.'],
  ['model.lm_head.', 'head.'],
  ['lm_head.', 'head.'],
  ['language_model.model.', 'decoder.'],
  ['model.language_model.', 'decoder.'],
  ['model.', 'decoder.'],
];

/** Tensors that belong to parts which are not built: other towers' heads, buffers that are computed. */
const ignorable = [
  /\.rotary_emb\.inv_freq$/,
  /(^|\.)position_ids$/,
  /^vision\.post_layernorm\./,
  /^vision\.head\./,
  /^text_model\./,
  /^(text_projection|visual_projection)\.weight$/,
  /^logit_scale$/,
];

/** Our name and the rank of the spelling (0 wins), or null for a name of no part of ours. */
function translate(name: string): { readonly name: string; readonly rank: number } | null {
  let best: readonly [string, string] | null = null;
  for (const entry of prefixes) if (name.startsWith(entry[0]) && entry[0].length > (best?.[0].length ?? 0)) best = entry;
  if (best === null) return null;
  let rest = name.slice(best[0].length);
  if (best[1] === 'projector.') {
    // HF counts layers from 1; the original counts modules of a Sequential, where every second one is the activation, or has a single one.
    rest = rest.replace(/^linear_(\d+)\./, (_, layer: string) => `${Number(layer) - 1}.`).replace(/^(weight|bias)$/, '0.$1');
    if (best[0].endsWith('mm_projector.')) rest = rest.replace(/^(\d+)\./, (_, module: string) => `${Number(module) / 2}.`);
  }
  return { name: best[1] + rest, rank: prefixes.indexOf(best) };
}

/** Authors' prefix of each part of ours that a source uses; the usual one of the form where the part is missing altogether. */
function spellings(names: readonly string[], form: LlavaArchitecture['form']): ReadonlyMap<string, string> {
  const found = new Map<string, string>(
    form === 'hf'
      ? [
          ['vision.', 'vision_tower.vision_model.'],
          ['projector.', 'multi_modal_projector.'],
          ['head.', 'language_model.lm_head.'],
          ['decoder.', 'language_model.model.'],
        ]
      : [
          ['vision.', 'model.vision_tower.vision_tower.vision_model.'],
          ['projector.', 'model.mm_projector.'],
          ['head.', 'lm_head.'],
          ['decoder.', 'model.'],
        ],
  );
  const ranked = names.map((name) => translate(name)?.rank ?? prefixes.length);
  for (const rank of [...new Set(ranked)].sort((x, y) => y - x)) {
    const entry = prefixes[rank];
    if (entry !== undefined) found.set(entry[1], entry[0]);
  }
  return found;
}

/** Our name as the authors would have spelt it, for messages. */
function spelt(ours: string, a: LlavaArchitecture, spelling: ReadonlyMap<string, string>): string {
  const part = ours.slice(0, ours.indexOf('.') + 1);
  const prefix = spelling.get(part) ?? part;
  const rest = ours.slice(part.length);
  if (part !== 'projector.') return prefix + rest;
  if (!prefix.endsWith('mm_projector.')) return prefix + rest.replace(/^(\d+)/, (layer) => `linear_${Number(layer) + 1}`);
  return prefix + (a.projector.layers === 1 ? rest.slice(2) : rest.replace(/^(\d+)/, (layer) => String(Number(layer) * 2)));
}

/** Which of the authors' tensors is which of ours. */
export interface ResolvedWeights {
  /** Our name -> the authors' name. */
  readonly used: ReadonlyMap<string, string>;
  /** The same tensor of ours under a second name that was not used; the import report compares the values. */
  readonly shadowed: readonly { readonly used: string; readonly ignored: string }[];
  /** Authors' names of tensors that no graph needs and that may be there. */
  readonly ignored: readonly string[];
}

/** Blocks above the selected layer, the head of a tied model, and the list above. */
function mayBeIgnored(ours: string, a: LlavaArchitecture): boolean {
  const block = /^vision\.encoder\.layers\.(\d+)\./.exec(ours)?.[1];
  if (block !== undefined && Number(block) >= a.vision.blocks) return true;
  if (a.decoder.tiedHead && ours === 'head.weight') return true;
  return ignorable.some((pattern) => pattern.test(ours));
}

/**
 * Finds every tensor that the graphs need.
 *
 * @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part
 */
export function resolveWeights(a: LlavaArchitecture, source: TensorSource): ResolvedWeights {
  const needs = tensorNeeds(imageDecoderGraphs(a));
  const candidates = new Map<string, { readonly theirs: string; readonly rank: number }[]>();
  const ignored: string[] = [];
  const extra: string[] = [];
  for (const theirs of source.names) {
    const ours = translate(theirs);
    if (ours !== null && needs.has(ours.name)) {
      candidates.set(
        ours.name,
        [...(candidates.get(ours.name) ?? []), { theirs, rank: ours.rank }].sort((x, y) => x.rank - y.rank),
      );
    } else if (mayBeIgnored(ours?.name ?? theirs, a)) ignored.push(theirs);
    else extra.push(theirs);
  }
  const spelling = spellings(source.names, a.form);
  const used = new Map<string, string>();
  const shadowed: { used: string; ignored: string }[] = [];
  const missing: string[] = [];
  const misshapen: string[] = [];
  for (const need of needs.values()) {
    const [first, ...others] = candidates.get(need.name) ?? [];
    if (first === undefined) {
      missing.push(`${spelt(need.name, a, spelling)} [${need.shape.join(', ')}]`);
      continue;
    }
    const { shape } = source.info(first.theirs);
    if (shape.join() !== need.shape.join()) misshapen.push(`${first.theirs} is [${shape.join(', ')}], [${need.shape.join(', ')}] expected`);
    used.set(need.name, first.theirs);
    shadowed.push(...others.map((other) => ({ used: first.theirs, ignored: other.theirs })));
  }
  refuseMisfit({ missing, misshapen, extra });
  return { used, shadowed, ignored };
}

/**
 * Writes the three graphs and their data file into an existing, empty folder.
 *
 * @param resolved what resolveWeights found: nothing is written before names and shapes are known to fit
 * @throws checkpoint-tensors when a value is not finite
 */
export async function writeLlava(
  folder: string,
  a: LlavaArchitecture,
  source: TensorSource,
  resolved: ResolvedWeights,
  writing?: Writing,
): Promise<void> {
  const read: ReadTensor = async (name, range) => {
    const theirs = resolved.used.get(name);
    if (theirs === undefined) throw new WetreadError('checkpoint-tensors', `${name} was not resolved`);
    return await source.readF32(theirs, range);
  };
  await writeGraphs(folder, graphFiles.data, imageDecoderGraphs(a), read, writing);
}
