/** Attribution from a table of subset values, straight from the definitions: what parity compares the golden numbers with. */

/** Value of a subset; bit i of the key, left to right, says whether image i is kept. */
type Value = (key: string) => number;

/** Keys in the order of a tree over the images, so that neighbours share their beginning. */
export function subsets(keys: readonly string[]): string[] {
  return [...keys].sort().reverse();
}

function keyOf(images: number, kept: (image: number) => boolean): string {
  return Array.from({ length: images }, (_, image) => (kept(image) ? '1' : '0')).join('');
}

/** v(all) - v(all without i). */
export function leaveOneOut(images: number, value: Value): number[] {
  const all = value(keyOf(images, () => true));
  return Array.from({ length: images }, (_, i) => all - value(keyOf(images, (image) => image !== i)));
}

/** v(only i) - v(none). */
export function keepOneIn(images: number, value: Value): number[] {
  const none = value(keyOf(images, () => false));
  return Array.from({ length: images }, (_, i) => value(keyOf(images, (image) => image === i)) - none);
}

/** Exact Shapley values: the mean over orders of what image i adds to those before it. */
export function shapley(images: number, value: Value): number[] {
  const factorial = (n: number): number => (n < 2 ? 1 : n * factorial(n - 1));
  return Array.from({ length: images }, (_, i) => {
    let sum = 0;
    for (let mask = 0; mask < 2 ** images; mask++) {
      const has = (image: number) => Math.floor(mask / 2 ** image) % 2 === 1;
      if (has(i)) continue;
      const size = Array.from({ length: images }, (__, image) => has(image)).filter(Boolean).length;
      const weight = (factorial(size) * factorial(images - size - 1)) / factorial(images);
      sum += weight * (value(keyOf(images, (image) => image === i || has(image))) - value(keyOf(images, has)));
    }
    return sum;
  });
}
