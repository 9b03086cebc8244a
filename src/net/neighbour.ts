/**
 * The one door out: one undici Agent per neighbour, with the allow-list at the connection.
 *
 * A connection to an origin that is not listed is never opened, whatever asked for it (a paging link, a redirect, a BulkDataURI, a
 * library). Answers come undecoded: an encoded answer could grow past every limit, so it is refused. Bytes, silence, slowness and the
 * whole time are limited on everything.
 *
 * Source: undici 7 (its own fetch and Agent together; the built-in fetch accepts the same Agent on Node 24).
 */
import { ReadableStream } from 'node:stream/web';
import { Agent, buildConnector, DecoratorHandler, type Dispatcher, fetch, type RequestInit, Response } from 'undici';
import { WetreadError } from '#domain/errors.ts';
import { netFailure, placeOf } from './failure.ts';

export interface Limits {
  /** Bytes of one answer. */
  readonly maxBytes: number;
  /** Milliseconds without a byte, also before the headers. */
  readonly idleMs: number;
  /** Milliseconds for a whole exchange, body included. */
  readonly totalMs: number;
  /** A body that brings less over `rateWindowMs` of waiting is given up: a drip of bytes is never silent. */
  readonly minBytesPerSecond: number;
  readonly rateWindowMs: number;
}

export interface NeighbourOptions extends Partial<Limits> {
  /** What errors call it: "FHIR server", "PACS". */
  readonly name: string;
  /** Every origin that may be reached; each URL is cut to its origin. */
  readonly origins: readonly string[];
  /** PEM of a private certificate authority, null = the system's. */
  readonly ca?: string | null;
}

export type Init = RequestInit & {
  /** Bytes of this answer, below the neighbour's own limit. */
  readonly maxBytes?: number;
  /** Milliseconds of this exchange instead of the neighbour's. */
  readonly totalMs?: number;
};

export interface Neighbour {
  readonly name: string;
  readonly limits: Limits;
  /** For libraries that bring their own fetch (fhir-kit-client): allow-list, byte and idle limits hold in it; `redirect` and the total time do not. */
  readonly agent: Dispatcher;
  readonly allows: (url: string | URL) => boolean;
  /**
   * As the web's fetch, never following a redirect.
   * @throws net-origin-refused, net-redirect-refused, net-timeout, net-too-large, net-unreachable; reading the body throws the same
   */
  readonly fetch: (url: string | URL, init?: Init) => Promise<Response>;
  readonly close: () => Promise<void>;
}

const defaults: Limits = {
  maxBytes: 32 * 1024 * 1024,
  idleMs: 15_000,
  totalMs: 60_000,
  minBytesPerSecond: 1024,
  rateWindowMs: 60_000,
};

interface StartHandler {
  onResponseStart(...args: Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>): void;
}

// undici's DecoratorHandler has this method (lib/handler/decorator-handler.js of the pinned version); its type file leaves it out.
const Forwarding = DecoratorHandler as unknown as new (handler: Dispatcher.DispatchHandler) => StartHandler;

/** Refuses a compressed answer: the byte limit of the Agent counts what travels, not what it becomes. */
class Undecoded extends Forwarding {
  override onResponseStart(...args: Parameters<StartHandler['onResponseStart']>): void {
    const coding = args[2]['content-encoding'];
    if (coding !== undefined && String(coding).toLowerCase() !== 'identity') {
      throw new WetreadError(
        'net-too-large',
        `found Content-Encoding ${String(coding)}, expected identity as asked: its size is unbounded`,
        {
          hint: 'switch compression off for requests with Accept-Encoding: identity',
        },
      );
    }
    super.onResponseStart(...args);
  }
}

function originsOf(name: string, urls: readonly string[]): ReadonlySet<string> {
  return new Set(
    urls.map((text) => {
      const url = URL.canParse(text) ? new URL(text) : null;
      if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
        throw new WetreadError('site-invalid', `${name}: found ${JSON.stringify(text)}, expected an http or https URL`);
      }
      if (url.username !== '' || url.password !== '') {
        throw new WetreadError(
          'site-invalid',
          `${name}: found a user in the address ${url.origin}, expected none: credentials have keys of their own`,
        );
      }
      return url.origin;
    }),
  );
}

function agentFor(options: NeighbourOptions, origins: ReadonlySet<string>, limits: Limits): Agent {
  const base = buildConnector({ timeout: Math.min(limits.idleMs, 10_000), ...(options.ca == null ? {} : { ca: options.ca }) });
  return new Agent({
    maxResponseSize: limits.maxBytes,
    bodyTimeout: limits.idleMs,
    headersTimeout: limits.idleMs,
    connect(wanted, callback) {
      const host = wanted.hostname.includes(':') ? `[${wanted.hostname.replace(/^\[|\]$/g, '')}]` : wanted.hostname;
      const origin = new URL(`${wanted.protocol}//${host}${wanted.port === '' ? '' : `:${wanted.port}`}`).origin;
      if (origins.has(origin)) base(wanted, callback);
      else callback(refused(options.name, origin, origins), null);
    },
  });
}

function refused(name: string, url: string | URL, origins: ReadonlySet<string>): WetreadError {
  return new WetreadError('net-origin-refused', `${name}: found ${placeOf(url)}, expected an address on ${[...origins].join(' or ')}`, {
    hint: 'an address in an answer led elsewhere; list that origin in the site file only if it is yours',
  });
}

/** Counts bytes against the time spent waiting for them; what the reader does in between does not count. */
function ratekeeper({ minBytesPerSecond, rateWindowMs }: Limits): (bytes: number, waitedMs: number) => void {
  let [got, waited] = [0, 0];
  return (bytes, waitedMs) => {
    got += bytes;
    waited += waitedMs;
    if (waited < rateWindowMs) return;
    if (got * 1000 < minBytesPerSecond * waited) {
      const found = Math.floor((got * 1000) / waited);
      throw new WetreadError('net-timeout', `found ${found} bytes a second, expected at least ${minBytesPerSecond}: the answer drips`);
    }
    [got, waited] = [0, 0];
  };
}

/** The body of `response` with a running byte count, a least rate and coded errors. */
async function* counted(
  response: Response,
  maxBytes: number,
  limits: Limits,
  fail: (error: unknown) => WetreadError,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const rate = ratekeeper(limits);
  let bytes = 0;
  try {
    let since = performance.now();
    for await (const chunk of response.body) {
      bytes += chunk.byteLength;
      if (bytes > maxBytes) throw new WetreadError('net-too-large', `the answer exceeds ${maxBytes} bytes`);
      rate(chunk.byteLength, performance.now() - since);
      yield chunk;
      since = performance.now();
    }
  } catch (error) {
    throw fail(error);
  }
}

export function openNeighbour(options: NeighbourOptions): Neighbour {
  const { name } = options;
  const limits: Limits = {
    maxBytes: options.maxBytes ?? defaults.maxBytes,
    idleMs: options.idleMs ?? defaults.idleMs,
    totalMs: options.totalMs ?? defaults.totalMs,
    minBytesPerSecond: options.minBytesPerSecond ?? defaults.minBytesPerSecond,
    rateWindowMs: options.rateWindowMs ?? defaults.rateWindowMs,
  };
  const origins = originsOf(name, options.origins);
  const pool = agentFor(options, origins, limits);
  const agent = pool.compose((dispatch) => (request, handler) => dispatch(request, new Undecoded(handler)));
  const allows = (text: string | URL): boolean => {
    if (!URL.canParse(String(text))) return false;
    const url = new URL(String(text));
    // "https://pacs.example@evil.example" and its like; nothing of ours is ever asked for with a user in the address.
    return origins.has(url.origin) && url.username === '' && url.password === '';
  };
  return {
    name,
    limits,
    agent,
    allows,
    close: () => pool.destroy(),
    async fetch(url, init = {}) {
      if (!allows(url)) throw refused(name, url, origins);
      const { maxBytes = limits.maxBytes, totalMs = limits.totalMs, signal, headers, ...rest } = init;
      const total = AbortSignal.timeout(totalMs);
      const fail = (error: unknown): WetreadError => netFailure(error, name, url);
      const all = new Headers({ 'accept-encoding': 'identity', ...Object.fromEntries(new Headers(toEntries(headers))) });
      const response = await fetch(url, {
        ...rest,
        headers: [...all],
        redirect: 'error',
        dispatcher: agent,
        signal: signal == null ? total : AbortSignal.any([signal, total]),
      }).catch((error: unknown) => {
        throw fail(error);
      });
      const empty = response.body === null || [204, 205, 304].includes(response.status);
      // ReadableStream.from reads lazily, so that nothing is buffered beyond one chunk.
      const body = empty ? undefined : ReadableStream.from(counted(response, maxBytes, limits, fail));
      return new Response(body, { status: response.status, statusText: response.statusText, headers: [...response.headers] });
    },
  };
}

function toEntries(headers: RequestInit['headers']): [string, string][] {
  if (headers == null) return [];
  if (Array.isArray(headers)) return headers.map(([key, value]) => [String(key), String(value)]);
  const list = Symbol.iterator in headers ? [...headers] : Object.entries(headers);
  return list.map(([key, value]) => [String(key), String(value)]);
}
