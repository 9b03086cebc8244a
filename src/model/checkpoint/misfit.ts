/** The refusal of a checkpoint whose tensors are not those of its config: every fault in one message, by the authors' names. */
import { WetreadError } from '#domain/errors.ts';
import type { TensorSource } from './tensors.ts';

interface Misfit {
  /** `name [shape]` of tensors that are needed and not there. */
  readonly missing: readonly string[];
  /** `name is [shape], [shape] expected`. */
  readonly misshapen: readonly string[];
  /** Names of no part of the model. */
  readonly extra: readonly string[];
}

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 8).join(', ');
  return names.length > 8 ? `${shown} and ${names.length - 8} more` : shown;
}

/** @throws checkpoint-tensors when any of the lists holds a name */
export function refuseMisfit({ missing, misshapen, extra }: Misfit): void {
  const faults = [
    ...(missing.length === 0 ? [] : [`missing: ${listed(missing)}`]),
    ...(misshapen.length === 0 ? [] : [`wrong shape: ${listed(misshapen)}`]),
    ...(extra.length === 0 ? [] : [`not of this architecture: ${listed(extra)}`]),
  ];
  if (faults.length === 0) return;
  throw new WetreadError('checkpoint-tensors', `the checkpoint's tensors do not fit its config: ${faults.join('; ')}`, {
    hint: 'config.json and the weight files must be of one checkpoint, and all shards must be there',
  });
}

/**
 * Compares a checkpoint with what its config asks for.
 * @param expected shapes by the authors' names
 * @param mayBeIgnored names that no graph needs and that may be there
 * @throws checkpoint-tensors naming missing tensors, tensors of another shape (both shapes) and tensors that belong to no part
 */
export function checkTensors(
  expected: ReadonlyMap<string, readonly number[]>,
  source: Pick<TensorSource, 'names' | 'info'>,
  mayBeIgnored: (name: string) => boolean,
): void {
  const there = new Set(source.names);
  const misshapen: string[] = [];
  for (const [name, shape] of expected) {
    if (!there.has(name)) continue;
    const found = source.info(name).shape;
    if (found.join() !== shape.join()) misshapen.push(`${name} is [${found.join(', ')}], [${shape.join(', ')}] expected`);
  }
  refuseMisfit({
    missing: [...expected].filter(([name]) => !there.has(name)).map(([name, shape]) => `${name} [${shape.join(', ')}]`),
    misshapen,
    extra: source.names.filter((name) => !expected.has(name) && !mayBeIgnored(name)),
  });
}
