/**
 * From the site file to our own account at an authorization server.
 *
 * The token endpoint has its own neighbour, since it mostly lives elsewhere; it is looked up when the first token is needed, so that a
 * server that is down does not stop the start.
 */
import { openNeighbour } from '#net/neighbour.ts';
import type { Token } from '#net/token.ts';
import type { BackendAuth } from '#site/site.ts';
import { type BackendKey, backendToken, discoverTokenUrl, readBackendKey } from './backend-token.ts';

export interface BackendConnection {
  readonly token: Token;
  /** Its public half belongs into our JWKS. */
  readonly key: BackendKey;
  readonly close: () => Promise<void>;
}

/**
 * Our own account at an authorization server, for requests to the origin of `audience`.
 * @param audience FHIR base (smart-configuration is looked up below it unless auth.tokenUrl is given) or DICOMweb root
 * @throws site-invalid for a key that does not fit
 */
export async function connectBackend(auth: BackendAuth, audience: string, ca: string | null): Promise<BackendConnection> {
  const key = await readBackendKey(auth.key.reveal(), auth.alg, auth.kid ?? null);
  const limits = { maxBytes: 1024 * 1024, totalMs: 15_000, ca };
  const closing: (() => Promise<void>)[] = [];
  const open = (name: string, url: string) => {
    const neighbour = openNeighbour({ name, origins: [url], ...limits });
    closing.push(neighbour.close);
    return neighbour;
  };
  const build = async (): Promise<Token> => {
    const tokenUrl = auth.tokenUrl ?? (await discoverTokenUrl(audience, open('FHIR server', audience)));
    const neighbour = open('authorization server', tokenUrl);
    return backendToken({ tokenUrl, clientId: auth.clientId, key, scopes: auth.scopes, neighbour, audience });
  };
  let built: Promise<Token> | null = null;
  let ready: Token | null = null;
  const token: Token = {
    origin: new URL(audience).origin,
    async header() {
      built ??= build().catch((error: unknown) => {
        built = null;
        throw error;
      });
      ready = await built;
      return ready.header();
    },
    renew: () => ready?.renew() ?? false,
    grant: () => ready?.grant?.() ?? null,
  };
  return { token, key, close: async () => void (await Promise.all(closing.map((close) => close()))) };
}
