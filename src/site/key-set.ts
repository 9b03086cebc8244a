/** The key set of a CDS client, as its JWTs will be checked against it (CDS Hooks 2.0, Trusting CDS Clients; RFC 7517). */
import { z } from 'zod';
import { jsonAt, type Said } from './probe.ts';

const keySet = z.looseObject({
  keys: z.array(
    z.looseObject({
      kty: z.string(),
      kid: z.string().optional(),
      alg: z.string().optional(),
      crv: z.string().optional(),
      use: z.string().optional(),
    }),
  ),
});
type Key = z.infer<typeof keySet>['keys'][number];

/** Members of a private or a symmetric key. */
const secretMembers = ['d', 'p', 'q', 'k'];

function fits(key: Key, algorithm: string): boolean {
  if (key.use !== undefined && key.use !== 'sig') return false;
  if (key.alg !== undefined) return key.alg === algorithm;
  if (algorithm.startsWith('RS')) return key.kty === 'RSA';
  return key.kty === 'EC' && key.crv === (algorithm === 'ES384' ? 'P-384' : 'P-256');
}

/** @throws net-* */
export async function clientKeys(url: string, algorithms: readonly string[]): Promise<Said> {
  const parsed = keySet.safeParse(await jsonAt(url));
  if (!parsed.success)
    return { state: 'problem', found: `no JSON Web Key Set at ${url}`, todo: 'ask the EHR for the address of its key set' };
  const { keys } = parsed.data;
  const found = `${keys.length} keys at ${url}`;
  if (keys.some((key) => secretMembers.some((member) => member in key)))
    return {
      state: 'problem',
      found: `${found}, one of them private`,
      todo: 'the EHR must make new keys at once and publish the public half alone',
    };
  const usable = keys.filter((key) => algorithms.some((algorithm) => fits(key, algorithm)));
  if (usable.length === 0)
    return {
      state: 'problem',
      found: `${found}, none for ${algorithms.join(' or ')}`,
      todo: 'see hooks.clients[].algorithms, or ask the EHR for such a key',
    };
  const ids = usable.flatMap(({ kid }) => kid ?? []);
  if (usable.length > 1 && new Set(ids).size < usable.length)
    return {
      state: 'warning',
      found: `${found}, not each with a kid of its own`,
      todo: 'the EHR should name its keys: without a kid a key cannot be chosen',
    };
  return { state: 'ok', found };
}
