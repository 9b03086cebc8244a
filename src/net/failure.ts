/**
 * Turns what undici, Node's fetch and AbortSignal throw into our coded errors.
 *
 * The interesting error is usually a `cause` two levels down ("fetch failed" and "terminated" say nothing). The text names origin and
 * path but never the query: a query carries patient identifiers.
 */
import { type ErrorCode, WetreadError } from '#domain/errors.ts';

const timeouts = new Set(['UND_ERR_BODY_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);

/** Where a request went, in words that may be logged: origin and path without query. */
export function placeOf(url: string | URL): string {
  if (!URL.canParse(String(url))) return 'an address that is no URL';
  const { origin, pathname } = new URL(String(url));
  return `${origin}${pathname}`;
}

function* causes(error: unknown): Generator<Error> {
  const seen = new Set<unknown>();
  const open = [error];
  while (open.length > 0) {
    const one = open.shift();
    if (!(one instanceof Error) || seen.has(one)) continue;
    seen.add(one);
    yield one;
    open.push(one.cause);
    if (one instanceof AggregateError) open.push(...one.errors);
  }
}

function codeText(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

function verdict(error: Error): { code: ErrorCode; words: string; hint?: string } | null {
  const code = codeText(error);
  if (error.name === 'TimeoutError') return { code: 'net-timeout', words: 'the answer was not complete within the total time' };
  if (error.name === 'AbortError') return { code: 'net-timeout', words: 'the request was given up by its caller' };
  if (timeouts.has(code)) return { code: 'net-timeout', words: `no byte in time (${code})` };
  if (code === 'UND_ERR_RES_EXCEEDED_MAX_SIZE') return { code: 'net-too-large', words: 'the answer exceeds the byte limit' };
  if (error.message === 'unexpected redirect') {
    return {
      code: 'net-redirect-refused',
      words: 'the answer is a redirect, which is never followed',
      hint: 'put the final address into the site file',
    };
  }
  return null;
}

/** The coded error for `error`, thrown while `name` was asked for `url`; a coded error inside is kept as it is. */
export function netFailure(error: unknown, name: string, url: string | URL): WetreadError {
  const chain = [...causes(error)];
  for (const one of chain) if (one instanceof WetreadError) return one;
  for (const one of chain) {
    const found = verdict(one);
    if (found === null) continue;
    return new WetreadError(found.code, `${name}: ${found.words} at ${placeOf(url)}`, {
      cause: error,
      ...(found.hint === undefined ? {} : { hint: found.hint }),
    });
  }
  const last = chain.at(-1);
  const why = last === undefined ? String(error) : codeText(last) || last.message;
  return new WetreadError('net-unreachable', `${name}: no usable answer from ${placeOf(url)} (${why})`, {
    cause: error,
    hint: 'check the address, the network and the certificate',
  });
}
