/**
 * References of a transaction's resources made literal: fullUrls of the bundle become `Type/id`, `Type?search` becomes its one match.
 *
 * Only references, attachment URLs and the links of a narrative are touched; an identifier that happens to hold the same URN is not.
 * Source: FHIR R4 http 3.1.0.11.2 (replacing references), 3.1.0.11.3 (conditional references).
 */
import { FhirRefusal } from './refusal.ts';

export interface References {
  /** fullUrl -> `Type/id`. */
  readonly names: ReadonlyMap<string, string>;
  /** `Type/id` of the one match of a conditional reference, null = none. */
  readonly resolve: (type: string, condition: string) => string | null;
}

function rewriteLink(text: string, { names, resolve }: References): string {
  const [url = '', ...fragment] = text.split('#');
  const name = names.get(url);
  if (name !== undefined) return [name, ...fragment].join('#');
  const conditional = /^([A-Z][A-Za-z]+)\?(.+)$/.exec(text);
  if (conditional === null) return text;
  const found = resolve(conditional[1] ?? '', conditional[2] ?? '');
  if (found === null) throw new FhirRefusal(412, 'not-found', `conditional reference ${JSON.stringify(text)} matches nothing`);
  return found;
}

function rewriteDiv(div: string, { names }: References): string {
  return div.replace(/\b(href|src)="([^"]*)"/g, (whole, attribute: string, url: string) => {
    const name = names.get(url);
    return name === undefined ? whole : `${attribute}="${name}"`;
  });
}

/** A copy of `value` with its references made literal. @throws FhirRefusal 412 when a conditional reference has not exactly one match. */
export function rewriteReferences(value: unknown, references: References): unknown {
  if (Array.isArray(value)) return value.map((item) => rewriteReferences(item, references));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      if (typeof member !== 'string') return [name, rewriteReferences(member, references)];
      if (name === 'reference') return [name, rewriteLink(member, references)];
      if (name === 'url') return [name, references.names.get(member) ?? member];
      if (name === 'div') return [name, rewriteDiv(member, references)];
      return [name, member];
    }),
  );
}
