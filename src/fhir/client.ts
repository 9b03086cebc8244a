/**
 * The FHIR server as wetread uses it: read, search, create, update, transaction, metadata.
 *
 * One client belongs to one base and one token. What is written is judged by status and by reading back, never by a body that a
 * server may leave out.
 *
 * Source: FHIR R4 http (3.1.0): create 3.1.0.8, conditional create 3.1.0.8.1, update 3.1.0.4, transaction 3.1.0.11.
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { placeOf } from '#net/failure.ts';
import type { Neighbour } from '#net/neighbour.ts';
import type { Token } from '#net/token.ts';
import { fhirBase, readUrl, type SearchParams, searchUrl } from './address.ts';
import { type Answered, openExchange } from './exchange.ts';
import { type Found, type SearchOptions, searchAll } from './search.ts';
import { bundle, forms, operationOutcome, outcomeTexts, type Readable, type ReadableType, type Resource } from './types.ts';

export interface Written {
  readonly id: string;
  readonly versionId: string | null;
  /** False = a conditional create found one that was there; it is unchanged. */
  readonly created: boolean;
  readonly resource: Resource | null;
}

/** One entry of a transaction's answer, in request order. */
export interface EntryWritten {
  readonly status: number;
  /** `Type/id`, null = the server named none. */
  readonly reference: string | null;
  readonly versionId: string | null;
  readonly texts: readonly string[];
}

export interface Metadata {
  readonly software: string | null;
  readonly fhirVersion: string;
  readonly transaction: boolean;
  /** Search parameter names by type; a type that is absent is not served. */
  readonly search: ReadonlyMap<string, readonly string[]>;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface FhirClient {
  readonly base: string;
  /** @throws not-found */
  readonly read: <T extends ReadableType>(type: T, id: string, options?: CallOptions) => Promise<Readable<T>>;
  readonly search: <T extends ReadableType>(type: T, params: SearchParams, options?: SearchOptions<T>) => Promise<Found<T>>;
  /** `ifNoneExist`: the search part of a conditional create. @throws fhir-conflict when more than one matches */
  readonly create: (resource: Resource, options?: CallOptions & { ifNoneExist?: SearchParams }) => Promise<Written>;
  /** `ifMatch`: version id that must be current. @throws fhir-conflict when it is not */
  readonly update: (resource: Resource, options?: CallOptions & { ifMatch?: string }) => Promise<Written>;
  readonly transaction: (bundle: Resource, options?: CallOptions) => Promise<readonly EntryWritten[]>;
  readonly metadata: (options?: CallOptions) => Promise<Metadata>;
}

export interface FhirOptions {
  readonly base: string;
  readonly neighbour: Neighbour;
  readonly token: Token | null;
}

const capability = z.looseObject({
  resourceType: z.literal('CapabilityStatement'),
  fhirVersion: z.string(),
  software: z.looseObject({ name: z.string().optional(), version: z.string().optional() }).optional(),
  rest: z
    .array(
      z.looseObject({
        mode: z.string(),
        interaction: z.array(z.looseObject({ code: z.string() })).optional(),
        resource: z
          .array(z.looseObject({ type: z.string(), searchParam: z.array(z.looseObject({ name: z.string() })).optional() }))
          .optional(),
      }),
    )
    .optional(),
});

/** `Type/id` of a Location that may be relative, absolute, or end in /_history/n. */
function referenceOfLocation(location: string | null | undefined): string | null {
  const found = /([A-Z][A-Za-z]+\/[A-Za-z0-9.-]+)(?:\/_history\/[^/]+)?\/?$/.exec(location ?? '');
  return found?.[1] ?? null;
}

function versionOf(etag: string | null | undefined): string | null {
  return /^(?:W\/)?"([^"]+)"$/.exec(etag ?? '')?.[1] ?? null;
}

function written(answer: Answered, place: string): Written {
  const reference = referenceOfLocation(answer.headers.get('location') ?? answer.headers.get('content-location'));
  const resource = answer.resource?.resourceType === 'OperationOutcome' ? null : answer.resource;
  const id = resource?.id ?? reference?.split('/')[1];
  if (id === undefined) {
    throw new WetreadError('fhir-bad-answer', `${place}: found neither a resource with id nor a Location, status ${answer.status}`);
  }
  const meta = z.looseObject({ versionId: z.string() }).safeParse(resource?.meta);
  const versionId = versionOf(answer.headers.get('etag')) ?? (meta.success ? meta.data.versionId : null);
  return { id, versionId, created: answer.status === 201, resource };
}

function entriesOf(answer: Answered, place: string, expected: number): readonly EntryWritten[] {
  const parsed = bundle.safeParse(answer.resource);
  const entries = parsed.success ? (parsed.data.entry ?? []) : [];
  if (!parsed.success || parsed.data.type !== 'transaction-response' || entries.length !== expected) {
    const found = parsed.success ? `${parsed.data.type} with ${entries.length} entries` : (answer.resource?.resourceType ?? 'no resource');
    throw new WetreadError('fhir-bad-answer', `${place}: found ${found}, expected a transaction-response with ${expected} entries`);
  }
  return entries.map(({ response }) => {
    const outcome = operationOutcome.safeParse(response?.outcome);
    return {
      status: Number.parseInt(response?.status ?? '', 10) || 0,
      reference: referenceOfLocation(response?.location),
      versionId: versionOf(response?.etag),
      texts: outcome.success ? outcomeTexts(outcome.data) : [],
    };
  });
}

function metadataOf(answer: Answered, place: string): Metadata {
  const parsed = capability.safeParse(answer.resource);
  if (!parsed.success) {
    throw new WetreadError(
      'fhir-bad-answer',
      `${place}: found ${answer.resource?.resourceType ?? 'nothing'}, expected a CapabilityStatement`,
    );
  }
  const { software, fhirVersion, rest } = parsed.data;
  const server = rest?.find((one) => one.mode === 'server');
  const resources = server?.resource ?? [];
  return {
    software: software?.name === undefined ? null : [software.name, software.version].filter(Boolean).join(' '),
    fhirVersion,
    transaction: server?.interaction?.some((one) => one.code === 'transaction') ?? false,
    search: new Map(resources.map((one) => [one.type, (one.searchParam ?? []).map((param) => param.name)])),
  };
}

/** @throws site-invalid for a base that is no URL; every method throws fhir-*, net-* and not-found */
export function openFhir({ base: text, neighbour, token }: FhirOptions): FhirClient {
  const base = fhirBase(text);
  const exchange = openExchange(base, neighbour, token);
  return {
    base,
    async read(type, id, { signal } = {}) {
      const url = readUrl(base, type, id);
      const { resource } = await exchange({ method: 'GET', url, signal });
      const parsed = forms[type].safeParse(resource);
      if (!parsed.success || resource?.id !== id) {
        const why = parsed.success ? `id ${String(resource?.id)}` : (resource?.resourceType ?? 'no resource');
        throw new WetreadError('fhir-bad-answer', `${neighbour.name}: found ${why} at ${placeOf(url)}, expected ${type}/${id}`);
      }
      // forms[type] is the form of T; TypeScript cannot follow a generic key through the union.
      return parsed.data as Readable<typeof type>;
    },
    search: (type, params, options) => searchAll(exchange, base, type, params, options),
    async create(resource, { ifNoneExist, signal } = {}) {
      const url = `${base}/${resource.resourceType}`;
      const query = ifNoneExist === undefined ? undefined : new URL(searchUrl(base, resource.resourceType, ifNoneExist)).search.slice(1);
      const headers = { prefer: 'return=representation', ...(query === undefined ? {} : { 'if-none-exist': query }) };
      return written(await exchange({ method: 'POST', url, headers, body: resource, signal }), placeOf(url));
    },
    async update(resource, { ifMatch, signal } = {}) {
      const url = readUrl(base, resource.resourceType, resource.id ?? '');
      const headers = { prefer: 'return=representation', ...(ifMatch === undefined ? {} : { 'if-match': `W/"${ifMatch}"` }) };
      return written(await exchange({ method: 'PUT', url, headers, body: resource, signal }), placeOf(url));
    },
    async transaction(request, { signal } = {}) {
      const answer = await exchange({ method: 'POST', url: base, body: request, signal });
      return entriesOf(answer, placeOf(base), Array.isArray(request.entry) ? request.entry.length : 0);
    },
    async metadata({ signal } = {}) {
      const url = `${base}/metadata`;
      return metadataOf(await exchange({ method: 'GET', url, signal }), placeOf(url));
    },
  };
}
