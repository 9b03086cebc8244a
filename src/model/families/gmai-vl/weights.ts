/**
 * The authors' tensor names in ours, and the packed attention matrix taken apart.
 *
 * `wqkv` holds its rows by key-value head: the queries that share it, then its key, then its value. It is not all queries, all keys, all
 * values. A bias is packed the same way. Source: the authors' xtuner modeling_internlm2.py.
 */
import { WetreadError } from '#domain/errors.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import type { DecoderArchitecture } from '../../onnx/decoder.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import type { ReadTensor } from '../../onnx/layout.ts';
import { imageDecoderGraphs } from '../image-decoder.ts';
import type { GmaiVlArchitecture } from './architecture.ts';

/** [our spelling, the authors'], applied in this order to one of our names. */
const spellings: readonly (readonly [RegExp, string])[] = [
  [/^vision\./, 'vision_tower.vision_model.'],
  [/^projector\.0\./, 'multi_modal_projector.linear_1.'],
  [/^projector\.1\./, 'multi_modal_projector.linear_2.'],
  [/^head\./, 'language_model.output.'],
  [/^decoder\.embed_tokens\./, 'language_model.model.tok_embeddings.'],
  [/^decoder\./, 'language_model.model.'],
  [/\.input_layernorm\./, '.attention_norm.'],
  [/\.post_attention_layernorm\./, '.ffn_norm.'],
  [/(?<=^language_model\..*)\.self_attn\.[qkv]_proj\./, '.attention.wqkv.'],
  [/(?<=^language_model\..*)\.self_attn\.o_proj\./, '.attention.wo.'],
  [/\.mlp\.gate_proj\./, '.feed_forward.w1.'],
  [/\.mlp\.up_proj\./, '.feed_forward.w3.'],
  [/\.mlp\.down_proj\./, '.feed_forward.w2.'],
];

/** Tensors that no graph needs: the norm that a selected hidden state never sees, buffers that are computed. */
const ignorable = [
  /^vision_tower\.vision_model\.post_layernorm\./,
  /^vision_tower\.vision_model\.embeddings\.position_ids$/,
  /\.rotary_emb\.inv_freq$/,
];

type Part = 'q' | 'k' | 'v';

/** Where one of our tensors is in the checkpoint; `part` says which rows of a packed one. */
interface Place {
  readonly theirs: string;
  readonly part: Part | null;
}

function placeOf(ours: string): Place {
  const part = /^decoder\.layers\.\d+\.self_attn\.([qkv])_proj\./.exec(ours)?.[1];
  const theirs = spellings.reduce((name, [from, to]) => name.replace(from, to), ours);
  return { theirs, part: part === 'q' || part === 'k' || part === 'v' ? part : null };
}

/** The authors' names with the shapes that they must have. */
function expectedShapes(a: GmaiVlArchitecture): ReadonlyMap<string, readonly number[]> {
  const { heads, kvHeads, headDim } = a.decoder;
  const packedRows = (heads + 2 * kvHeads) * headDim;
  return new Map(
    [...tensorNeeds(imageDecoderGraphs(a)).values()].map((need) => {
      const { theirs, part } = placeOf(need.name);
      return [theirs, part === null ? need.shape : [packedRows, ...need.shape.slice(1)]];
    }),
  );
}

/** Blocks above the selected layer, the head of a tied model, and the list above. */
function mayBeIgnored(theirs: string, a: GmaiVlArchitecture): boolean {
  const block = /^vision_tower\.vision_model\.encoder\.layers\.(\d+)\./.exec(theirs)?.[1];
  if (block !== undefined && Number(block) >= a.vision.blocks) return true;
  if (a.decoder.tiedHead && theirs === 'language_model.output.weight') return true;
  return ignorable.some((pattern) => pattern.test(theirs));
}

/** @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part */
export function checkGmaiVlTensors(a: GmaiVlArchitecture, source: TensorSource): void {
  checkTensors(expectedShapes(a), source, (name) => mayBeIgnored(name, a));
}

/** Rows of one part of a packed matrix [(heads + 2 kvHeads) headDim, columns]; a bias has one column. */
export function unpack(packed: Float32Array, part: Part, d: Pick<DecoderArchitecture, 'heads' | 'kvHeads' | 'headDim'>): Float32Array {
  const shared = d.heads / d.kvHeads;
  const head = packed.length / (d.heads + 2 * d.kvHeads);
  const [from, count] = part === 'q' ? [0, shared] : part === 'k' ? [shared, 1] : [shared + 1, 1];
  const out = new Float32Array(d.kvHeads * count * head);
  for (let group = 0; group < d.kvHeads; group++) {
    const start = (group * (shared + 2) + from) * head;
    out.set(packed.subarray(start, start + count * head), group * count * head);
  }
  return out;
}

/** Values by our name. The packed matrix read last is kept: its three parts are asked for one after the other. */
export function reader(a: GmaiVlArchitecture, source: TensorSource): ReadTensor {
  let last: { readonly name: string; readonly values: Float32Array } | null = null;
  return async (ours, range) => {
    const { theirs, part } = placeOf(ours);
    if (part === null) return await source.readF32(theirs, range);
    if (last?.name !== theirs) last = { name: theirs, values: await source.readF32(theirs) };
    const { values } = last;
    const rows = (a.decoder.heads + 2 * a.decoder.kvHeads) * a.decoder.headDim;
    if (values.length % rows !== 0) {
      throw new WetreadError('checkpoint-tensors', `${theirs} has ${values.length} values, a multiple of ${rows} expected`);
    }
    return unpack(values, part, a.decoder);
  };
}
