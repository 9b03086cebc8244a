/**
 * SMART backend services: a token for our own account, by client_credentials with a signed assertion (private_key_jwt).
 *
 * One request at a time serves all who wait; the token is used until 30 seconds before it expires; every request, retries too, has its
 * own `jti`. The audience is the token URL, as SMART says, not the issuer.
 *
 * Source: SMART App Launch 2.2 backend-services, client-confidential-asymmetric; RFC 7523; RFC 6749 5.1.
 */
import { createPrivateKey, createPublicKey, type KeyObject, randomUUID } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, type JWK, SignJWT } from 'jose';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { placeOf } from '#net/failure.ts';
import type { Neighbour } from '#net/neighbour.ts';
import { type Grant, namedEndpoint, type Token } from '#net/token.ts';

export type KeyAlgorithm = 'ES384' | 'RS384';

/** Our signing key and its public half for the JWKS. */
export interface BackendKey {
  readonly alg: KeyAlgorithm;
  readonly kid: string;
  readonly privateKey: KeyObject;
  /** Public members only, with kid, alg and use. */
  readonly publicJwk: JWK;
}

export interface BackendTokenOptions {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly key: BackendKey;
  readonly scopes: readonly string[];
  /** Must reach the origin of `tokenUrl`. */
  readonly neighbour: Neighbour;
  /** The server whose requests the token is for. */
  readonly audience: string;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

const maxAnswerBytes = 256 * 1024;
const marginMs = 30_000;
/** RFC 6749 lets a server leave expires_in out; then the token is taken to be short-lived. */
const assumedSeconds = 300;

/**
 * Reads a private key: PKCS#8 or SEC1 PEM, or a private JWK. Without `kid` the key's RFC 7638 thumbprint is its kid.
 * @throws site-invalid when the text is no private key, or none that fits `alg` (P-384; RSA of at least 2048 bits)
 */
export async function readBackendKey(text: string, alg: KeyAlgorithm, kid: string | null): Promise<BackendKey> {
  const wanted = alg === 'ES384' ? 'an EC key on P-384' : 'an RSA key of at least 2048 bits';
  try {
    const jwkText = text.trimStart().startsWith('{');
    const node = jwkText ? createPrivateKey({ key: JSON.parse(text), format: 'jwk' }) : createPrivateKey(text);
    const { namedCurve, modulusLength = 0 } = node.asymmetricKeyDetails ?? {};
    const fits = alg === 'ES384' ? namedCurve === 'secp384r1' : node.asymmetricKeyType === 'rsa' && modulusLength >= 2048;
    if (!fits)
      throw new WetreadError(
        'site-invalid',
        `key: found ${namedCurve ?? node.asymmetricKeyType} ${modulusLength || ''}, expected ${wanted} for ${alg}`,
      );
    const publicOnly = await exportJWK(createPublicKey(node));
    const own = jwkText ? z.looseObject({ kid: z.string().optional() }).parse(JSON.parse(text)).kid : undefined;
    const name = kid ?? own ?? (await calculateJwkThumbprint(publicOnly));
    return { alg, kid: name, privateKey: node, publicJwk: { ...publicOnly, kid: name, alg, use: 'sig' } };
  } catch (error) {
    if (error instanceof WetreadError) throw error;
    throw new WetreadError('site-invalid', `key: found text that is no private key, expected PEM or JWK with ${wanted}`, { cause: error });
  }
}

const smartConfiguration = z.looseObject({ token_endpoint: z.string() });

/**
 * The token endpoint from `{base}/.well-known/smart-configuration`; a relative one is resolved against the base.
 * @throws fhir-bad-answer, net-*
 */
export async function discoverTokenUrl(base: string, neighbour: Neighbour): Promise<string> {
  const url = `${base.replace(/\/+$/, '')}/.well-known/smart-configuration`;
  const answer = await neighbour.fetch(url, { headers: { accept: 'application/json' }, maxBytes: maxAnswerBytes });
  const parsed = smartConfiguration.safeParse(parsedJson(await answer.text()));
  const endpoint = parsed.success ? namedEndpoint(base, parsed.data.token_endpoint) : null;
  if (answer.status === 200 && endpoint !== null) return endpoint.href;
  const found = parsed.success && answer.status === 200 ? 'a token_endpoint that is not as safe as the base' : 'no token_endpoint';
  throw new WetreadError('fhir-bad-answer', `${neighbour.name}: found status ${answer.status} with ${found} at ${placeOf(url)}`, {
    hint: 'give auth.tokenUrl in the site file',
  });
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON is judged by the form that follows, together with the status.
    return null;
  }
}

const tokenAnswer = z.looseObject({
  access_token: z.string().min(1),
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.coerce.number().optional(),
  scope: z.string().optional(),
});
const tokenError = z.looseObject({ error: z.string(), error_description: z.string().optional() });

function assertion({ tokenUrl, clientId, key, now = Date.now }: BackendTokenOptions): Promise<string> {
  const seconds = Math.floor(now() / 1000);
  return new SignJWT({})
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(tokenUrl)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + 240)
    .setJti(randomUUID())
    .sign(key.privateKey);
}

/** @throws fhir-unauthorised when the server refuses us, fhir-bad-answer for anything but a token, net-* */
async function request(options: BackendTokenOptions): Promise<{ value: string; lifetimeMs: number; scopes: readonly string[] }> {
  const { tokenUrl, neighbour, scopes } = options;
  const body = new URLSearchParams({
    grant_type: 'client_credentials',
    scope: scopes.join(' '),
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: await assertion(options),
  });
  const headers = { accept: 'application/json', 'content-type': 'application/x-www-form-urlencoded' };
  const answer = await neighbour.fetch(tokenUrl, { method: 'POST', headers, body: body.toString(), maxBytes: maxAnswerBytes });
  const data = parsedJson(await answer.text());
  const refused = tokenError.safeParse(data);
  if (refused.success || answer.status === 401 || answer.status === 403) {
    const why = refused.success ? [refused.data.error, refused.data.error_description].filter(Boolean).join(': ') : 'no reason given';
    throw new WetreadError(
      'fhir-unauthorised',
      `token endpoint ${placeOf(tokenUrl)}: found status ${answer.status} (${why.slice(0, 300)})`,
      {
        hint: 'check client id, registered public key and scopes at the authorization server',
      },
    );
  }
  const granted = tokenAnswer.safeParse(data);
  if (answer.status !== 200 || !granted.success) {
    const why = granted.success ? '' : ` without ${granted.error.issues.map((one) => one.path.join('.')).join(', ')}`;
    throw new WetreadError(
      'fhir-bad-answer',
      `token endpoint ${placeOf(tokenUrl)}: found status ${answer.status}${why}, expected a bearer token`,
    );
  }
  const seconds = granted.data.expires_in ?? assumedSeconds;
  const { access_token: value, scope } = granted.data;
  // A server that names no scope granted what was asked for (RFC 6749 5.1).
  return { value, lifetimeMs: Math.min(Math.max(seconds, 0), 3600) * 1000, scopes: scope?.split(' ').filter(Boolean) ?? scopes };
}

/** A token for the origin of `audience`; nothing is asked for before the first use. */
export function backendToken(options: BackendTokenOptions): Token {
  const { now = Date.now } = options;
  let cached: { value: string; until: number } | null = null;
  let grant: Grant | null = null;
  let pending: Promise<string> | null = null;
  const ask = async (): Promise<string> => {
    const { value, lifetimeMs, scopes } = await request(options);
    grant = { tokenUrl: options.tokenUrl, scopes };
    cached = { value, until: now() + lifetimeMs - marginMs };
    return value;
  };
  return {
    origin: new URL(options.audience).origin,
    async header() {
      if (cached !== null && now() < cached.until) return `Bearer ${cached.value}`;
      pending ??= ask().finally(() => {
        pending = null;
      });
      return `Bearer ${await pending}`;
    },
    renew() {
      cached = null;
      return true;
    },
    grant: () => grant,
  };
}
