/**
 * Matrices that a file holds as [in, out] (GPT-2's Conv1D, OpenAI's projections), given as [out, in] like all others, and those that 8-bit
 * loading (bitsandbytes) left as int8 with a scale for each output beside them, given as numbers.
 *
 * 8-bit matrices lie as [out, in] whatever the layer's kind, and W = int8 * SCB / 127, where SCB are the largest values of the rows.
 */
import { WetreadError } from '#domain/errors.ts';
import type { TensorSource } from './tensors.ts';

const largest = 127;

/** Rows of `values` [rows, columns] as columns. */
function transposed(values: Float32Array, columns: number): Float32Array {
  const rows = values.length / columns;
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column] ?? Number.NaN;
  }
  return out;
}

/** Layers of int8 weights: name of the weight -> name of its scales. */
function scalesOf(source: Pick<TensorSource, 'names' | 'info'>): ReadonlyMap<string, string> {
  const there = new Set(source.names);
  const scales = new Map<string, string>();
  for (const name of source.names) {
    const layer = /^(.*)\.SCB$/.exec(name)?.[1];
    if (layer === undefined) continue;
    const weight = `${layer}.weight`;
    const [out, ...none] = source.info(name).shape;
    if (!there.has(weight) || source.info(weight).dtype !== 'I8' || none.length > 0 || source.info(weight).shape[0] !== out) {
      throw new WetreadError(
        'checkpoint-tensors',
        `${name} [${source.info(name).shape.join(', ')}] is beside no int8 weight with as many rows`,
      );
    }
    scales.set(weight, name);
  }
  return scales;
}

/**
 * @param isTurned names that a file holds as [in, out]
 * @throws checkpoint-tensors for scales without an int8 weight, and int8 weights without scales
 */
export async function turnedSource(source: TensorSource, isTurned: (name: string) => boolean): Promise<TensorSource> {
  const scales = scalesOf(source);
  await checkFormats(source);
  const bare = source.names.find((name) => source.info(name).dtype === 'I8' && !scales.has(name));
  if (bare !== undefined) throw new WetreadError('checkpoint-tensors', `${bare} is int8 and has no scales (SCB) beside it`);
  const turns = (name: string) => isTurned(name) && !scales.has(name);
  const marks = new Set(scales.values());
  return {
    names: source.names.filter((name) => !marks.has(name) && !isFormat(name)),
    info(name) {
      const { dtype, shape } = source.info(name);
      return { dtype, shape: turns(name) ? shape.toReversed() : shape };
    },
    async readF32(name) {
      const values = await source.readF32(name);
      const { shape } = source.info(name);
      const scale = scales.get(name);
      if (scale !== undefined) return scaled(values, await source.readF32(scale));
      return turns(name) && shape.length === 2 ? transposed(values, shape[1] ?? 1) : values;
    },
    close: () => source.close(),
  };
}

function scaled(values: Float32Array, rows: Float32Array): Float32Array {
  const columns = values.length / rows.length;
  return Float32Array.from(values, (value, i) => (value * (rows[Math.floor(i / columns)] ?? Number.NaN)) / largest);
}

const isFormat = (name: string): boolean => name.endsWith('.weight_format');

/** Newer files say in which order the values lie; 0 is by rows. */
async function checkFormats(source: TensorSource): Promise<void> {
  for (const name of source.names.filter(isFormat)) {
    const [format] = await source.readF32(name);
    if (format !== 0)
      throw new WetreadError('checkpoint-tensors', `${name} is ${format}: int8 weights in another order than by rows (0) are not read`, {
        hint: 'load the model without 8 bit where it was trained, and save its state again',
      });
  }
}
