/**
 * References as one server means them: an absolute one below a base of ours becomes `Type/id`, one of any other server stays absolute.
 *
 * `https://elsewhere.example/fhir/Patient/7` is not our Patient/7, and neither is `{base}/tenant/Patient/7`; so nothing behind this point
 * may look at the end of a reference alone.
 *
 * Source: FHIR R4 references (2.3.0.1), http (3.1.0.1.4).
 */
import { isBelow } from './address.ts';

/** `Type/id` when it lies directly below one of `bases`, without its version; else as written. */
export function ownReference(reference: string, bases: readonly string[]): string {
  const base = bases.find((one) => isBelow(one, reference));
  const below = base === undefined ? reference : new URL(reference).href.slice(new URL(base).href.replace(/\/+$/, '').length + 1);
  const [, plain] = /^([A-Z][A-Za-z]+\/[A-Za-z0-9.-]{1,255})(?:\/_history\/[A-Za-z0-9.-]+)?$/.exec(below) ?? [];
  return plain ?? reference;
}

/** A copy of any JSON value with every `reference` of it as `ownReference` gives it. */
export function withOwnReferences(value: unknown, bases: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((item) => withOwnReferences(item, bases));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [
      name,
      name === 'reference' && typeof member === 'string' ? ownReference(member, bases) : withOwnReferences(member, bases),
    ]),
  );
}
