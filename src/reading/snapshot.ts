/** What a worker needs of a hook call, sealed in the store until the draft is settled. Parsed by its maker only, so its type is trusted. */
import type { Evidence } from '#domain/evidence.ts';
import { type SealKey, seal, unseal } from '#work/snapshot.ts';

export interface Request {
  readonly key: string;
  readonly evidence: Evidence;
  /** Digest of the bundle that the key was made with. */
  readonly bundleDigest: string;
  /** Orders that may be the study's own; confirmed on the FHIR server before they are named. */
  readonly basedOn: readonly string[];
  /** How often the study had grown while it was read, before this request. */
  readonly growths: number;
}

export function sealRequest(key: SealKey, request: Request): Buffer {
  return seal(key, `snapshot:${request.key}`, Buffer.from(JSON.stringify(request), 'utf8'));
}

export function openRequest(key: SealKey, draftKey: string, sealed: Uint8Array): Request {
  // Authenticated by the seal: nobody but sealRequest can have written it.
  return JSON.parse(unseal(key, `snapshot:${draftKey}`, sealed).toString('utf8')) as Request;
}
