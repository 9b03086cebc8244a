/**
 * Runs a search and pages through what it found.
 *
 * The keys found are kept under an opaque page token, so that no entry is repeated or lost while others write; only the newest tokens are
 * kept, an older link answers 410. Source: FHIR R4 search 3.1.1.5 and 3.1.3, http 3.1.0.12 (paging).
 */
import type { Bundle, BundleEntry, Resource } from '@medplum/fhirtypes';
import type { Access } from './access.ts';
import { type Condition, conditionOf } from './conditions.ts';
import { parametersOf } from './parameters.ts';
import { type Include, parseQuery, type Query } from './query.ts';
import { FhirRefusal } from './refusal.ts';
import type { FhirStore, Version } from './store.ts';
import { isServed, type ServedType } from './types.ts';

interface Held {
  readonly query: Query;
  readonly keys: readonly number[];
}

export interface Search {
  /** First page of what `access` may see. */
  first(query: Query, access: Access): Bundle;
  /** The page that a next or previous link names. @throws FhirRefusal 410 when the token is no longer held. */
  page(type: ServedType, token: string, offset: number, access: Access): Bundle;
  /** Matches of a condition (If-None-Exist, conditional update), at most three. @throws FhirRefusal 412 without any criterion. */
  matches(type: ServedType, search: string, access: Access): Version[];
}

const maxHeld = 500;

function orderBy(query: Query): Condition {
  const parts: string[] = [];
  const args: string[] = [];
  for (const { name, descending } of query.sort) {
    const direction = descending ? 'DESC' : 'ASC';
    if (name === '_id') parts.push(`resource.id ${direction}`);
    else if (name === '_lastUpdated') parts.push(`resource.updated ${direction}`);
    else {
      const date = parametersOf(query.type).get(name)?.kind === 'date';
      const column = descending ? `max(${date ? 'high' : 'value'})` : `min(${date ? 'low' : 'value'})`;
      parts.push(`(SELECT ${column} FROM entry WHERE entry.key = resource.key AND parameter = ?) ${direction} NULLS LAST`);
      args.push(name);
    }
  }
  return { sql: [...parts, 'resource.key ASC'].join(', '), args };
}

function keysOf(store: FhirStore, query: Query, access: Access, limit = -1): number[] {
  const narrow = access.narrow(query.type);
  const conditions = query.criteria.map((criterion) => conditionOf(criterion, store.base));
  const all = narrow === null ? conditions : [...conditions, narrow];
  const order = orderBy(query);
  const where = ['resource.type = ?', 'resource.deleted = 0', ...all.map((one) => one.sql)].join(' AND ');
  const sql = `SELECT resource.key AS key FROM resource WHERE ${where} ORDER BY ${order.sql} LIMIT ?`;
  const args = [query.type, ...all.flatMap((one) => one.args), ...order.args, limit];
  return store.db
    .prepare(sql)
    .all(...args)
    .map((row) => Number(row.key));
}

function included(store: FhirStore, include: Include, of: Version): Version[] {
  if (include.reverse) {
    const sql = `SELECT DISTINCT resource.key AS key FROM entry JOIN resource ON resource.key = entry.key
      WHERE entry.parameter = ? AND entry.system = ? AND entry.value = ? AND resource.type = ? AND resource.deleted = 0 ORDER BY resource.key`;
    const rows = store.db.prepare(sql).all(include.parameter, of.type, of.id, include.type);
    return rows.map((row) => store.byKey(Number(row.key))).filter((one) => one !== null);
  }
  const sql = `SELECT DISTINCT entry.system AS type, entry.value AS id FROM entry JOIN resource ON resource.key = entry.key
    WHERE resource.type = ? AND resource.id = ? AND entry.parameter = ? AND entry.system <> ''`;
  const targets: Version[] = [];
  for (const { type, id } of store.db.prepare(sql).all(of.type, of.id, include.parameter)) {
    const found = typeof type === 'string' && isServed(type) ? store.newest(type, String(id)) : null;
    if (found !== null && found.resource !== null) targets.push(found);
  }
  return targets;
}

function entryOf(store: FhirStore, found: Version, resource: Resource, mode: 'match' | 'include'): BundleEntry {
  return { fullUrl: `${store.base}/${found.type}/${found.id}`, resource, search: { mode } };
}

/** `newToken` gives an unguessable page token. */
export function openSearch(store: FhirStore, newToken: () => string): Search {
  const held = new Map<string, Held>();

  function hold(query: Query, keys: readonly number[]): string {
    const token = newToken();
    held.set(token, { query, keys });
    for (const oldest of held.keys()) {
      if (held.size <= maxHeld) break;
      held.delete(oldest);
    }
    return token;
  }

  function includesOf(query: Query, matches: readonly Version[], access: Access): BundleEntry[] {
    const seen = new Set(matches.map((one) => `${one.type}/${one.id}`));
    const found = matches.flatMap((match) =>
      query.includes.filter((one) => one.reverse || one.type === match.type).flatMap((one) => included(store, one, match)),
    );
    const entries: BundleEntry[] = [];
    for (const one of found) {
      const name = `${one.type}/${one.id}`;
      if (one.resource === null || seen.has(name) || !access.sees(one)) continue;
      seen.add(name);
      entries.push(entryOf(store, one, one.resource, 'include'));
    }
    return entries;
  }

  function bundle({ query, keys }: Held, token: string | null, offset: number, access: Access): Bundle {
    const path = `${store.base}/${query.type}`;
    const self = query.applied.size === 0 ? path : `${path}?${query.applied.toString()}`;
    const link = [{ relation: 'self', url: self }];
    const total = keys.length;
    if (query.countOnly) return { resourceType: 'Bundle', type: 'searchset', total, link };
    const at = (relation: string, from: number): void => {
      if (token !== null) link.push({ relation, url: `${path}?_page=${token}&_offset=${from}` });
    };
    if (offset > 0) at('previous', Math.max(0, offset - query.count));
    if (offset + query.count < total) at('next', offset + query.count);
    const matches = keys
      .slice(offset, offset + query.count)
      .map((key) => store.byKey(key))
      .filter((one) => one !== null);
    const entry = matches.flatMap((one) =>
      one.resource === null || !access.sees(one) ? [] : [entryOf(store, one, one.resource, 'match')],
    );
    const all = [...entry, ...includesOf(query, matches, access)];
    return { resourceType: 'Bundle', type: 'searchset', total, link, ...(all.length === 0 ? {} : { entry: all }) };
  }

  return {
    first(query, access) {
      const found = { query, keys: keysOf(store, query, access) };
      const token = !query.countOnly && found.keys.length > query.count ? hold(query, found.keys) : null;
      return bundle(found, token, 0, access);
    },
    page(type, token, offset, access) {
      const found = held.get(token);
      if (found === undefined || found.query.type !== type) {
        throw new FhirRefusal(410, 'deleted', 'this page link is unknown or has expired; search again');
      }
      return bundle(found, token, offset, access);
    },
    matches(type, search, access) {
      const query = parseQuery(type, new URLSearchParams(search.includes('?') ? search.slice(search.indexOf('?') + 1) : search));
      if (query.criteria.length === 0)
        throw new FhirRefusal(412, 'multiple-matches', `condition ${JSON.stringify(search)} has no criterion and would match everything`);
      return keysOf(store, query, access, 3)
        .map((key) => store.byKey(key))
        .filter((one) => one !== null);
    },
  };
}
