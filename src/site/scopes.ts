/**
 * Scopes that the authorization server granted, against those that reading and writing need.
 *
 * Source: SMART App Launch 2.2, scopes-and-launch-context (`system/Type.cruds`, and the older `.read`, `.write`, `.*`); RFC 6749 5.1: a
 * server that names no scope granted what was asked for.
 */
import type { Said } from './probe.ts';

/** What the worker and the hook read by our own account. */
const reads = [
  'Patient',
  'ImagingStudy',
  'ServiceRequest',
  'DiagnosticReport',
  'Observation',
  'Condition',
  'MedicationRequest',
  'AllergyIntolerance',
  'Procedure',
  'PractitionerRole',
];
/** What the outbox creates; each is looked for first. */
const writes = ['DiagnosticReport', 'Observation', 'Media', 'Device', 'Provenance'];

/** Letters of `cruds` that a scope gives for a type. */
function rightsOf(scope: string, type: string): string {
  const found = /^(?:system|user)\/(\*|[A-Za-z]+)\.(read|write|\*|[cruds]+)$/.exec(scope);
  if (found === null || (found[1] !== '*' && found[1] !== type)) return '';
  const [, , rights = ''] = found;
  if (rights === 'read') return 'rs';
  if (rights === 'write') return 'cud';
  return rights === '*' ? 'cruds' : rights;
}

function lacking(scopes: readonly string[], types: readonly string[], needed: string): string[] {
  return types.flatMap((type) => {
    const has = scopes.map((scope) => rightsOf(scope, type)).join('');
    const missing = [...needed].filter((right) => !has.includes(right)).join('');
    return missing === '' ? [] : [`system/${type}.${missing}`];
  });
}

/** A scope with a query is narrower than its type, and is not counted. */
export function scopesSaid(granted: readonly string[], writer: 'outbox' | 'suggestion'): Said {
  const [unread, unwritten] = [lacking(granted, reads, 'rs'), writer === 'outbox' ? lacking(granted, writes, 'crs') : []];
  const missing = [...new Set([...unread, ...unwritten])];
  if (missing.length === 0) return { state: 'ok', found: 'every scope that reading and writing need is granted' };
  const fatal = unwritten.length > 0 || unread.some((scope) => scope.startsWith('system/Patient.'));
  return {
    state: fatal ? 'problem' : 'warning',
    found: `not granted: ${missing.join(' ')}`,
    todo: 'add them to fhir.auth.scopes and to the registration of the client',
  };
}
