/**
 * One FHIR resource -> one line of the history, with its weight and, where a rule leaves it out, the reason.
 *
 * Null = it says nothing (refuted, entered in error, without words). Source: FHIR R4 Condition, AllergyIntolerance, MedicationRequest,
 * Observation, Procedure.
 */
import type { HistoryItem } from '#domain/evidence.ts';
import { daysBetween } from '#domain/relevance.ts';
import { bearing, isAdministrative, isResult, isSocial } from './bearing.ts';
import * as forms from './resources.ts';

/** A result older than this says little about today's organ function. */
const resultDays = 365;

export interface Line extends HistoryItem {
  /** Larger = earlier in its kind. */
  readonly weight: number;
  /** Null = shown. */
  readonly leftOutFor: string | null;
}

const settled = ['entered-in-error', 'refuted'];

/** "Pneumonia (disorder)" -> "Pneumonia": SNOMED CT's semantic tag is no part of the name. */
function plain(words: string): string {
  return words.replace(/\s*\((disorder|finding|situation|procedure|regime\/therapy|event|observable entity)\)$/i, '').trim();
}

/** "Creatinine [Mass/volume] in Serum or Plasma" -> "Creatinine": LOINC's property and specimen are understood. */
function shortTest(words: string): string {
  return words
    .replace(/\p{Cf}/gu, '')
    .replace(/(?<=\S)\s*\[(?:mass|moles|#|units|volume fraction|enzymatic)[^\]]*\](?: (?:in|by) .*)?$/i, '');
}

export function condition(one: forms.ConditionResource, regions: readonly string[]): Line | null {
  const words = forms.wordsOf(one.code);
  if (words === null || settled.some((code) => forms.hasCode(one.verificationStatus, code))) return null;
  const past = forms.hasCode(one.clinicalStatus, 'resolved', 'inactive', 'remission');
  const bears = bearing(words, regions);
  const doubt = forms.hasCode(one.verificationStatus, 'provisional', 'differential', 'unconfirmed') ? ' (not confirmed)' : '';
  return {
    kind: 'problem',
    text: `${plain(words)}${past ? ' (past)' : ''}${doubt}`,
    date: forms.dayOf(one.onsetDateTime ?? one.recordedDate),
    source: `Condition/${one.id}`,
    weight: isSocial(words) ? 0 : (bears ? 2 : 1) + (past ? 0 : 2),
    leftOutFor: past && !bears ? 'resolved, of another region' : null,
  };
}

export function allergy(one: forms.AllergyResource, regions: readonly string[]): Line | null {
  const words = forms.wordsOf(one.code);
  const gone = forms.hasCode(one.clinicalStatus, 'resolved', 'inactive');
  if (words === null || gone || settled.some((code) => forms.hasCode(one.verificationStatus, code))) return null;
  const reactions = one.reaction.flatMap(({ manifestation }) => manifestation.flatMap((each) => forms.wordsOf(each) ?? []));
  return {
    kind: 'allergy',
    text: reactions.length === 0 ? plain(words) : `${plain(words)} (${[...new Set(reactions)].join(', ')})`,
    date: forms.dayOf(one.recordedDate),
    source: `AllergyIntolerance/${one.id}`,
    weight: bearing(words, regions) ? 1 : 0,
    leftOutFor: null,
  };
}

/** Name of the medication: in place, contained, or another resource that was read; null = only a reference that leads nowhere. */
function medicationName(one: forms.MedicationRequestResource, named: ReadonlyMap<string, string>): string | null {
  const inPlace = forms.wordsOf(one.medicationCodeableConcept);
  const to = one.medicationReference;
  if (inPlace !== null || to === null) return inPlace;
  const contained = one.contained.find(({ id }) => to.reference === `#${String(id)}`);
  const id = contained === undefined ? forms.relative(to, 'Medication') : `Medication/${String(contained.id)}`;
  const names = contained === undefined ? named : medicationNames([contained]);
  return (id === null ? undefined : names.get(id)) ?? to.display;
}

/** Names of the Medications among resources by `Medication/id`; read once, since a record may hold thousands. */
export function medicationNames(resources: readonly unknown[]): ReadonlyMap<string, string> {
  const { good } = forms.readAll(forms.historyForms.Medication, 'Medication', resources);
  return new Map(
    good.toReversed().flatMap(({ id, code }) => {
      const words = forms.wordsOf(code);
      return words === null ? [] : [[`Medication/${id}`, words] as const];
    }),
  );
}

export function medication(
  one: forms.MedicationRequestResource,
  regions: readonly string[],
  named: ReadonlyMap<string, string>,
): Line | null {
  if (one.status === 'entered-in-error' || one.status === 'cancelled' || one.status === 'draft') return null;
  const name = medicationName(one, named);
  const current = one.status === 'active' || one.status === 'on-hold';
  return {
    kind: 'medication',
    text: `${name ?? 'medication without a name'}${one.status === 'on-hold' ? ' (on hold)' : ''}`,
    date: forms.dayOf(one.authoredOn),
    source: `MedicationRequest/${one.id}`,
    weight: bearing(name ?? '', regions) ? 1 : 0,
    leftOutFor: name === null ? 'its name was not given' : current ? null : 'no longer taken',
  };
}

function amountOf(one: forms.ObservationResource): string | null {
  const number = one.valueQuantity?.value ?? null;
  // Six digits are more than any laboratory measures; synthetic data carry sixteen.
  if (number !== null) return [Number(number.toPrecision(6)), one.valueQuantity?.unit].filter((part) => part !== null).join(' ');
  return one.valueString ?? forms.wordsOf(one.valueCodeableConcept);
}

export function result(one: forms.ObservationResource, today: string): Line | null {
  const words = forms.wordsOf(one.code);
  const value = amountOf(one);
  if (words === null || value === null || one.status === 'entered-in-error' || one.status === 'cancelled') return null;
  if (!one.category.some((category) => forms.hasCode(category, 'laboratory', 'LAB')) && !isResult(words)) return null;
  const date = forms.dayOf(one.effectiveDateTime ?? one.effectivePeriod?.start ?? one.issued);
  const days = date === null ? null : daysBetween(date, today);
  const old = days === null || days > resultDays;
  const flag = one.interpretation.flatMap(({ coding }) => coding.flatMap(({ code }) => code ?? [])).find((code) => code !== 'N');
  return {
    kind: 'result',
    text: `${shortTest(words)} ${value}${flag === undefined ? '' : ` (${flag})`}`,
    date,
    source: `Observation/${one.id}`,
    weight: flag === undefined ? 0 : 1,
    leftOutFor: !isResult(words) ? 'not among the results that bear on imaging' : old ? 'older than a year or without a date' : null,
  };
}

export function procedure(one: forms.ProcedureResource, regions: readonly string[]): Line | null {
  const words = forms.wordsOf(one.code);
  if (words === null || ['entered-in-error', 'not-done', 'preparation'].includes(one.status ?? '')) return null;
  const bears = bearing([words, ...one.bodySite.map(forms.wordsOf)].join(' '), regions);
  return {
    kind: 'procedure',
    text: plain(words),
    date: forms.dayOf(one.performedDateTime ?? one.performedPeriod?.start ?? null),
    source: `Procedure/${one.id}`,
    weight: bears ? 1 : 0,
    leftOutFor: isAdministrative(words) ? 'administrative' : null,
  };
}
