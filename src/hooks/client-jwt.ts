/**
 * Who is calling: the EHR's JWT (CDS Hooks 2.0, Trusting CDS Clients).
 *
 * The key set is the site's, never the token's: `jku` must be one of those listed for the issuer. A token without `exp`, or one with a
 * lifetime of years, is refused, which jose alone would accept.
 */
import {
  createRemoteJWKSet,
  customFetch,
  decodeJwt,
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { WetreadError } from '#domain/errors.ts';

export interface HookClient {
  readonly issuer: string;
  /** Key set addresses allowed for this issuer; the first is used when the token names none. */
  readonly keySets: readonly string[];
  readonly algorithms: readonly string[];
  /** Values of `aud` beyond our endpoint's URL: some EHRs have it typed in. */
  readonly audiences: readonly string[];
}

export interface ClientCheck {
  readonly clients: readonly HookClient[];
  /** Reads a key set under the fetch policy (size, type and time limits). */
  readonly fetchKeySet: (url: string) => Promise<unknown>;
  /** True once per issuer and jti. */
  readonly useJti: (issuer: string, jti: string, expiresAt: Date) => Promise<boolean>;
  readonly now: () => Date;
}

const maxAgeSeconds = 15 * 60;
const toleranceSeconds = 60;
/** The public CDS Hooks sandbox publishes its private key: nobody can be known by it, neither as an issuer nor by its key set. */
function isPublicSandbox(url: string): boolean {
  return URL.canParse(url) && /(^|\.)sandbox\.cds-hooks\.org\.?$/.test(new URL(url).hostname);
}

function refuse(message: string, cause?: unknown): WetreadError {
  return new WetreadError('client-unauthorised', message, {
    hint: 'see hooks.clients in the site file',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Makes the check; key sets are cached by jose (10 minutes, one refetch on an unknown kid). */
export function clientCheck(
  check: ClientCheck,
): (authorization: string | undefined, audience: string) => Promise<{ readonly issuer: string }> {
  const sets = new Map<string, JWTVerifyGetKey>();
  const setOf = (url: string) => {
    const known = sets.get(url);
    if (known !== undefined) return known;
    const set = createRemoteJWKSet(new URL(url), {
      [customFetch]: async (target: string) => Response.json(await check.fetchKeySet(target)),
    });
    sets.set(url, set);
    return set;
  };
  return async (authorization, audience) => {
    const token = /^Bearer ([A-Za-z0-9\-_.]+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw refuse('found no bearer token, expected the JWT of the CDS client');
    let issuer: string | undefined;
    let jku: string | undefined;
    try {
      issuer = decodeJwt(token).iss;
      jku = decodeProtectedHeader(token).jku;
    } catch (cause) {
      throw refuse('the bearer token is not a JWT', cause);
    }
    const client = check.clients.find((candidate) => candidate.issuer === issuer);
    if (issuer === undefined || client === undefined || isPublicSandbox(issuer))
      throw refuse('the issuer of the JWT is not a client of this site');
    const keySet = jku ?? client.keySets[0];
    if (keySet === undefined || !client.keySets.includes(keySet) || isPublicSandbox(keySet))
      throw refuse('the jku of the JWT is not listed for its issuer');
    const { exp, jti } = await verified(token, setOf(keySet), {
      issuer,
      audience: [audience, ...client.audiences],
      algorithms: [...client.algorithms],
      requiredClaims: ['exp', 'iat', 'jti'],
      maxTokenAge: maxAgeSeconds,
      clockTolerance: toleranceSeconds,
      currentDate: check.now(),
    });
    if (exp === undefined || jti === undefined) throw refuse('the JWT lacks exp or jti');
    if (exp * 1000 - check.now().getTime() > (maxAgeSeconds + toleranceSeconds) * 1000)
      throw refuse('the JWT lives longer than 15 minutes');
    // Not within the try of the rest: a store that does not answer says nothing about the client.
    if (!(await check.useJti(issuer, jti, new Date((exp + toleranceSeconds) * 1000)))) throw refuse('the jti of the JWT was used before');
    return { issuer };
  };
}

/** @throws client-unauthorised, saying whether the token or the key set did not hold */
async function verified(token: string, keys: JWTVerifyGetKey, options: JWTVerifyOptions): Promise<JWTPayload> {
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (cause) {
    if (cause instanceof errors.JOSEError) throw refuse(`the JWT does not hold (${cause.code})`, cause);
    throw refuse('the key set of the issuer could not be read', cause);
  }
}
