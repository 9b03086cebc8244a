/**
 * Which roles a hook's user has, by PractitionerRole; an unknown role is none, so that a card never shows more than it may.
 *
 * Source: CDS Hooks 2.0 context.userId; FHIR R4 PractitionerRole.
 */
import type { FhirClient } from '#fhir/client.ts';
import { ownReference } from '#fhir/own-references.ts';
import type { Readable } from '#fhir/types.ts';

const keptMs = 10 * 60_000;

function codesOf(role: Readable<'PractitionerRole'>): string[] {
  if (role.active === false) return [];
  return (role.code ?? []).flatMap((concept) => (concept.coding ?? []).flatMap(({ code }) => code ?? []));
}

/** A server that ignores the search parameter must not lend a user the roles of others. */
function isOf(userId: string, { base }: FhirClient): (role: Readable<'PractitionerRole'>) => boolean {
  return ({ practitioner }) => practitioner?.reference !== undefined && ownReference(practitioner.reference, [base]) === userId;
}

/** Reads and keeps roles for ten minutes. What cannot be read is no role; it is asked again at the next call. */
export function roleReader(client: FhirClient, now: () => Date): (userId: string, signal: AbortSignal) => Promise<readonly string[]> {
  const kept = new Map<string, { readonly at: number; readonly roles: readonly string[] }>();
  return async (userId, signal) => {
    const known = kept.get(userId);
    if (known !== undefined && now().getTime() - known.at < keptMs) return known.roles;
    const [type, id] = userId.split('/');
    if (id === undefined || (type !== 'Practitioner' && type !== 'PractitionerRole')) return [];
    try {
      const roles =
        type === 'PractitionerRole'
          ? codesOf(await client.read('PractitionerRole', id, { signal }))
          : (await client.search('PractitionerRole', [['practitioner', userId]], { signal, accept: isOf(userId, client) })).hits.flatMap(
              codesOf,
            );
      kept.set(userId, { at: now().getTime(), roles });
      return roles;
    } catch {
      // Least privilege: a server without PractitionerRole, or a slow one, means that no statement is shown on the card.
      return [];
    }
  };
}
