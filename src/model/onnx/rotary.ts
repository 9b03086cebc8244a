/**
 * Rotary position tables: cos and sin of position x frequency, for the half-split form (first half pairs with second half).
 *
 * Rounded to single precision in the same places as the authors' code (frequencies, then phases), because at position 4000 the rounding of
 * a phase is already 2e-4.
 * Source: transformers modeling_rope_utils.py (default, linear, llama3).
 */

export type RopeScaling =
  | { readonly type: 'none' }
  | { readonly type: 'linear'; readonly factor: number }
  | {
      readonly type: 'llama3';
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      readonly originalMaxPositions: number;
    };

export interface Rotary {
  readonly theta: number;
  readonly scaling: RopeScaling;
}

function scaled(frequency: number, scaling: RopeScaling): number {
  if (scaling.type === 'none') return frequency;
  if (scaling.type === 'linear') return frequency / scaling.factor;
  const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalMaxPositions: original } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength > original / low) return frequency / factor;
  if (wavelength < original / high) return frequency;
  const smooth = (original / wavelength - low) / (high - low);
  return ((1 - smooth) * frequency) / factor + smooth * frequency;
}

/** headDim / 2 frequencies in radians per position, highest first. */
export function rotaryFrequencies(headDim: number, rotary: Rotary): Float32Array {
  return Float32Array.from({ length: headDim / 2 }, (_, i) =>
    scaled(Math.fround(1 / Math.fround(rotary.theta ** Math.fround((2 * i) / headDim))), rotary.scaling),
  );
}

/**
 * [positions, width / 2] of cos or sin for heads of `headDim` values that were widened to `width`: the added pairs are not turned.
 */
export function rotaryTable(part: 'cos' | 'sin', positions: number, headDim: number, width: number, rotary: Rotary): Float32Array {
  const frequencies = rotaryFrequencies(headDim, rotary);
  const half = width / 2;
  const table = new Float32Array(positions * half).fill(part === 'cos' ? 1 : 0);
  for (const [i, frequency] of frequencies.entries()) {
    for (let position = 0; position < positions; position++) {
      table[position * half + i] = Math[part](Math.fround(position * frequency));
    }
  }
  return table;
}
