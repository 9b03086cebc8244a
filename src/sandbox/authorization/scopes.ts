/**
 * The SMART scopes that can be granted, as fixed words: oidc-provider drops what is not listed without saying so.
 *
 * v2: letters c r u d s in that order; v1: read, write, *. Source: SMART App Launch 2, scopes-and-launch-context.
 */
import { servedTypes } from '../fhir/types.ts';

const letters = ['c', 'r', 'u', 'd', 's'] as const;

/** All non-empty subsets of cruds in their order, and the words of v1. */
const permissions: readonly string[] = [
  ...Array.from({ length: 31 }, (_, index) => letters.filter((_letter, bit) => (((index + 1) >> bit) & 1) === 1).join('')),
  'read',
  'write',
  '*',
];

export const identityScopes = ['openid', 'fhirUser', 'profile', 'offline_access', 'online_access', 'launch'] as const;

function scopesOf(levels: readonly string[]): string[] {
  return levels.flatMap((level) =>
    [...servedTypes, '*'].flatMap((type) => permissions.map((permission) => `${level}/${type}.${permission}`)),
  );
}

/** For apps that a user launches. */
export const appScopes: readonly string[] = scopesOf(['patient', 'user']);

/** For backend services. */
export const systemScopes: readonly string[] = scopesOf(['system']);
