/**
 * Hounsfield units as a colour picture, one window per channel, for models that were trained on CT so. f32 arithmetic, rounded half to even,
 * as the first such model's authors compute it. Source: MedGemma 1.5 CT notebook.
 */

type Window = readonly [low: number, high: number];
/** Of red, green and blue, in Hounsfield units. */
export type CtWindows = readonly [Window, Window, Window];

/** Python's round. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** RGB interleaved, three values for each of `hounsfield`. */
export function windowsToRgb(hounsfield: Float32Array, windows: CtWindows): Uint8Array {
  const pixels = new Uint8Array(hounsfield.length * 3);
  for (const [channel, [low, high]] of windows.entries()) {
    const span = Math.fround(high - low);
    for (let i = 0; i < hounsfield.length; i++) {
      const clipped = Math.min(Math.max(hounsfield[i] ?? 0, low), high);
      pixels[3 * i + channel] = roundHalfEven(Math.fround(Math.fround(Math.fround(clipped - low) / span) * 255));
    }
  }
  return pixels;
}
