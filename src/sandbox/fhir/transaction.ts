/**
 * Transactions and batches. A transaction is judged and written in one SQL transaction: one refused entry leaves nothing behind.
 *
 * Ids and conditions are resolved before anything is written, then the order is DELETE, POST, PUT, GET whatever the order in the bundle;
 * an identity that two entries share is refused. Source: FHIR R4 http 3.1.0.11 (transaction processing rules).
 */
import type { Bundle, BundleEntry } from '@medplum/fhirtypes';
import { z } from 'zod';
import type { Access } from './access.ts';
import { parseQuery } from './query.ts';
import { etag, read } from './read.ts';
import { type References, rewriteReferences } from './references.ts';
import { FhirRefusal, outcomeOf } from './refusal.ts';
import type { Search } from './search.ts';
import type { FhirStore, Version } from './store.ts';
import { isServed, type ServedType } from './types.ts';
import type { Writer, Written } from './write.ts';

export interface FhirServices {
  readonly store: FhirStore;
  readonly search: Search;
  readonly writer: Writer;
  readonly newId: () => string;
}

const entryForm = z.object({
  fullUrl: z.string().optional(),
  resource: z.unknown().optional(),
  request: z.object({
    method: z.enum(['GET', 'POST', 'PUT', 'DELETE']),
    url: z.string(),
    ifNoneExist: z.string().optional(),
    ifMatch: z.string().optional(),
  }),
});
const bundleForm = z.object({
  resourceType: z.literal('Bundle'),
  type: z.enum(['transaction', 'batch']),
  entry: z.array(entryForm).max(5000).optional(),
});

/** What an entry asks, with its URL taken apart. */
interface Task {
  readonly index: number;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly type: ServedType;
  /** From the URL or a condition, or new; null for a search. */
  readonly id: string | null;
  readonly query: string | null;
  readonly fullUrl: string | null;
  readonly resource: unknown;
  readonly ifMatch: string | undefined;
  /** The one match of ifNoneExist: nothing is written. */
  readonly found: Version | null;
}

const order = ['DELETE', 'POST', 'PUT', 'GET'] as const;

/** Puts "entry 3" before the words of a refusal. */
function inEntry<T>(index: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof FhirRefusal)) throw error;
    const issues = error.issues.map((issue) => ({ ...issue, diagnostics: `Bundle.entry[${index}]: ${issue.diagnostics ?? ''}` }));
    throw FhirRefusal.of(error.status, issues);
  }
}

function parseUrl(url: string, base: string): { type: ServedType; id: string | null; query: string | null } {
  const relative = url.startsWith(`${base}/`) ? url.slice(base.length + 1) : url;
  const match = /^([A-Z][A-Za-z]+)(?:\/([A-Za-z0-9.-]{1,64}))?(?:\?(.*))?$/.exec(relative);
  const [, type, id = null, query = null] = match ?? [];
  if (type === undefined)
    throw new FhirRefusal(400, 'value', `request.url ${JSON.stringify(url.slice(0, 80))} is no Type, Type/id or Type?search`);
  if (!isServed(type)) throw new FhirRefusal(404, 'not-supported', `resource type ${type} is not served`);
  return { type, id, query };
}

function one(services: FhirServices, type: ServedType, condition: string, access: Access): Version | null {
  const matches = services.search.matches(type, condition, access);
  if (matches.length > 1)
    throw new FhirRefusal(412, 'multiple-matches', `condition ${JSON.stringify(condition)} matches more than one ${type}`);
  return matches[0] ?? null;
}

function taskOf(services: FhirServices, entry: z.infer<typeof entryForm>, index: number, access: Access): Task {
  const { method, url, ifNoneExist, ifMatch } = entry.request;
  const { type, id, query } = parseUrl(url, services.store.base);
  const task = { index, method, type, id, query, fullUrl: entry.fullUrl ?? null, resource: entry.resource, ifMatch, found: null };
  if (method === 'GET') return task;
  if (method === 'DELETE') {
    if (id === null) throw new FhirRefusal(400, 'not-supported', 'conditional delete is not supported');
    return task;
  }
  if (method === 'POST') {
    if (id !== null || query !== null) throw new FhirRefusal(400, 'value', `POST ${url}: expected a type alone`);
    const found = ifNoneExist === undefined ? null : one(services, type, ifNoneExist, access);
    return { ...task, id: found?.id ?? services.newId(), found };
  }
  if (id !== null) return task;
  if (query === null) throw new FhirRefusal(400, 'value', `PUT ${url}: expected Type/id or Type?search`);
  const given = typeof entry.resource === 'object' && entry.resource !== null && 'id' in entry.resource ? entry.resource.id : null;
  return { ...task, id: one(services, type, query, access)?.id ?? (typeof given === 'string' ? given : services.newId()) };
}

/** @throws FhirRefusal 400 when two entries mean one resource, or ask for the same creation. */
function checkIdentities(tasks: readonly Task[], conditions: readonly (string | undefined)[]): void {
  const seen = new Map<string, number>();
  for (const task of tasks) {
    if (task.method === 'GET') continue;
    const condition = conditions[task.index];
    const names = [
      `${task.type}/${task.id}`,
      ...(condition === undefined ? [] : [`${task.type}?${condition}`]),
      ...(task.fullUrl === null ? [] : [task.fullUrl]),
    ];
    for (const name of names) {
      const other = seen.get(name);
      if (other !== undefined)
        throw new FhirRefusal(400, 'duplicate', `Bundle.entry[${other}] and entry[${task.index}] have the same identity ${name}`);
    }
    for (const name of names) seen.set(name, task.index);
  }
}

function responseOf(services: FhirServices, { status, version }: Written): BundleEntry {
  const location = `${services.store.base}/${version.type}/${version.id}/_history/${version.version}`;
  const lastModified = new Date(version.updatedMs).toISOString();
  return {
    fullUrl: `${services.store.base}/${version.type}/${version.id}`,
    response: { status: status === 201 ? '201 Created' : '200 OK', location, etag: etag(version), lastModified },
  };
}

function perform(services: FhirServices, task: Task, references: References, access: Access): BundleEntry {
  const { store, writer, search } = services;
  const id = task.id ?? '';
  switch (task.method) {
    case 'DELETE':
      writer.remove(task.type, id, access);
      return { response: { status: '204 No Content' } };
    case 'POST': {
      if (task.found !== null) return responseOf(services, { status: 200, version: task.found });
      return responseOf(services, writer.create(task.type, rewriteReferences(task.resource, references), { id }, access));
    }
    case 'PUT': {
      const body = rewriteReferences(task.resource, references);
      const withId = task.query === null || typeof body !== 'object' ? body : { ...body, id };
      return responseOf(services, writer.update(task.type, id, withId, task.ifMatch, access));
    }
    case 'GET': {
      if (task.id !== null) {
        const found = read(store, task.type, task.id, access);
        return {
          resource: found.resource,
          response: { status: '200 OK', etag: etag(found), lastModified: new Date(found.updatedMs).toISOString() },
        };
      }
      access.require(task.type, 's');
      const resource = search.first(parseQuery(task.type, new URLSearchParams(task.query ?? '')), access);
      return { resource, response: { status: '200 OK' } };
    }
  }
}

function transaction(services: FhirServices, entries: readonly z.infer<typeof entryForm>[], access: Access): BundleEntry[] {
  return services.store.atomic(() => {
    const tasks = entries.map((entry, index) => inEntry(index, () => taskOf(services, entry, index, access)));
    checkIdentities(
      tasks,
      entries.map((entry) => entry.request.ifNoneExist),
    );
    const names = new Map(
      tasks.flatMap((task) => (task.fullUrl === null || task.method === 'GET' ? [] : [[task.fullUrl, `${task.type}/${task.id}`] as const])),
    );
    const references: References = {
      names,
      resolve: (type, condition) => {
        if (!isServed(type)) return null;
        const found = one(services, type, condition, access);
        return found === null ? null : `${type}/${found.id}`;
      },
    };
    const answers: BundleEntry[] = [];
    for (const method of order) {
      for (const task of tasks.filter((candidate) => candidate.method === method)) {
        answers[task.index] = inEntry(task.index, () => perform(services, task, references, access));
      }
    }
    return answers;
  });
}

function batchEntry(services: FhirServices, entry: z.infer<typeof entryForm>, index: number, access: Access): BundleEntry {
  try {
    const none: References = { names: new Map(), resolve: () => null };
    return services.store.atomic(() => perform(services, taskOf(services, entry, index, access), none, access));
  } catch (error) {
    if (!(error instanceof FhirRefusal)) throw error;
    return { response: { status: String(error.status), outcome: outcomeOf(error.issues) } };
  }
}

/** Answer bundle, entries in the order of the request. @throws FhirRefusal; a failed transaction has written nothing. */
export function processBundle(services: FhirServices, body: unknown, access: Access): Bundle {
  const parsed = bundleForm.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new FhirRefusal(
      400,
      'structure',
      `the body is no transaction or batch Bundle: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`,
    );
  }
  const entries = parsed.data.entry ?? [];
  if (parsed.data.type === 'batch') {
    return {
      resourceType: 'Bundle',
      type: 'batch-response',
      entry: entries.map((entry, index) => batchEntry(services, entry, index, access)),
    };
  }
  return { resourceType: 'Bundle', type: 'transaction-response', entry: transaction(services, entries, access) };
}
