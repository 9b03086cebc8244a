/**
 * What a caller may do: everything (loopback without a token), or what the scopes and the patient context of its token say.
 *
 * Under a patient context a resource is seen when it is that Patient or refers to it by its `patient` parameter; types without one
 * (Practitioner, Organization, Endpoint, Medication ...) carry nothing of a patient and are seen by their scope alone.
 * Source: SMART App Launch 2, scopes-and-launch-context (v1 and v2 words, letters c r u d s).
 */
import type { Condition } from './conditions.ts';
import { parametersOf } from './parameters.ts';
import { FhirRefusal } from './refusal.ts';
import type { FhirStore, Version } from './store.ts';
import type { ServedType } from './types.ts';

type Letter = 'c' | 'r' | 'u' | 'd' | 's';

export interface Access {
  /** @throws FhirRefusal 403 when no scope allows this interaction with the type. */
  require(type: ServedType, letter: Letter): void;
  /** Condition on table `resource` that keeps a search inside the patient context; null = no limit. */
  narrow(type: ServedType): Condition | null;
  sees(version: Version): boolean;
}

export const fullAccess: Access = { require: () => undefined, narrow: () => null, sees: () => true };

/** What introspection says about an active token. */
export interface Grant {
  readonly scope: string;
  /** Patient of the launch context, null = none. */
  readonly patient: string | null;
}

interface Scope {
  readonly level: string;
  readonly type: string;
  readonly letters: string;
}

const v1Letters: Readonly<Record<string, string>> = { read: 'rs', write: 'cud', '*': 'cruds' };

/** Resource scopes of a scope string, v1 words translated; others (openid, launch) are left out, also those limited by a query. */
export function resourceScopes(scope: string): Scope[] {
  return scope.split(' ').flatMap((word) => {
    const match = /^(patient|user|system)\/([A-Z][A-Za-z]+|\*)\.(read|write|\*|c?r?u?d?s?)$/.exec(word);
    if (match === null) return [];
    const [, level = '', type = '', letters = ''] = match;
    return [{ level, type, letters: v1Letters[letters] ?? letters }];
  });
}

export function accessOf(grant: Grant, store: FhirStore): Access {
  const scopes = resourceScopes(grant.scope);
  const patient = grant.patient;
  const allows = (type: ServedType, letter: Letter): Scope[] =>
    scopes.filter((one) => (one.type === '*' || one.type === type) && one.letters.includes(letter));

  /** A `user/` or `system/` scope for the type is not bound to the patient in context. */
  const isBound = (type: ServedType): boolean =>
    !['r', 's'].some((letter) => allows(type, letter as Letter).some((one) => one.level !== 'patient'));

  function narrow(type: ServedType): Condition | null {
    if (!isBound(type)) return null;
    if (type === 'Patient') return { sql: 'resource.id = ?', args: [patient ?? ''] };
    if (!parametersOf(type).has('patient')) return null;
    const sql = "resource.key IN (SELECT key FROM entry WHERE parameter = 'patient' AND system = 'Patient' AND value = ?)";
    return { sql, args: [patient ?? ''] };
  }

  return {
    require(type, letter) {
      if (allows(type, letter).length > 0) return;
      throw new FhirRefusal(403, 'forbidden', `the token has no scope for ${letter} of ${type}; its scopes: ${grant.scope}`);
    },
    narrow,
    sees(version) {
      if (allows(version.type, 'r').length === 0 && allows(version.type, 's').length === 0) return false;
      const condition = narrow(version.type);
      if (condition === null) return true;
      const sql = `SELECT 1 AS one FROM resource WHERE type = ? AND id = ? AND ${condition.sql}`;
      return store.db.prepare(sql).get(version.type, version.id, ...condition.args) !== undefined;
    },
  };
}
