/**
 * The identity gate against a rule written down independently: each part of a header is made with what it must come to, and the verdict
 * follows from these labels alone, never from the values.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { checkIdentity } from '#domain/identity.ts';
import type { Identity } from '#domain/patient.ts';

type Outcome = 'agrees' | 'contradicts' | 'unknown';

/** A part of the header, and how it stands to the record. `marriage` = another family name, the same given name. */
interface Part<Value, Label = Outcome> {
  readonly value: Value;
  readonly label: Label;
}

const system = 'https://hospital.example/mrn';
const families = ['Okafor', 'Lindqvist', 'Tanaka', 'Moreau', 'Szymański', 'Hernández'] as const;
const givens = ['Ingrid', 'Bartholomew', 'Chiyo', 'Amélie', 'Kwame', 'Dolores'] as const;
const pick = <T>(values: readonly T[]) => fc.constantFrom(...values);
const other = <T>(values: readonly T[], not: T) => pick(values.filter((value) => value !== not));
const part = <Value, Label = Outcome>(value: Value, label: Label): fc.Arbitrary<Part<Value, Label>> => fc.constant({ value, label });

const digits = fc.stringMatching(/^[1-9]\d{4,7}$/);
const day = fc
  .date({ min: new Date('1930-01-01'), max: new Date('2020-12-28'), noInvalidDate: true })
  .map((date) => date.toISOString().slice(0, 10));

function idParts(value: string, defaultIssuer: string | null): fc.Arbitrary<Part<Identity['identifiers']>> {
  const unsaid: Outcome = defaultIssuer === null ? 'unknown' : 'agrees';
  const wrong = `${value}9`;
  return fc.oneof(
    part([{ system: 'HOSP', value }], 'agrees' as Outcome),
    part([{ system, value }], 'agrees' as Outcome),
    part([{ system: null, value: ` ${value} ` }], unsaid),
    part([{ system: 'HOSP', value: wrong }], 'contradicts' as Outcome),
    part([{ system: null, value: wrong }], (defaultIssuer === null ? 'unknown' : 'contradicts') as Outcome),
    part([{ system: 'ELSEWHERE', value }], 'unknown' as Outcome),
    part([{ system: 'HOSP', value: '  ' }], 'unknown' as Outcome),
    part([], 'unknown' as Outcome),
    part(
      [
        { system: 'ELSEWHERE', value: wrong },
        { system: 'HOSP', value },
      ],
      'agrees' as Outcome,
    ),
    part(
      [
        { system: 'HOSP', value },
        { system: 'HOSP', value: wrong },
      ],
      'contradicts' as Outcome,
    ),
  );
}

/** `whole` = both sides say the day. */
function dateParts(date: string | null): fc.Arbitrary<Part<string | null> & { readonly whole: boolean }> {
  const made = (value: string | null, label: Outcome, whole = false) => fc.constant({ value, label, whole });
  const silent = fc.oneof(made(null, 'unknown'), made('', 'unknown'), made('29.02.1960', 'unknown'), made('1960-13', 'unknown'));
  if (date === null) return fc.oneof(silent, made('1960-05-01', 'unknown'));
  const year = Number(date.slice(0, 4));
  const nextDay = date.endsWith('-01') ? `${date.slice(0, 8)}02` : `${date.slice(0, 8)}01`;
  return fc.oneof(
    silent,
    made(date, 'agrees', true),
    made(date.slice(0, 4), 'agrees'),
    made(date.slice(0, 7), 'agrees'),
    made(nextDay, 'contradicts', true),
    made(`${year + 1}${date.slice(4)}`, 'contradicts', true),
    made(String(year - 1), 'contradicts'),
  );
}

type Name = NonNullable<Identity['name']>;
type NameLabel = Outcome | 'marriage';

function nameParts(
  { family, given: [first = '', ...more] }: Name & { family: string },
  maiden: string | null,
): fc.Arbitrary<Part<Name | null, NameLabel>> {
  const made = (value: Name | null, label: NameLabel) => part<Name | null, NameLabel>(value, label);
  const strangers = fc.tuple(
    other(
      families.filter((one) => one !== maiden),
      family,
    ),
    other(givens, first),
  );
  const typo = `${family.slice(0, -2)}${family.slice(-1)}`;
  return fc.oneof(
    made({ family, given: [first, ...more] }, 'agrees'),
    made({ family: family.toUpperCase(), given: [first.toUpperCase()] }, 'agrees'),
    made({ family: family.normalize('NFKD').replace(/\p{M}/gu, ''), given: [first] }, 'agrees'),
    made({ family: first, given: [family] }, 'agrees'),
    made({ family, given: [first.slice(0, 1)] }, 'agrees'),
    made({ family: `${family} ${first}`, given: [] }, 'agrees'),
    made({ family: typo, given: [first] }, 'unknown'),
    made(null, 'unknown'),
    made({ family: 'ANONYMOUS', given: [] }, 'unknown'),
    made({ family: null, given: [] }, 'unknown'),
    strangers.map(([value, given]) => ({ value: { family: value, given: [given] }, label: 'contradicts' as const })),
    // Twins: one family, two given names.
    other(givens, first).map((given) => ({ value: { family, given: [given] }, label: 'contradicts' as const })),
    strangers.map(([value]) => ({ value: { family: value, given: [first] }, label: 'marriage' as const })),
    ...(maiden === null ? [] : [made({ family: maiden, given: [first] }, 'agrees')]),
  );
}

function sexParts(sex: Identity['sex']): fc.Arbitrary<Part<Identity['sex']>> {
  const said = sex === 'male' || sex === 'female';
  const of = (value: Identity['sex']): Outcome =>
    !said || (value !== 'male' && value !== 'female') ? 'unknown' : value === sex ? 'agrees' : 'contradicts';
  return pick<Identity['sex']>(['male', 'female', 'other', null]).map((value) => ({ value, label: of(value) }));
}

const cases = fc
  .record({
    value: digits,
    defaultIssuer: pick(['HOSP', null]),
    date: fc.option(day, { nil: null }),
    family: pick(families),
    given: pick(givens),
    middle: fc.option(pick(givens), { nil: null }),
    maiden: fc.option(pick(families), { nil: null }),
    sex: pick<Identity['sex']>(['male', 'female', 'other', null]),
    namedByImagingStudy: fc.boolean(),
    accessionMatches: fc.boolean(),
  })
  .chain((person) => {
    const middle = person.middle === person.given ? null : person.middle;
    const maiden = person.maiden === person.family ? null : person.maiden;
    const name = { family: person.family, given: [person.given, ...(middle === null ? [] : [middle])] };
    // A stranger must not have the middle name of the record either: a middle name may be the one that is used.
    return fc.record({
      person: fc.constant({ ...person, name, maiden }),
      id: idParts(person.value, person.defaultIssuer),
      date: dateParts(person.date),
      name: nameParts(name, maiden).filter(({ value, label }) => middle === null || label === 'agrees' || value?.given[0] !== middle),
      sex: sexParts(person.sex),
    });
  });

/** The rule, from the labels alone. */
function oracle({ id, date, name, sex, person }: typeof cases extends fc.Arbitrary<infer Case> ? Case : never): string {
  const nameLabel = name.label === 'marriage' ? (date.label === 'agrees' && date.whole ? 'unknown' : 'contradicts') : name.label;
  const besides = [date.label, nameLabel, sex.label];
  if (id.label === 'contradicts' || besides.includes('contradicts')) return 'conflict';
  if (id.label !== 'agrees') return 'insufficient';
  return besides.includes('agrees') || person.namedByImagingStudy || person.accessionMatches ? 'agree' : 'insufficient';
}

test('in thousands of pairs of header and record the verdict is that of a rule written down independently', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(cases, (one) => {
      const { person, id, date, name, sex } = one;
      const record: Identity = {
        identifiers: [
          { system: 'https://elsewhere.example/insurance', value: '1' },
          { system, value: person.value },
        ],
        birthDate: person.date,
        name: person.name,
        sex: person.sex,
        ...(person.maiden === null ? {} : { formerNames: [{ family: person.maiden, given: [person.given] }] }),
      };
      const header: Identity = { identifiers: id.value, birthDate: date.value, name: name.value, sex: sex.value };
      const { defaultIssuer, namedByImagingStudy, accessionMatches } = person;
      const context = { defaultIssuer, issuers: [{ issuer: 'HOSP', system }], namedByImagingStudy, accessionMatches };
      const { verdict, message } = checkIdentity(record, header, context);
      expect(verdict, message).toBe(oracle(one));
      // No word of the message is of the patient.
      for (const value of [person.value, person.family, person.given, person.date].filter((text) => text !== null))
        expect(message).not.toContain(value);
      seen.set(verdict, (seen.get(verdict) ?? 0) + 1);
    }),
    { numRuns: 5000 },
  );
  for (const verdict of ['agree', 'insufficient', 'conflict']) expect([verdict, (seen.get(verdict) ?? 0) > 200]).toEqual([verdict, true]);
});
