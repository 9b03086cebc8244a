/**
 * What a prefetch key of a CDS Hooks request says: the states mean different things and none of them is "no findings" by accident.
 *
 * `null` is an answer (the query gave nothing); an absent key is none. An OperationOutcome says that the EHR tried and failed.
 *
 * Source: CDS Hooks 2.0, Prefetch Template.
 */
import type { Warning } from '#domain/errors.ts';
import { bundle, operationOutcome, outcomeTexts, type Resource } from './types.ts';

export type Prefetched =
  /** The EHR did not send the key: ask with the request's token, then with our own. */
  | { readonly state: 'absent' }
  /** The query was run and gave nothing: do not ask again. */
  | { readonly state: 'empty' }
  /** One resource, of a read. */
  | { readonly state: 'resource'; readonly resource: Resource }
  /** A search's result. `next` is the link to its next page as sent, null = this is all. */
  | { readonly state: 'list'; readonly resources: readonly Resource[]; readonly next: string | null; readonly warnings: readonly Warning[] }
  /** The EHR tried and failed: ask again only with our own credentials. */
  | { readonly state: 'failed'; readonly warning: Warning }
  /** Something else (a string, an HTML page, another type): treat as absent, and say so. */
  | { readonly state: 'malformed'; readonly warning: Warning };

function malformed(key: string, found: string, expected: string): Prefetched {
  return { state: 'malformed', warning: { code: 'prefetch-malformed', message: `prefetch.${key}: found ${found}, expected ${expected}` } };
}

function resourceTypeOf(value: unknown): string | null {
  const typed = typeof value === 'object' && value !== null && 'resourceType' in value;
  return typed && typeof value.resourceType === 'string' ? value.resourceType : null;
}

function list(key: string, value: unknown, type: string): Prefetched {
  const parsed = bundle.safeParse(value);
  if (!parsed.success) return malformed(key, 'a malformed Bundle', `a Bundle of ${type}`);
  const resources: Resource[] = [];
  const warnings: Warning[] = [];
  for (const { resource, search } of parsed.data.entry ?? []) {
    if (resource === undefined) continue;
    const outcome = operationOutcome.safeParse(resource);
    if (outcome.success) {
      warnings.push({ code: 'prefetch-partial', message: `prefetch.${key}: the EHR says: ${outcomeTexts(outcome.data).join('; ')}` });
    } else if (resource.resourceType === type || search?.mode === 'include') resources.push(resource);
    else
      warnings.push({
        code: 'prefetch-malformed',
        message: `prefetch.${key}: found a ${resource.resourceType} among ${type}; it was left out`,
      });
  }
  const next = parsed.data.link?.find((link) => link.relation === 'next')?.url ?? null;
  if (next === null && resources.length === 0 && warnings.length === 0) return { state: 'empty' };
  return { state: 'list', resources, next, warnings };
}

/**
 * Judges one key.
 * @param type the resource type of the template: "Patient" for a read, the searched type for a search
 * @param kind what the template is; a read answered by a Bundle and the reverse are malformed
 */
export function prefetched(
  prefetch: Readonly<Record<string, unknown>> | null,
  key: string,
  type: string,
  kind: 'read' | 'search',
): Prefetched {
  if (prefetch === null || !Object.hasOwn(prefetch, key)) return { state: 'absent' };
  const value = prefetch[key];
  if (value === null) return { state: 'empty' };
  const expected = kind === 'read' ? `a ${type}` : `a Bundle of ${type}`;
  const found = resourceTypeOf(value);
  if (found === null) return malformed(key, Array.isArray(value) ? 'an array' : `a ${typeof value} without resourceType`, expected);
  if (found === 'OperationOutcome') {
    const outcome = operationOutcome.safeParse(value);
    const texts = outcome.success ? outcomeTexts(outcome.data).join('; ') : 'an unreadable OperationOutcome';
    return { state: 'failed', warning: { code: 'prefetch-failed', message: `prefetch.${key}: the EHR could not read it: ${texts}` } };
  }
  if (kind === 'search' && found === 'Bundle') return list(key, value, type);
  if (kind === 'read' && found === type) return { state: 'resource', resource: value as Resource }; // an object with a resourceType, as checked
  return malformed(key, `a ${found}`, expected);
}
