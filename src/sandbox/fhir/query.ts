/**
 * The text of a search taken apart: which conditions, sorting, includes and page size it asks for. Anything unknown is refused by name;
 * nothing is ever ignored and an empty value is never "all".
 *
 * Source: FHIR R4 search 3.1.1.4 (repeat = AND, comma = OR, escapes), 3.1.1.5 (result parameters).
 */
import { modifiers, type Parameter, parametersOf } from './parameters.ts';
import { isTypeModifier } from './reference.ts';
import { FhirRefusal } from './refusal.ts';
import type { ServedType } from './types.ts';

export interface Criterion {
  /** null for `_id` and `_lastUpdated`, which are columns and no index entries. */
  readonly parameter: Parameter | null;
  readonly name: string;
  /** '' = none. */
  readonly modifier: string;
  /** Alternatives (OR), at least one, none empty; separators still escaped inside. */
  readonly values: readonly string[];
}

export interface Include {
  readonly reverse: boolean;
  readonly type: ServedType;
  readonly parameter: string;
}

export interface Query {
  readonly type: ServedType;
  readonly criteria: readonly Criterion[];
  readonly sort: readonly { readonly name: string; readonly descending: boolean }[];
  readonly count: number;
  readonly countOnly: boolean;
  readonly includes: readonly Include[];
  /** The parameters that were applied, as the self link says them. */
  readonly applied: URLSearchParams;
}

const defaultCount = 50;
const maxCount = 500;

function refuse(message: string): never {
  throw new FhirRefusal(400, 'not-supported', message);
}

/** Splits at unescaped `separator`; `\,` `\|` `\$` `\\` stay for `literalOf`. */
export function splitAt(text: string, separator: ',' | '|'): string[] {
  const parts = [''];
  for (let index = 0; index < text.length; index += 1) {
    const char = text.charAt(index);
    if (char === '\\') {
      parts[parts.length - 1] += char + text.charAt(index + 1);
      index += 1;
    } else if (char === separator) parts.push('');
    else parts[parts.length - 1] += char;
  }
  return parts;
}

export function literalOf(text: string): string {
  return text.replace(/\\([,|$\\])/g, '$1');
}

function valuesOf(key: string, text: string): string[] {
  const values = splitAt(text, ',');
  if (values.some((value) => value.trim() === '')) {
    throw new FhirRefusal(400, 'value', `search parameter ${key}: found an empty value, expected a value in every alternative`);
  }
  return values;
}

function criterionOf(type: ServedType, key: string, text: string): Criterion {
  const [name = '', modifier = '', ...rest] = key.split(':');
  if (rest.length > 0 || name.includes('.') || name === '_has') refuse(`search parameter ${key}: chained search is not supported`);
  const values = valuesOf(key, text);
  if (name === '_id' || name === '_lastUpdated') {
    if (modifier !== '') refuse(`search parameter ${key}: ${name} takes no modifier`);
    return { parameter: null, name, modifier, values };
  }
  const parameter = parametersOf(type).get(name);
  if (parameter === undefined) {
    const known = ['_id', '_lastUpdated', ...parametersOf(type).keys()].sort().join(', ');
    refuse(`unknown search parameter ${name} for ${type}; known: ${known}`);
  }
  const known = modifiers[parameter.kind];
  const byType = parameter.kind === 'reference' && isTypeModifier(modifier);
  if (modifier !== '' && !known.includes(modifier) && !byType) {
    refuse(`search parameter ${key}: modifier :${modifier} is not supported; supported: ${known.map((one) => `:${one}`).join(', ')}`);
  }
  return { parameter, name, modifier, values };
}

function countOf(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new FhirRefusal(400, 'value', `_count: found ${text}, expected a whole number`);
  return Math.min(Number(text), maxCount);
}

function sortOf(type: ServedType, text: string): Query['sort'] {
  return text.split(',').map((part) => {
    const descending = part.startsWith('-');
    const name = descending ? part.slice(1) : part;
    if (name !== '_id' && name !== '_lastUpdated' && !parametersOf(type).has(name))
      refuse(`_sort: unknown search parameter ${name} for ${type}`);
    return { name, descending };
  });
}

function includeOf(key: string, text: string, type: ServedType): Include {
  const [source = '', parameter = '', target] = text.split(':');
  const reverse = key === '_revinclude';
  // Types of our own table only; ServedType is proven by the parameter being found in it.
  const found = parametersOf(source as ServedType).get(parameter);
  if (found?.kind !== 'reference') refuse(`${key}: ${text} names no reference parameter that is served`);
  if (target !== undefined) refuse(`${key}: a target type (:${target}) is not supported`);
  if (!reverse && source !== type) refuse(`${key}: found ${source}, expected a parameter of ${type}`);
  return { reverse, type: source as ServedType, parameter }; // a type with a found parameter is served
}

/** Result parameters other than the criteria; returns false when `key` is none of them. */
function resultParameter(key: string, value: string, type: ServedType, into: { -readonly [K in keyof Query]: Query[K] }): boolean {
  if (key === '_count') into.count = countOf(value);
  else if (key === '_sort') into.sort = sortOf(type, value);
  else if (key === '_include' || key === '_revinclude') into.includes = [...into.includes, includeOf(key, value, type)];
  else if (key === '_summary') {
    if (value !== 'count' && value !== 'false') refuse(`_summary=${value} is not supported; supported: count, false`);
    into.countOnly = value === 'count';
  } else if (key === '_total') {
    if (!['none', 'estimate', 'accurate'].includes(value)) throw new FhirRefusal(400, 'value', `_total: found ${value}`);
  } else return false;
  return true;
}

/** @throws FhirRefusal 400 naming the parameter, modifier or value that is not supported. */
export function parseQuery(type: ServedType, search: URLSearchParams): Query {
  const query = {
    type,
    criteria: [] as Criterion[],
    sort: [] as Query['sort'],
    count: defaultCount,
    countOnly: false,
    includes: [] as Include[],
    applied: new URLSearchParams(),
  };
  for (const [key, value] of search) {
    if (key === '_format' || key === '_pretty') continue; // the router has judged them
    if (!resultParameter(key, value, type, query)) query.criteria.push(criterionOf(type, key, value));
    if (key !== '_count') query.applied.append(key, value);
  }
  if (search.has('_count')) query.applied.append('_count', String(query.count));
  return { ...query, countOnly: query.countOnly || query.count === 0 };
}
