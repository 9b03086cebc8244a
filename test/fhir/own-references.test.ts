import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ownReference, withOwnReferences } from '#fhir/own-references.ts';

const bases = ['https://fhir.example/a/r4', 'https://public.example/fhir'];

describe('a reference', () => {
  test.each([
    ['Patient/7', 'Patient/7'],
    ['Patient/7/_history/3', 'Patient/7'],
    ['https://fhir.example/a/r4/Patient/7', 'Patient/7'],
    ['https://FHIR.example:443/a/r4/Patient/7/_history/1', 'Patient/7'],
    ['https://public.example/fhir/Patient/7', 'Patient/7'],
    ['https://fhir.example/a/r4/x/../Patient/7', 'Patient/7'],
  ])('%s is ours', (written, own) => expect(ownReference(written, bases)).toBe(own));

  test.each([
    'https://elsewhere.example/fhir/Patient/7',
    'http://fhir.example/a/r4/Patient/7',
    'https://fhir.example/Patient/7',
    'https://fhir.example/a/r4/tenant/Patient/7',
    'https://fhir.example/a/r4.evil.example/Patient/7',
    'https://fhir.example@elsewhere.example/a/r4/Patient/7',
    'https://fhir.example/a/r4/../../Patient/7',
    'https://fhir.example/a/r4/Patient/7?x=1',
    'https://fhir.example/a/r4/Patient/7#Patient/8',
    'tenant/Patient/7',
    '../Patient/7',
    '//elsewhere.example/Patient/7',
    '#7',
    'urn:uuid:00000000-0000-4000-8000-000000000007',
    '',
  ])('%s stays as it is written', (written) => expect(ownReference(written, bases)).toBe(written));

  test('whatever it is: what comes out is Type/id of a base, or what was written', () => {
    const parts = fc.array(fc.constantFrom('https://', 'fhir.example', '/a/r4', '/', 'Patient', '7', '..', '@', ':443', '?', '#', '%2e'));
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          parts.map((all) => all.join('')),
        ),
        (written) => {
          const own = ownReference(written, bases);
          if (own === written) return;
          expect(own).toMatch(/^[A-Z][A-Za-z]+\/[A-Za-z0-9.-]+$/);
          const path = URL.canParse(written) ? new URL(written).href : written;
          expect(
            bases
              .map((base) => `${base}/${own}`)
              .concat(own)
              .some((one) => path === one || path.startsWith(`${one}/_history/`)),
          ).toBe(true);
        },
      ),
    );
  });
});

test('every reference of a resource is made ours, however deep, and nothing else is touched', () => {
  const report = (base: string) => ({
    resourceType: 'DiagnosticReport',
    subject: { reference: `${base}Patient/7` },
    contained: [{ extension: [{ valueReference: { reference: `${base}Device/1` } }] }],
    presentedForm: [{ url: 'https://fhir.example/a/r4/Binary/1' }],
    number: 0,
    none: null,
  });
  expect(withOwnReferences(report('https://fhir.example/a/r4/'), bases)).toEqual(report(''));
});
