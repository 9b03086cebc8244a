/** Who may call the hooks of a site: clients with a JWT, and where the site says so anybody from this machine, or anybody. */
import type { Request } from 'express';
import { WetreadError } from '#domain/errors.ts';
import type { Site } from '#site/site.ts';
import { clientCheck } from './client-jwt.ts';
import type { Caller } from './router.ts';

export interface AuthenticateOptions {
  readonly hooks: Site['hooks'];
  readonly fetchKeySet: (url: string) => Promise<unknown>;
  readonly useJti: (issuer: string, jti: string, expiresAt: Date) => Promise<boolean>;
  readonly now: () => Date;
}

/** Whether a socket's remote address is this machine's. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(127\.|::1$|::ffff:127\.)/.test(address);
}

/** A call that carries a token is judged by it, also where none is needed: a wrong token is never better than no token. */
export function authenticator({
  hooks,
  fetchKeySet,
  useJti,
  now,
}: AuthenticateOptions): (request: Request, audience: string) => Promise<Caller> {
  const clients = hooks.clients.map(({ issuer, jwksUrl, jku, algorithms, audience }) => ({
    issuer,
    keySets: [...(jwksUrl === undefined ? [] : [jwksUrl]), ...jku],
    algorithms,
    audiences: audience,
  }));
  const check = clientCheck({ clients, fetchKeySet, useJti, now });
  return async (request, audience) => {
    const authorization = request.get('authorization');
    if (authorization !== undefined) return check(authorization, audience);
    // The socket's address, not a header: anyone can write a header.
    if (hooks.allowAnonymousLoopback && isLoopback(request.socket.remoteAddress)) return { issuer: 'loopback' };
    if (!hooks.requireJwt) return { issuer: 'anonymous' };
    throw new WetreadError('client-unauthorised', 'found no bearer token, expected the JWT of the CDS client', {
      hint: 'see hooks.clients in the site file',
    });
  };
}
