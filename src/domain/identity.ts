/**
 * The identity gate: is a study the patient's?
 *
 * It is when PatientID with its issuer agrees and nothing that both sides say contradicts. Real headers say little (2 of 29 carry an issuer,
 * twelve unrelated people share one PatientID), so a PatientID alone also needs a witness: an ImagingStudy of that patient or the order's
 * accession number. What is unknown never makes a conflict. Messages name fields, never values.
 */
import { compareNames } from './names.ts';
import type { Identity } from './patient.ts';

type Outcome = 'agrees' | 'contradicts' | 'unknown';

interface Compared {
  readonly field: 'PatientID' | 'birth date' | 'name' | 'sex';
  readonly outcome: Outcome;
  /** Why it is unknown, or what was tolerated; null = nothing to add. */
  readonly note: string | null;
}

export interface GateContext {
  /** Issuer of a header without one; null = the PACS has no default issuer. */
  readonly defaultIssuer: string | null;
  /** DICOM issuer <-> FHIR identifier system. An issuer that is itself a FHIR system needs no row. */
  readonly issuers: readonly { readonly issuer: string; readonly system: string }[];
  readonly namedByImagingStudy: boolean;
  readonly accessionMatches: boolean;
}

export interface GateVerdict {
  readonly verdict: 'agree' | 'insufficient' | 'conflict';
  readonly compared: readonly Compared[];
  /** One sentence without any value of the patient's. */
  readonly message: string;
}

function systemOf(issuer: string | null, context: GateContext): string | null {
  const said = issuer ?? context.defaultIssuer;
  if (said === null) return null;
  return context.issuers.find((row) => row.issuer === said)?.system ?? said;
}

function comparePatientId(patient: Identity, header: Identity, context: GateContext): Compared {
  const field = 'PatientID';
  const ids = header.identifiers.filter(({ value }) => value.trim() !== '');
  if (ids.length === 0) return { field, outcome: 'unknown', note: 'the images carry no PatientID' };
  const judged = ids.map(({ system, value }): Compared => {
    const issuer = systemOf(system, context);
    if (issuer === null) return { field, outcome: 'unknown', note: 'the images name no issuer and the PACS has no default issuer' };
    const own = patient.identifiers.filter((identifier) => identifier.system === issuer && identifier.value.trim() !== '');
    if (own.length === 0) return { field, outcome: 'unknown', note: 'the patient has no identifier of the issuer that the images name' };
    const same = own.some((identifier) => identifier.value.trim() === value.trim());
    return { field, outcome: same ? 'agrees' : 'contradicts', note: null };
  });
  // A second id of another issuer may be unknown here; one that contradicts outweighs one that agrees.
  const rank = { contradicts: 0, agrees: 1, unknown: 2 };
  return judged.sort((a, b) => rank[a.outcome] - rank[b.outcome])[0] ?? { field, outcome: 'unknown', note: null };
}

const dateForm = /^\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?$/;

function compareBirthDates(a: string | null, b: string | null): Compared {
  const field = 'birth date';
  if (a === null || b === null || !dateForm.test(a) || !dateForm.test(b)) return { field, outcome: 'unknown', note: null };
  const common = Math.min(a.length, b.length);
  const outcome = a.slice(0, common) === b.slice(0, common) ? 'agrees' : 'contradicts';
  return { field, outcome, note: common < 10 ? 'partial date' : null };
}

function compareSexes(a: Identity['sex'], b: Identity['sex']): Compared {
  // "other" is what many devices write for "not said", so it neither agrees nor contradicts.
  const said = a !== null && b !== null && a !== 'other' && b !== 'other';
  return { field: 'sex', outcome: !said ? 'unknown' : a === b ? 'agrees' : 'contradicts', note: null };
}

function comparePersonNames(patient: Identity, header: Identity, birthDate: Compared): Compared {
  const field = 'name';
  const ids = [...patient.identifiers, ...header.identifiers].map(({ value }) => value);
  const all = [patient.name, ...(patient.formerNames ?? [])].map((name) => compareNames(name, header.name, ids));
  if (all.includes('agrees')) return { field, outcome: 'agrees', note: null };
  const verdict = all[0] ?? 'unknown';
  if (verdict === 'contradicts') return { field, outcome: 'contradicts', note: null };
  if (verdict === 'family-only') {
    const sameDay = birthDate.outcome === 'agrees' && birthDate.note === null;
    const note = 'given name agrees, family name differs';
    return { field, outcome: sameDay ? 'unknown' : 'contradicts', note };
  }
  return { field, outcome: 'unknown', note: null };
}

function list(compared: readonly Compared[], outcome: Outcome): string {
  return compared
    .filter((one) => one.outcome === outcome)
    .map(({ field }) => field)
    .join(', ');
}

/** The gate for one study: `patient` as FHIR has it, `header` as the PACS or the images say it. */
export function checkIdentity(patient: Identity, header: Identity, context: GateContext): GateVerdict {
  const id = comparePatientId(patient, header, context);
  const birthDate = compareBirthDates(patient.birthDate, header.birthDate);
  const compared = [id, birthDate, comparePersonNames(patient, header, birthDate), compareSexes(patient.sex, header.sex)];
  const against = list(compared, 'contradicts');
  if (against !== '') return { verdict: 'conflict', compared, message: `The images contradict the patient's record in: ${against}.` };
  if (id.outcome !== 'agrees') return { verdict: 'insufficient', compared, message: `Not shown to be the patient's: ${id.note}.` };
  const besides = compared.slice(1).some(({ outcome }) => outcome === 'agrees');
  if (besides)
    return { verdict: 'agree', compared, message: `The images agree with the patient's record in: ${list(compared, 'agrees')}.` };
  if (context.namedByImagingStudy)
    return { verdict: 'agree', compared, message: "PatientID agrees and the patient's ImagingStudy names the study." };
  if (context.accessionMatches)
    return { verdict: 'agree', compared, message: "PatientID agrees and the study carries the order's accession number." };
  return {
    verdict: 'insufficient',
    compared,
    message: "Only PatientID can be compared, and neither an ImagingStudy of the patient nor the order's accession number names the study.",
  };
}

/**
 * Two headers of one study: false when they are of two people (another PatientID of the same issuer, or a contradiction elsewhere).
 * What one of them lacks says nothing.
 */
export function samePerson(a: Identity, b: Identity): boolean {
  const open: GateContext = { defaultIssuer: 'unsaid', issuers: [], namedByImagingStudy: true, accessionMatches: false };
  return (
    checkIdentity({ ...a, identifiers: a.identifiers.map((id) => ({ ...id, system: id.system ?? 'unsaid' })) }, b, open).verdict !==
    'conflict'
  );
}
