/** The key set of a CDS client, read under the limits of its neighbour: 200, JSON by its type, not large, not slow; anything else is no set. */
import { WetreadError } from '#domain/errors.ts';
import type { Neighbour } from '#net/neighbour.ts';

/** A login page of a proxy is 200 too; its type tells. RFC 7517 8.5: application/jwk-set+json. */
const jsonType = /^application\/(?:json|jwk-set\+json)\s*(?:;|$)/i;

export const keySetLimits = { maxBytes: 256 * 1024, idleMs: 5_000, totalMs: 5_000 } as const;

/** @throws client-unauthorised when it is no key set; net-* */
export async function readKeySet(neighbour: Pick<Neighbour, 'fetch'>, url: string): Promise<unknown> {
  const response = await neighbour.fetch(url, { headers: { accept: 'application/json' } });
  const type = response.headers.get('content-type') ?? '';
  if (response.status !== 200 || !jsonType.test(type)) {
    await response.body?.cancel();
    throw new WetreadError(
      'client-unauthorised',
      `the key set: found status ${response.status} and type ${type.slice(0, 60)}, expected 200 and JSON`,
    );
  }
  return response.json();
}
