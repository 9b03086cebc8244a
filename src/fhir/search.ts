/**
 * A FHIR search read to its end: every page, every hit checked, and everything odd said as a warning.
 *
 * A server may ignore a parameter, repeat a page, or name itself by an address that may not be followed. None of that becomes a
 * shorter list without a word: `complete` is false and a warning says why.
 *
 * Source: FHIR R4 search (3.1.1), http paging (3.1.0.1.9).
 */
import { type Warning, WetreadError } from '#domain/errors.ts';
import { ignoredParams, nextUrl, type SearchParams, searchUrl } from './address.ts';
import type { Exchange } from './exchange.ts';
import { type Bundle, bundle, forms, operationOutcome, outcomeTexts, type Readable, type ReadableType, type Resource } from './types.ts';

export interface SearchOptions<T extends ReadableType> {
  /** Says whether a hit is what was asked for (patient, date, code); the others are dropped with a warning. */
  readonly accept?: (hit: Readable<T>) => boolean;
  readonly signal?: AbortSignal | undefined;
  readonly maxPages?: number;
  readonly maxEntries?: number;
}

export interface Found<T extends ReadableType> {
  readonly hits: readonly Readable<T>[];
  /** Resources that came by _include. */
  readonly included: readonly Resource[];
  readonly warnings: readonly Warning[];
  /** False when pages are missing: a limit, a link that may not be followed, a page that came twice. */
  readonly complete: boolean;
}

interface State<T extends ReadableType> {
  readonly hits: Map<string, Readable<T>>;
  readonly included: Resource[];
  readonly warnings: Warning[];
  entries: number;
  dropped: number;
}

function warn(state: { warnings: Warning[] }, code: string, message: string): void {
  state.warnings.push({ code, message });
}

function takeHit<T extends ReadableType>(state: State<T>, type: T, resource: unknown, options: SearchOptions<T>): void {
  const parsed = forms[type].safeParse(resource);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    warn(state, 'fhir-entry-malformed', `a ${type} was left out: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
    return;
  }
  // forms[type] is the form of T; TypeScript cannot follow a generic key through the union.
  const hit = parsed.data as Readable<T>;
  if (options.accept !== undefined && !options.accept(hit)) state.dropped += 1;
  else state.hits.set(hit.id ?? `without id ${state.hits.size}`, hit);
}

function takePage<T extends ReadableType>(state: State<T>, type: T, page: Bundle, options: SearchOptions<T>): void {
  for (const { resource, search } of page.entry ?? []) {
    state.entries += 1;
    if (resource === undefined) continue;
    if (search?.mode === 'outcome' || resource.resourceType === 'OperationOutcome') {
      const outcome = operationOutcome.safeParse(resource);
      const texts = outcome.success ? outcomeTexts(outcome.data) : ['an unreadable OperationOutcome'];
      warn(state, 'fhir-outcome', `${type} search: ${texts.join('; ')}`);
    } else if (search?.mode === 'include') state.included.push(resource);
    else if (resource.resourceType === type) takeHit(state, type, resource, options);
    else if (search?.mode === undefined) state.included.push(resource);
    else warn(state, 'fhir-entry-malformed', `a ${resource.resourceType} came as a match of a ${type} search and was left out`);
  }
}

function linkOf(page: Bundle, relation: string): string | undefined {
  return page.link?.find((link) => link.relation === relation)?.url;
}

async function pageAt(exchange: Exchange, url: string, signal: AbortSignal | undefined): Promise<Bundle> {
  const { resource } = await exchange({ method: 'GET', url, headers: { prefer: 'handling=strict' }, signal });
  const page = bundle.safeParse(resource);
  if (!page.success || page.data.type !== 'searchset') {
    throw new WetreadError(
      'fhir-bad-answer',
      `search: found ${resource?.resourceType ?? 'no resource'}, expected a Bundle of type searchset`,
    );
  }
  return page.data;
}

/** @throws as the exchange, and fhir-bad-answer for an answer that is no searchset */
export async function searchAll<T extends ReadableType>(
  exchange: Exchange,
  base: string,
  type: T,
  params: SearchParams,
  options: SearchOptions<T> = {},
): Promise<Found<T>> {
  const { maxPages = 20, maxEntries = 2000 } = options;
  const state: State<T> = { hits: new Map(), included: [], warnings: [], entries: 0, dropped: 0 };
  const seen = new Set<string>();
  let complete = true;
  let url: string | null = searchUrl(base, type, params);
  const stop = (why: string): null => {
    complete = false;
    warn(state, 'fhir-incomplete', `${type} search: ${why}; ${state.hits.size} were read`);
    return null;
  };
  while (url !== null) {
    seen.add(url);
    const page = await pageAt(exchange, url, options.signal);
    takePage(state, type, page, options);
    const self = linkOf(page, 'self');
    const ignored = seen.size === 1 && self !== undefined ? ignoredParams(params, self, url) : [];
    if (ignored.length > 0) warn(state, 'fhir-ignored-parameter', `${type} search: the server did not apply ${ignored.join(', ')}`);
    const link = linkOf(page, 'next');
    if (link === undefined) break;
    const next = nextUrl(base, url, link);
    if (next === null) url = stop('the next page lies outside the FHIR base and was not asked for');
    else if (seen.has(next)) url = stop('the server gave the same next page twice');
    else if (seen.size >= maxPages) url = stop(`more than ${maxPages} pages`);
    else if (state.entries >= maxEntries) url = stop(`more than ${maxEntries} entries`);
    else url = next;
  }
  if (state.dropped > 0) {
    warn(state, 'fhir-ignored-parameter', `${type} search: ${state.dropped} answers do not match what was asked and were left out`);
  }
  return { hits: [...state.hits.values()], included: state.included, warnings: state.warnings, complete };
}
