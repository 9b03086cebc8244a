/**
 * The network of launches: the issuers of the site, and the endpoints that an issuer's own configuration names; nothing else is reached.
 */
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { type Init, type Neighbour, openNeighbour } from '#net/neighbour.ts';
import type { ReadJson } from './discovery.ts';
import type { TokenRequest } from './token.ts';

const limits = { maxBytes: 256 * 1024, idleMs: 5_000, totalMs: 10_000 };
const named = z.looseObject({ token_endpoint: z.string().optional(), jwks_uri: z.string().optional() });

export interface Reach {
  /** Discovery of a listed issuer. @throws launch-refused when it is no JSON document; net-* */
  readonly readJson: ReadJson;
  readonly fetch: TokenRequest['fetch'];
  close(): Promise<void>;
}

export function launchReach(issuers: readonly string[]): Reach {
  const neighbours = new Map<string, Neighbour>();
  const allow = (url: string) => {
    const { origin } = new URL(url);
    if (!neighbours.has(origin)) neighbours.set(origin, openNeighbour({ name: 'EHR', origins: [origin], ...limits }));
  };
  for (const issuer of issuers) allow(issuer);
  const to = (url: string): Neighbour => {
    const neighbour = neighbours.get(new URL(url).origin);
    if (neighbour === undefined) throw new WetreadError('net-origin-refused', 'found an address that no issuer of this site names');
    return neighbour;
  };
  return {
    async readJson(url) {
      const response = await to(url).fetch(url, { headers: { accept: 'application/json' } });
      const text = await response.text();
      if (response.status !== 200) throw new WetreadError('launch-refused', `the EHR's smart-configuration answered ${response.status}`);
      let document: unknown;
      try {
        document = JSON.parse(text);
      } catch (cause) {
        throw new WetreadError('launch-refused', "the EHR's smart-configuration is not JSON", { cause });
      }
      const endpoints = named.safeParse(document);
      const base = url.replace(/\.well-known\/smart-configuration$/, '');
      for (const endpoint of endpoints.success ? [endpoints.data.token_endpoint, endpoints.data.jwks_uri] : []) {
        if (endpoint !== undefined && URL.canParse(endpoint, base)) allow(new URL(endpoint, base).href);
      }
      return document;
    },
    // undici's Response is the web's; its type is declared apart from the global one.
    fetch: async (url, init) => (await to(url).fetch(url, init as unknown as Init)) as unknown as Response,
    close: async () => {
      await Promise.all([...neighbours.values()].map((neighbour) => neighbour.close()));
    },
  };
}
