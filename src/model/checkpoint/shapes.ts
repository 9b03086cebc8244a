/** Sizes that a checkpoint says only by the names and shapes of its tensors. */
import { refuseMisfit } from './misfit.ts';
import type { TensorSource } from './tensors.ts';

/** Dimensions of a tensor from which sizes are taken. @throws checkpoint-tensors when it is missing, of another rank, or empty */
export function dimensions(source: Pick<TensorSource, 'names' | 'info'>, name: string, rank: number): readonly number[] {
  const form = `[${Array.from({ length: rank }, () => '?').join(', ')}]`;
  if (!source.names.includes(name)) refuseMisfit({ missing: [`${name} ${form}`], misshapen: [], extra: [] });
  const { shape } = source.info(name);
  if (shape.length !== rank || shape.some((size) => size === 0)) {
    refuseMisfit({ missing: [], misshapen: [`${name} is [${shape.join(', ')}], ${form} expected`], extra: [] });
  }
  return shape;
}

/** Highest N of `prefix`N. and 1, at least 1; a gap below it is named as missing by the check of all names. */
export function countNumbered(names: readonly string[], prefix: string): number {
  const numbers = names.filter((name) => name.startsWith(prefix)).map((name) => Number(/^\d+(?=\.)/.exec(name.slice(prefix.length))?.[0]));
  return Math.max(0, ...numbers.filter((number) => Number.isInteger(number))) + 1;
}
