/**
 * The authors' tensor names in ours, published or newer spelling, and the check of all names and shapes before anything is written.
 *
 * Norm weights of decoder and projector are stored as weight - 1: the reader adds the 1. The tower's own norms are ordinary.
 */
import { WetreadError } from '#domain/errors.ts';
import { checkTensors } from '../../checkpoint/misfit.ts';
import type { TensorSource } from '../../checkpoint/tensors.ts';
import { tensorNeeds } from '../../onnx/files.ts';
import type { ReadTensor } from '../../onnx/layout.ts';
import { type GemmaArchitecture, gemmaGraphs } from './architecture.ts';

interface Spellings {
  readonly ours: string;
  /** The first that some tensor has is the checkpoint's. */
  readonly theirs: readonly string[];
  /** Where none has. */
  readonly published: string;
}

const parts: readonly Spellings[] = [
  {
    ours: 'vision.',
    theirs: ['model.vision_tower.vision_model.', 'model.vision_tower.', 'vision_tower.vision_model.', 'vision_tower.'],
    published: 'vision_tower.vision_model.',
  },
  {
    ours: 'projector.',
    theirs: ['model.multi_modal_projector.', 'multi_modal_projector.'],
    published: 'multi_modal_projector.',
  },
  { ours: 'decoder.', theirs: ['model.language_model.', 'language_model.model.'], published: 'language_model.model.' },
];

/** A head that repeats the embedding, the tower's pooling head, buffers that are computed. */
const ignorable = [
  /^(model\.|language_model\.)?lm_head\.weight$/,
  /^(model\.)?vision_tower\.(vision_model\.)?head\./,
  /\.position_ids$/,
  /\.rotary_emb.*\.inv_freq$/,
];

const isShifted = (ours: string) => !ours.startsWith('vision.') && /norm\.weight$/.test(ours);

/** Name of the checkpoint's tensor for one of our names. */
function spelling(names: readonly string[]): (ours: string) => string {
  const found = parts.map(({ ours, theirs, published }) => {
    return [ours, theirs.find((prefix) => names.some((name) => name.startsWith(prefix))) ?? published] as const;
  });
  return (ours) => {
    const [own, theirs] = found.find(([prefix]) => ours.startsWith(prefix)) ?? ['', ''];
    return theirs + ours.slice(own.length);
  };
}

/**
 * Values by our name, once every name and shape was found to fit.
 * @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part
 */
export function resolvedReader(a: GemmaArchitecture, source: TensorSource): ReadTensor {
  const spell = spelling(source.names);
  const expected = new Map([...tensorNeeds(gemmaGraphs(a)).values()].map(({ name, shape }) => [spell(name), shape] as const));
  checkTensors(expected, source, (name) => ignorable.some((pattern) => pattern.test(name)));
  return async (ours, range) => {
    const theirs = spell(ours);
    if (!expected.has(theirs)) throw new WetreadError('internal', `${ours} was not resolved`);
    const values = await source.readF32(theirs, range);
    return isShifted(ours) ? values.map((value) => value + 1) : values;
  };
}
