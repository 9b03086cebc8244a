/**
 * A Bundle of someone's files made into a transaction that keeps ids: `resource.id`, else the UUID of its fullUrl. Loading twice updates.
 *
 * Entries of types that are not served are left out and counted by name; references to them stay as they are.
 */
import { z } from 'zod';
import { FhirRefusal } from './refusal.ts';
import { isServed } from './types.ts';

const loadForm = z.object({
  resourceType: z.literal('Bundle'),
  type: z.enum(['transaction', 'collection', 'batch', 'searchset']),
  entry: z.array(
    z.object({
      fullUrl: z.string().optional(),
      resource: z.looseObject({ resourceType: z.string(), id: z.string().optional() }),
    }),
  ),
});

/** What came of one Bundle. */
export interface Loaded {
  readonly stored: number;
  /** Types that are not served, with the number of entries that were left out. */
  readonly leftOut: Readonly<Record<string, number>>;
}

/** @throws FhirRefusal 400 when it is no such Bundle, or an entry has neither id nor a UUID as fullUrl. */
export function prepareLoad(bundle: unknown): { transaction: object; loaded: Loaded } {
  const parsed = loadForm.safeParse(bundle);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FhirRefusal(400, 'structure', `not a Bundle that can be loaded: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
  }
  const leftOut: Record<string, number> = {};
  const entry = parsed.data.entry.flatMap(({ fullUrl, resource }, index) => {
    const type = resource.resourceType;
    if (!isServed(type)) {
      leftOut[type] = (leftOut[type] ?? 0) + 1;
      return [];
    }
    const id = resource.id ?? /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.exec(fullUrl ?? '')?.[1];
    if (id === undefined) throw new FhirRefusal(400, 'invalid', `entry[${index}] (${type}) has neither an id nor a UUID as its fullUrl`);
    return [
      { ...(fullUrl === undefined ? {} : { fullUrl }), resource: { ...resource, id }, request: { method: 'PUT', url: `${type}/${id}` } },
    ];
  });
  return { transaction: { resourceType: 'Bundle', type: 'transaction', entry }, loaded: { stored: entry.length, leftOut } };
}
