/**
 * Criteria of a search as SQL over the index. Every matching rule of a parameter kind is here.
 *
 * Tokens and URIs match exactly and by case; strings fold case and accents and match from the start of a part.
 * Source: FHIR R4 search 3.1.1.4.6 (string), .8 (uri), .10 (token), .12 (reference), .5 (date), and the modifiers of 3.1.1.4.2.
 */
import { dateRange, type Prefix, prefixes, prefixSql } from './dates.ts';
import { fold } from './entries.ts';
import type { Parameter } from './parameters.ts';
import { type Criterion, literalOf, splitAt } from './query.ts';
import { idForm, parseReference } from './reference.ts';
import { FhirRefusal } from './refusal.ts';

/** SQL with positional arguments. */
export interface Condition {
  readonly sql: string;
  readonly args: readonly (string | number)[];
}

function badValue(key: string, found: string, expected: string): never {
  throw new FhirRefusal(400, 'value', `search parameter ${key}: found ${JSON.stringify(found.slice(0, 80))}, expected ${expected}`);
}

function anyOf(conditions: readonly Condition[]): Condition {
  return { sql: `(${conditions.map((one) => one.sql).join(' OR ')})`, args: conditions.flatMap((one) => one.args) };
}

function tokenCondition(key: string, text: string, coded: boolean): Condition {
  const parts = splitAt(text, '|').map(literalOf);
  const [first = '', second] = parts;
  if (parts.length > 2 || (first === '' && (second ?? '') === '')) badValue(key, text, 'code, system|code, |code or system|');
  if (second === undefined) return { sql: 'value = ?', args: [first] };
  if (first === '') return { sql: '(system IS NULL AND value = ?)', args: [second] };
  if (!coded) badValue(key, text, 'a code without a system (the element has an implied one)');
  if (second === '') return { sql: 'system = ?', args: [first] };
  return { sql: '(system = ? AND value = ?)', args: [first, second] };
}

function referenceCondition(key: string, text: string, parameter: Parameter, modifier: string, base: string): Condition {
  const expected = `an id, Type/id or a URL${modifier === '' ? '' : ` of ${modifier}`}`;
  if (idForm.test(text)) {
    const type = modifier === '' ? parameter.only : modifier;
    return type === null ? { sql: 'value = ?', args: [text] } : { sql: '(system = ? AND value = ?)', args: [type, text] };
  }
  const reference = parseReference(literalOf(text), base);
  if (reference === null) badValue(key, text, expected);
  if (reference.kind === 'foreign') return { sql: "(system = '' AND value = ?)", args: [reference.url] };
  const wanted = modifier === '' ? parameter.only : modifier;
  if (wanted !== null && wanted !== reference.type) badValue(key, text, `a reference to ${wanted}`);
  return { sql: '(system = ? AND value = ?)', args: [reference.type, reference.id] };
}

function dateCondition(key: string, text: string, columns: readonly [low: string, high: string]): Condition {
  const prefix = prefixes.find((one) => text.startsWith(one)) ?? null;
  const range = dateRange(prefix === null ? text : text.slice(2));
  if (range === null) badValue(key, text, "a date with an optional prefix eq ne gt lt ge le sa eb (a '+' of a time zone is written %2B)");
  const args: number[] = [];
  const sql = prefixSql[prefix ?? ('eq' satisfies Prefix)].replace(/:(low|high)|\b(low|high)\b/g, (_, bound, column) => {
    if (bound === undefined) return column === 'low' ? columns[0] : columns[1];
    args.push(bound === 'low' ? range.low : range.high);
    return '?';
  });
  return { sql, args };
}

function stringCondition(text: string, modifier: string): Condition {
  const wanted = literalOf(text);
  if (modifier === 'exact') return { sql: 'system = ?', args: [wanted] };
  const folded = fold(wanted);
  if (modifier === 'contains') return { sql: 'instr(value, ?) > 0', args: [folded] };
  return { sql: 'substr(value, 1, ?) = ?', args: [[...folded].length, folded] };
}

function valueCondition(criterion: Criterion, parameter: Parameter, text: string, base: string): Condition {
  const key = criterion.modifier === '' ? criterion.name : `${criterion.name}:${criterion.modifier}`;
  if (criterion.modifier === 'identifier') return tokenCondition(key, text, true);
  switch (parameter.kind) {
    case 'token':
      return tokenCondition(key, text, true);
    case 'code':
      return tokenCondition(key, text, false);
    case 'reference':
      return referenceCondition(key, text, parameter, criterion.modifier, base);
    case 'date':
      return dateCondition(key, text, ['low', 'high']);
    case 'string':
      return stringCondition(text, criterion.modifier);
    case 'uri':
      return { sql: 'value = ?', args: [literalOf(text)] };
  }
}

function missing(criterion: Criterion): Condition {
  const [value] = criterion.values;
  if (criterion.values.length !== 1 || (value !== 'true' && value !== 'false'))
    badValue(`${criterion.name}:missing`, criterion.values.join(','), 'true or false');
  const args = [criterion.name, `${criterion.name}:identifier`];
  return { sql: `resource.key ${value === 'true' ? 'NOT ' : ''}IN (SELECT key FROM entry WHERE parameter IN (?, ?))`, args };
}

/** A condition on table `resource`. @throws FhirRefusal 400 for a value that the parameter cannot have. */
export function conditionOf(criterion: Criterion, base: string): Condition {
  const { name, parameter, modifier, values } = criterion;
  if (name === '_id') {
    const bad = values.find((value) => !idForm.test(value));
    if (bad !== undefined) badValue(name, bad, 'a logical id');
    return { sql: `resource.id IN (${values.map(() => '?').join(', ')})`, args: values };
  }
  if (parameter === null) return anyOf(values.map((value) => dateCondition(name, value, ['resource.updated', '(resource.updated + 1)'])));
  if (modifier === 'missing') return missing(criterion);
  const any = anyOf(values.map((value) => valueCondition(criterion, parameter, value, base)));
  const indexed = modifier === 'identifier' ? `${name}:identifier` : name;
  return {
    sql: `resource.key ${modifier === 'not' ? 'NOT ' : ''}IN (SELECT key FROM entry WHERE parameter = ? AND ${any.sql})`,
    args: [indexed, ...any.args],
  };
}
