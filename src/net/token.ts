/**
 * A credential belongs to one origin and is never shown to another.
 *
 * Every request of ours that carries a credential takes it from `authorize`, which compares the origin of the URL asked with the
 * credential's own. A base URL that is only a prefix of another ("https://fhir.example" and "https://fhir.example.evil") differs here.
 */
import { WetreadError } from '#domain/errors.ts';
import { placeOf } from './failure.ts';

export interface Token {
  readonly origin: string;
  /** The whole Authorization header, e.g. "Bearer ...", fetched or taken from a cache. */
  readonly header: () => Promise<string>;
  /** Forgets a cached value after a 401; false = there is nothing newer to ask for. */
  readonly renew: () => boolean;
  /** What the last token was granted for; null = there was none yet. Absent where nothing is granted: a password, a fixed token. */
  readonly grant?: () => Grant | null;
}

export interface Grant {
  readonly tokenUrl: string;
  readonly scopes: readonly string[];
}

function fixed(url: string, header: string): Token {
  return { origin: new URL(url).origin, header: async () => header, renew: () => false };
}

/** A bearer token for the origin of `url`. */
export function bearerToken(url: string, value: string): Token {
  return fixed(url, `Bearer ${value}`);
}

/** User and password for the origin of `url` (RFC 7617, UTF-8). */
export function basicToken(url: string, user: string, password: string): Token {
  return fixed(url, `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`);
}

/**
 * Authorization header for a request to `url`; no header without a token.
 * @throws net-origin-refused when the token belongs to another origin
 */
export async function authorize(token: Token | null, url: string | URL): Promise<{ authorization?: string }> {
  if (token === null) return {};
  const { origin } = new URL(String(url));
  if (origin !== token.origin) {
    throw new WetreadError(
      'net-origin-refused',
      `found ${placeOf(url)}, expected an address on ${token.origin}, to which the token belongs`,
    );
  }
  return { authorization: await token.header() };
}

/**
 * An endpoint that the server at `base` names, resolved against it; null when it is no URL, holds a user, or is less safe than the base: an
 * assertion or a code must not leave TLS because a document says so.
 */
export function namedEndpoint(base: string, text: string): URL | null {
  const root = `${base.replace(/\/+$/, '')}/`;
  if (!URL.canParse(text, root)) return null;
  const url = new URL(text, root);
  const safe = url.protocol === 'https:' || (url.protocol === 'http:' && new URL(root).protocol === 'http:');
  return safe && url.username === '' && url.password === '' ? url : null;
}
