/** Synthetic people: names from a short invented list, identifiers of the sandbox's hospital. No real person is meant. */
import { uuidOf } from '#domain/uid.ts';
import type { Random } from './random.ts';

/** FHIR system of the hospital's patient numbers; the PACS knows it as issuer. */
export const patientSystem = 'urn:oid:2.25.186402116702441880203981223045108411201';
export const patientIssuer = 'LINDENHOF';
export const accessionSystem = 'urn:oid:2.25.186402116702441880203981223045108411202';

export interface Person {
  /** FHIR logical id. */
  readonly id: string;
  /** Patient number: FHIR identifier value and DICOM PatientID. */
  readonly number: string;
  readonly family: string;
  readonly given: string;
  readonly female: boolean;
  /** YYYY-MM-DD. */
  readonly birthDate: string;
}

const families = [
  'Abendroth',
  'Brightwater',
  'Castellan',
  'Dovetail',
  'Elmsworth',
  'Fairlight',
  'Grünwald',
  'Hollins',
  'Ibarra',
  'Jurgensen',
  'Kestrel',
  'Lindqvist',
];
const women = ['Agnes', 'Beatrix', 'Clara', 'Dorothea', 'Edith', 'Freya', 'Greta', 'Hedwig'];
const men = ['Albert', 'Bruno', 'Caspar', 'Dietrich', 'Emil', 'Felix', 'Gustav', 'Henrik'];

/** `index` keeps names apart within one hospital. */
export function makePerson(random: Random, seed: string, index: number, now: Date): Person {
  const female = random.chance(0.5);
  const age = random.integer(38, 84);
  const born = new Date(Date.UTC(now.getUTCFullYear() - age, random.integer(0, 11), random.integer(1, 28)));
  const family = families[(index * 5) % families.length] ?? 'Nemo';
  return {
    id: `phantom-${uuidOf(`person ${seed} ${index}`).slice(0, 8)}`,
    number: `LH${100000 + index * 7919 + random.integer(0, 999)}`,
    family,
    given: (female ? women : men)[index % 8] ?? 'Nemo',
    female,
    birthDate: born.toISOString().slice(0, 10),
  };
}
