/**
 * Compares a resource that was written with what the server gives back, over the elements that we own.
 *
 * Servers change meta, rewrite narrative, reorder and add; what we sent must still be there. A dropped label of artificial intelligence or
 * a dropped extension is a difference that the site must see. `id`, narrative and everything that the server added are not ours.
 *
 * Source: FHIR R4 http (transaction responses), Resource (tag updates).
 */
import type { Device, DiagnosticReport, Media, Observation, Provenance } from '@medplum/fhirtypes';

/** The resources that wetread writes. */
export type Delivered = DiagnosticReport | Device | Media | Observation | Provenance;

export interface Difference {
  /** Path as FHIRPath writes it, e.g. `DiagnosticReport.meta.security[0]`. */
  readonly path: string;
  /** JSON of what was sent. */
  readonly sent: string;
  /** JSON of what is there, null = it is missing. */
  readonly found: string | null;
}

/** Members whose items may come back in another order; each item sent must be found. */
const unordered = new Set(['extension', 'security', 'tag', 'profile', 'identifier', 'category', 'coding']);

/** @param references what the server answered for each `urn:uuid:` of the transaction: urn -> `Type/id` */
export function compareDelivered(sent: Delivered, found: Delivered, references: ReadonlyMap<string, string>): readonly Difference[] {
  const { text: _narrative, id: _id, ...owned } = sent;
  return compare(owned, found, sent.resourceType, references);
}

function compare(sent: unknown, found: unknown, path: string, references: ReadonlyMap<string, string>): readonly Difference[] {
  if (Array.isArray(sent)) return compareItems(sent, found, path, references);
  if (typeof sent === 'object' && sent !== null) {
    if (typeof found !== 'object' || found === null) return [difference(path, sent, found)];
    const there = new Map(Object.entries(found));
    return Object.entries(sent).flatMap(([name, member]) => compare(member, there.get(name), `${path}.${name}`, references));
  }
  const equal = path.endsWith('.reference') ? sameReference(sent, found, references) : sameValue(sent, found);
  return equal ? [] : [difference(path, sent, found)];
}

function compareItems(
  sent: readonly unknown[],
  found: unknown,
  path: string,
  references: ReadonlyMap<string, string>,
): readonly Difference[] {
  const there: readonly unknown[] = Array.isArray(found) ? found : [];
  const anywhere = unordered.has(path.slice(path.lastIndexOf('.') + 1));
  const missing = sent.flatMap((item, index) => {
    const here = `${path}[${index}]`;
    if (!anywhere) return compare(item, there[index], here, references);
    return there.some((other) => compare(item, other, here, references).length === 0) ? [] : [difference(here, item, undefined)];
  });
  const added = !anywhere && there.length > sent.length ? [difference(path, sent, there)] : [];
  return [...missing, ...added];
}

/** Instants are compared as times, since servers rewrite zone and fraction. */
function sameValue(sent: unknown, found: unknown): boolean {
  if (sent === found) return true;
  if (typeof sent !== 'string' || typeof found !== 'string' || !isInstant(sent) || !isInstant(found)) return false;
  return Date.parse(sent) === Date.parse(found);
}

function isInstant(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.test(text);
}

/** `Type/id`, absolute or with a version behind it, all name one resource. */
function sameReference(sent: unknown, found: unknown, references: ReadonlyMap<string, string>): boolean {
  if (typeof sent !== 'string' || typeof found !== 'string') return false;
  const expected = relative(references.get(sent) ?? sent);
  const actual = relative(found);
  return actual === expected || actual.endsWith(`/${expected}`);
}

function relative(reference: string): string {
  return reference.replace(/\/_history\/[^/]+$/, '');
}

function difference(path: string, sent: unknown, found: unknown): Difference {
  return { path, sent: JSON.stringify(sent), found: found === undefined ? null : JSON.stringify(found) };
}
