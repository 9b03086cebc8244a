/** FHIR Patient -> Patient: the official name first, maiden and other names beside it. Source: FHIR R4 Patient, name-use value set. */
import { WetreadError } from '#domain/errors.ts';
import type { Patient } from '#domain/patient.ts';
import { patientForm } from './resources.ts';

const preferred = ['official', 'usual', null, 'temp', 'nickname', 'old', 'maiden'];

/** @throws fhir-bad-answer when it is no Patient with an id. */
export function patientOf(resource: unknown): Patient {
  const parsed = patientForm.safeParse(resource);
  if (!parsed.success || parsed.data.id === null) {
    throw new WetreadError('fhir-bad-answer', 'found no Patient with an id, expected the Patient that the hook names');
  }
  const { id, identifier, name, gender, birthDate } = parsed.data;
  const names = name
    .filter(({ use }) => use !== 'anonymous')
    .sort((a, b) => preferred.indexOf(a.use) - preferred.indexOf(b.use))
    .map(({ family, given, text }) => (family === null && given.length === 0 ? { family: text, given: [] } : { family, given }))
    .filter(({ family, given }) => family !== null || given.length > 0);
  return {
    id,
    identity: {
      identifiers: identifier.flatMap(({ system, value, use }) => (value === null || use === 'old' ? [] : [{ system, value }])),
      birthDate,
      name: names[0] ?? null,
      sex: gender === 'male' || gender === 'female' || gender === 'other' ? gender : null,
      formerNames: names.slice(1),
    },
  };
}
