/**
 * A literal reference taken apart: local `Type/id` (also versioned or absolute under our own base), or a foreign URL that only equals itself.
 * Contained (`#x`) references are not searchable. Source: FHIR R4 references 2.3.0, search 3.1.1.4.12.
 */
import { isServed } from './types.ts';

export const idForm = /^[A-Za-z0-9.-]{1,64}$/;

export type Reference =
  | { readonly kind: 'local'; readonly type: string; readonly id: string }
  | { readonly kind: 'foreign'; readonly url: string };

const local = /^([A-Z][A-Za-z]+)\/([A-Za-z0-9.-]{1,64})(?:\/_history\/[A-Za-z0-9.-]{1,64})?$/;

/** null = nothing to point at (contained, or not a reference at all). `base` is the server's own base URL without a trailing slash. */
export function parseReference(text: string, base: string): Reference | null {
  const relative = text.startsWith(`${base}/`) ? text.slice(base.length + 1) : text;
  const match = local.exec(relative);
  if (match?.[1] !== undefined && match[2] !== undefined) return { kind: 'local', type: match[1], id: match[2] };
  return /^[a-z][a-z0-9+.-]*:/i.test(text) ? { kind: 'foreign', url: text } : null;
}

/** True for a type name that a `:Type` modifier may carry. */
export function isTypeModifier(modifier: string): boolean {
  return isServed(modifier);
}
