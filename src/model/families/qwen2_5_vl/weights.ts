/**
 * The authors' tensor names in ours, in the spelling of published files (`visual.`, `model.`) or of newer saves (`model.visual.`,
 * `model.language_model.`), and the check of all names and shapes before anything is written.
 */
import { WetreadError } from '#domain/errors.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import type { ReadTensor } from '../../onnx/layout.ts';
import { type QwenArchitecture, qwenGraphs } from './architecture.ts';

/** [our prefix, spellings of it]: the first that some tensor has is the checkpoint's, the last the published one. */
const prefixes: readonly (readonly [string, readonly string[]])[] = [
  ['vision.', ['model.visual.', 'visual.']],
  ['decoder.', ['model.language_model.', 'model.']],
  ['head.', ['lm_head.']],
];

export const headName = 'lm_head.weight';

/** Name of the checkpoint's tensor for one of our names. */
function spelling(names: readonly string[]): (ours: string) => string {
  const found = prefixes.map(([own, theirs]) => {
    const used = theirs.find((prefix) => names.some((name) => name.startsWith(prefix))) ?? theirs.at(-1) ?? '';
    return [own, used] as const;
  });
  return (ours) => {
    const [own, theirs] = found.find(([prefix]) => ours.startsWith(prefix)) ?? ['', ''];
    return theirs + ours.slice(own.length);
  };
}

/** The authors' names by ours, with the shapes that they must have. */
interface Need {
  readonly theirs: string;
  readonly shape: readonly number[];
}

function needsOf(a: QwenArchitecture, names: readonly string[]): ReadonlyMap<string, Need> {
  const { vision } = a;
  const spell = spelling(names);
  const needs = new Map<string, Need>();
  for (const { name, shape } of tensorNeeds(qwenGraphs(a)).values()) {
    // A convolution whose stride is its kernel: on patch rows it is a matrix, and its values lie in the same order.
    const isPatch = name === 'vision.patch_embed.proj.weight';
    const kernel = [vision.hiddenSize, 3, vision.temporal, vision.patch, vision.patch];
    needs.set(name, { theirs: spell(name), shape: isPatch ? kernel : shape });
  }
  return needs;
}

/**
 * Values by our name, once every name and shape was found to fit.
 * @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part
 */
export function resolvedReader(a: QwenArchitecture, source: TensorSource): ReadTensor {
  const needs = needsOf(a, source.names);
  const mayBeIgnored = (name: string) => /\.rotary_(pos_)?emb\.inv_freq$/.test(name) || (a.decoder.tiedHead && name === headName);
  checkTensors(new Map([...needs.values()].map(({ theirs, shape }) => [theirs, shape])), source, mayBeIgnored);
  return async (ours, range) => {
    const need = needs.get(ours);
    if (need === undefined) throw new WetreadError('checkpoint-tensors', `${ours} was not resolved`);
    return await source.readF32(need.theirs, range);
  };
}
