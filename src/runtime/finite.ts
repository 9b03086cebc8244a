/** A model's numbers, refused where they are none: NaN spreads without a word from the library. */
import { WetreadError } from '#domain/errors.ts';

/** @throws not-finite, naming `what` and the first value that is NaN or infinite */
export function checkFinite(values: Float32Array, what: string): void {
  for (let i = 0; i < values.length; i++) {
    if (!Number.isFinite(values[i])) {
      throw new WetreadError('not-finite', `${what}: value ${i} is ${values[i]}, a finite number expected`);
    }
  }
}
