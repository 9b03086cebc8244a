/**
 * Codes held against required value sets, by a walk over a resource along its StructureDefinition.
 *
 * A code or Coding must be listed; a CodeableConcept needs one listed coding if it has any. Value sets that cannot be listed (media types,
 * currencies) are not in codes.json and not checked. Source: FHIR R4 terminologies 4.1.5.
 */
import type { Bundle, ElementDefinition, OperationOutcomeIssue, Resource } from '@medplum/fhirtypes';

interface Element {
  /** Name of the data type, '' for a content reference. */
  readonly types: readonly string[];
  /** Path of the element whose children are meant. */
  readonly contentReference: string | null;
  /** Listed codes, null = no required binding that can be checked. */
  readonly codes: ReadonlySet<string> | null;
}

/** Elements by path ("Observation.status", "HumanName.use"); a choice stands as "Observation.value[x]". */
export type Schema = ReadonlyMap<string, Element>;

export function readSchema(structures: Bundle, codes: Readonly<Record<string, readonly string[]>>): Schema {
  const sets = new Map(Object.entries(codes).map(([url, list]) => [url, new Set(list)]));
  const codesOf = (element: ElementDefinition): ReadonlySet<string> | null =>
    sets.get(element.binding?.valueSet?.split('|')[0] ?? '') ?? null;
  const schema = new Map<string, Element>();
  for (const entry of structures.entry ?? []) {
    if (entry.resource?.resourceType !== 'StructureDefinition') continue;
    for (const element of entry.resource.snapshot?.element ?? []) {
      if (element.path === undefined || element.sliceName !== undefined) continue;
      schema.set(element.path, {
        types: element.type?.map((type) => type.code ?? '') ?? [],
        contentReference: element.contentReference?.split('#')[1] ?? null,
        codes: codesOf(element),
      });
    }
  }
  return schema;
}

/** The element of a member and the data type of its value ("valueQuantity" -> value[x], Quantity). */
function elementOf(schema: Schema, path: string, member: string): { element: Element; type: string; path: string } | null {
  const direct = schema.get(`${path}.${member}`);
  if (direct !== undefined) return { element: direct, type: direct.types[0] ?? '', path: `${path}.${member}` };
  for (let cut = member.length - 1; cut > 0; cut -= 1) {
    const element = schema.get(`${path}.${member.slice(0, cut)}[x]`);
    const suffix = member.slice(cut);
    const type = element?.types.find((one) => one.toLowerCase() === suffix.toLowerCase());
    if (element !== undefined && type !== undefined) return { element, type, path: `${path}.${member.slice(0, cut)}[x]` };
  }
  return null;
}

function codesIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  if ('coding' in value && Array.isArray(value.coding)) return value.coding.flatMap(codesIn);
  return 'code' in value && typeof value.code === 'string' ? [value.code] : [];
}

function valueFaults(element: Element, value: unknown, at: string): OperationOutcomeIssue[] {
  const found = codesIn(value);
  if (element.codes === null || found.length === 0 || found.some((code) => element.codes?.has(code))) return [];
  const known = [...element.codes];
  const expected = known.length > 20 ? `one of ${known.length} codes of its required value set` : known.join(', ');
  return [
    { severity: 'error', code: 'code-invalid', diagnostics: `${at}: found ${found.join(', ')}, expected ${expected}`, expression: [at] },
  ];
}

function walk(schema: Schema, value: unknown, path: string, at: string): OperationOutcomeIssue[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([member, content]) => {
    const found = elementOf(schema, path, member);
    if (found === null) return [];
    const items: unknown[] = Array.isArray(content) ? content : [content];
    return items.flatMap((item, index) => {
      const here = `${at}.${member}${Array.isArray(content) ? `[${index}]` : ''}`;
      const faults = valueFaults(found.element, item, here);
      if (found.type === 'Resource') return [...faults, ...resourceFaults(schema, item, here)];
      // Backbone elements and content references have their children in the structure itself, data types in their own.
      const inline = found.type === 'BackboneElement' || found.type === 'Element';
      const next = found.element.contentReference ?? (inline ? found.path : found.type);
      return [...faults, ...walk(schema, item, next, here)];
    });
  });
}

function resourceFaults(schema: Schema, value: unknown, at: string): OperationOutcomeIssue[] {
  if (typeof value !== 'object' || value === null || !('resourceType' in value) || typeof value.resourceType !== 'string') return [];
  return walk(schema, value, value.resourceType, at);
}

export function bindingFaults(schema: Schema, resource: Resource): OperationOutcomeIssue[] {
  return resourceFaults(schema, resource, resource.resourceType);
}
