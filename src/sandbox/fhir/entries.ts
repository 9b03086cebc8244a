/**
 * A resource as rows of the search index: one row per value of each parameter of the table.
 *
 * `system` null = the value has none (it then matches `|code`). For strings `system` holds the text as written and `value` its folded form;
 * for references `system` is the target's type and `value` its id, or '' and the URL of a foreign target.
 * Source: FHIR R4 search 3.1.1.4 (what each parameter type matches in each data type).
 */
import type { Resource } from '@medplum/fhirtypes';
import fhirpath from 'fhirpath';
import r4 from 'fhirpath/fhir-context/r4';
import { z } from 'zod';
import { beginning, dateRange, end, type Range } from './dates.ts';
import { type Kind, type Parameter, parametersOf } from './parameters.ts';
import { parseReference } from './reference.ts';
import type { ServedType } from './types.ts';

export interface Entry {
  readonly parameter: string;
  readonly system: string | null;
  readonly value: string | null;
  readonly low: number | null;
  readonly high: number | null;
}

type Value = Omit<Entry, 'parameter'>;

const token = (system: string | null, value: string | null): Value => ({ system, value, low: null, high: null });

/** Lower case, accents removed: "Möller" is found as "moller". */
export function fold(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}

const textForm = z.string();
const codingForm = z.object({ system: z.string().optional(), code: z.string().optional() });
const conceptForm = z.object({ coding: z.array(codingForm) });
const identifierForm = z.object({ system: z.string().optional(), value: z.string().optional() });
const referenceForm = z.object({ reference: z.string().optional(), identifier: identifierForm.optional() });
const periodForm = z.object({ start: z.string().optional(), end: z.string().optional() });
const timingForm = z.object({
  event: z.array(z.string()).optional(),
  repeat: z.object({ boundsPeriod: periodForm.optional() }).optional(),
});

function tokenValues(item: unknown): Value[] {
  if (typeof item === 'string' || typeof item === 'boolean') return [token(null, String(item))];
  const concept = conceptForm.safeParse(item);
  if (concept.success) return concept.data.coding.flatMap((coding) => tokenValues(coding));
  const coding = codingForm.safeParse(item);
  if (coding.success && coding.data.code !== undefined) return [token(coding.data.system ?? null, coding.data.code)];
  const identifier = identifierForm.safeParse(item);
  if (identifier.success && identifier.data.value !== undefined) return [token(identifier.data.system ?? null, identifier.data.value)];
  return [];
}

function codeValues(item: unknown): Value[] {
  return tokenValues(item).map((one) => ({ ...one, system: null }));
}

/** All strings of a HumanName or Address, but no codes, periods or extensions. */
const nameParts = z.object({
  text: z.string().optional(),
  family: z.string().optional(),
  given: z.array(z.string().nullable()).optional(),
  prefix: z.array(z.string().nullable()).optional(),
  suffix: z.array(z.string().nullable()).optional(),
  line: z.array(z.string().nullable()).optional(),
  city: z.string().optional(),
  district: z.string().optional(),
  state: z.string().optional(),
  postalCode: z.string().optional(),
  country: z.string().optional(),
});

function stringValues(item: unknown): Value[] {
  const plain = textForm.safeParse(item);
  const parts = plain.success ? [plain.data] : Object.values(nameParts.safeParse(item).data ?? {}).flat();
  return parts.filter((part) => part !== null && part !== undefined).map((part) => token(part, fold(part)));
}

function rangesOf(item: unknown): Range[] {
  if (typeof item === 'string') return [dateRange(item)].filter((range) => range !== null);
  const timing = timingForm.safeParse(item);
  if (timing.success && (timing.data.event !== undefined || timing.data.repeat !== undefined)) {
    return [...(timing.data.event ?? []), timing.data.repeat?.boundsPeriod].flatMap(rangesOf);
  }
  const period = periodForm.safeParse(item);
  if (!period.success || (period.data.start === undefined && period.data.end === undefined)) return [];
  const low = period.data.start === undefined ? beginning : dateRange(period.data.start)?.low;
  const high = period.data.end === undefined ? end : dateRange(period.data.end)?.high;
  return low === undefined || high === undefined ? [] : [{ low, high }];
}

function referenceValues(item: unknown, only: string | null, base: string): Value[] {
  const parsed = referenceForm.safeParse(item);
  const target = parsed.data?.reference === undefined ? null : parseReference(parsed.data.reference, base);
  if (target === null) return [];
  if (target.kind === 'foreign') return only === null ? [token('', target.url)] : [];
  return only === null || only === target.type ? [token(target.type, target.id)] : [];
}

function valuesOf(kind: Exclude<Kind, 'reference'>, item: unknown): Value[] {
  switch (kind) {
    case 'token':
      return tokenValues(item);
    case 'code':
      return codeValues(item);
    case 'string':
      return stringValues(item);
    case 'uri':
      return typeof item === 'string' ? [token(null, item)] : [];
    case 'date':
      return rangesOf(item).map(({ low, high }) => ({ system: null, value: null, low, high }));
  }
}

const compiled = new Map<string, (resource: Resource) => unknown>();

function evaluate(expression: string, resource: Resource): unknown[] {
  let path = compiled.get(expression);
  if (path === undefined) {
    path = fhirpath.compile(expression, r4);
    compiled.set(expression, path);
  }
  const found = path(resource);
  return Array.isArray(found) ? found : [];
}

function entriesOf(parameter: Parameter, resource: Resource, base: string): Entry[] {
  const items = evaluate(parameter.expression, resource);
  if (parameter.kind === 'reference') {
    const literal = items.flatMap((item) => referenceValues(item, parameter.only, base));
    const logical = items.flatMap((item) => tokenValues(referenceForm.safeParse(item).data?.identifier));
    return [
      ...literal.map((value) => ({ parameter: parameter.name, ...value })),
      ...logical.map((value) => ({ parameter: `${parameter.name}:identifier`, ...value })),
    ];
  }
  const { kind, name } = parameter;
  return items.flatMap((item) => valuesOf(kind, item)).map((value) => ({ parameter: name, ...value }));
}

/** All index rows of a resource of a served type. */
export function entriesFor(type: ServedType, resource: Resource, base: string): Entry[] {
  return [...parametersOf(type).values()].flatMap((parameter) => entriesOf(parameter, resource, base));
}
