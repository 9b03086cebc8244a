/**
 * What each image adds to a value that is known for subsets of the images.
 *
 * A subset is written as one character per image, '1' = shown, '0' = nulled, the first image first: '110'.
 * Source: Shapley 1953; golden/README.md defines leave-one-out and keep-one-in.
 */

/** Value of a subset; called only with subsets of the right length. */
export type Value = (subset: string) => number;

export function subsetOf(keep: readonly boolean[]): string {
  return keep.map((kept) => (kept ? '1' : '0')).join('');
}

export function keepOf(subset: string): readonly boolean[] {
  return [...subset].map((character) => character === '1');
}

/** All 2^images subsets, neighbours sharing as many first images as possible: '11', '10', '01', '00'. */
export function allSubsets(images: number): readonly string[] {
  const count = 2 ** images;
  return Array.from({ length: count }, (_, at) => (count - 1 - at).toString(2).padStart(images, '0'));
}

function withImage(subset: string, image: number, shown: boolean): string {
  return `${subset.slice(0, image)}${shown ? '1' : '0'}${subset.slice(image + 1)}`;
}

export const noneOf = (images: number): string => '0'.repeat(images);
export const allOf = (images: number): string => '1'.repeat(images);
export const withoutOne = (images: number, image: number): string => withImage(allOf(images), image, false);
export const onlyOne = (images: number, image: number): string => withImage(noneOf(images), image, true);

function factorial(n: number): number {
  return n < 2 ? 1 : n * factorial(n - 1);
}

/** Exact Shapley values; they sum to v(all) - v(none). Needs every subset: 2^images values. */
export function shapley(images: number, value: Value): readonly number[] {
  const subsets = allSubsets(images);
  return Array.from({ length: images }, (_, image) => {
    let sum = 0;
    for (const subset of subsets) {
      if (subset[image] === '1') continue;
      const size = subset.split('1').length - 1;
      const weight = (factorial(size) * factorial(images - size - 1)) / factorial(images);
      sum += weight * (value(withImage(subset, image, true)) - value(subset));
    }
    return sum;
  });
}

/** v(all) - v(all without i) for each image. */
export function leaveOneOut(images: number, value: Value): readonly number[] {
  return Array.from({ length: images }, (_, image) => value(allOf(images)) - value(withoutOne(images, image)));
}

/** v(only i) - v(none) for each image. */
export function keepOneIn(images: number, value: Value): readonly number[] {
  return Array.from({ length: images }, (_, image) => value(onlyOne(images, image)) - value(noneOf(images)));
}
