/**
 * DICOM UIDs and the identifiers that wetread derives from a draft key.
 *
 * Derived UIDs are UUIDv5 under the root 2.25 (PS3.5 B.2), so a retry cannot double anything.
 */
import { createHash } from 'node:crypto';
import { WetreadError } from './errors.ts';

/** A DICOM UID: at most 64 characters, digits and dots, no component with a leading zero (PS3.5 9.1). */
export type Uid = string & { readonly __brand: 'Uid' };

const form = /^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+$/;

export function isUid(text: string): text is Uid {
  return text.length <= 64 && form.test(text);
}

/** @throws dicom-uid-invalid */
export function parseUid(text: string, what = 'UID'): Uid {
  if (isUid(text)) return text;
  throw new WetreadError(
    'dicom-uid-invalid',
    `${what}: found ${JSON.stringify(text.slice(0, 80))}, expected digits and dots, at most 64 characters`,
  );
}

/** Strips `urn:oid:` (FHIR writes it in identifiers, not in series.uid and instance.uid; real data mixes both). */
export function uidOfFhir(text: string): string {
  return text.startsWith('urn:oid:') ? text.slice(8) : text;
}

/** Namespace of all names derived by wetread (a fixed random UUID). */
const namespace = Buffer.from('8f0b7c2e5d3a4e6f9a1c0d2b4e6f8a90', 'hex');

/** UUID version 5 (RFC 9562 5.5) of a name in wetread's namespace. */
export function uuidOf(name: string): string {
  const hash = createHash('sha1').update(namespace).update(name, 'utf8').digest().subarray(0, 16);
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** UID under 2.25 of a name: the UUID as one decimal number. */
export function uidOf(name: string): Uid {
  return `2.25.${BigInt(`0x${uuidOf(name).replaceAll('-', '')}`).toString()}` as Uid; // decimal of a UUID is always a valid component
}
