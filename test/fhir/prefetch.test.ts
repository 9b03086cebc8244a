import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prefetched } from '#fhir/prefetch.ts';

const outcome = { resourceType: 'OperationOutcome', issue: [{ severity: 'error', diagnostics: 'timed out' }] };
const study = { resourceType: 'ImagingStudy', id: 's' };
const bundleOf = (entry: object[], link: object[] = []) => ({ resourceType: 'Bundle', type: 'searchset', entry, link });
const search = (value: unknown) => prefetched({ studies: value }, 'studies', 'ImagingStudy', 'search');

describe('a prefetch key', () => {
  test('that is not sent is absent, also when there is no prefetch or the name is an inherited one', () => {
    expect(prefetched(null, 'patient', 'Patient', 'read').state).toBe('absent');
    expect(prefetched({}, 'patient', 'Patient', 'read').state).toBe('absent');
    expect(prefetched({}, 'toString', 'Patient', 'read').state).toBe('absent');
  });

  test('null and an empty Bundle are answers: nothing is there', () => {
    expect(search(null)).toEqual({ state: 'empty' });
    expect(search(bundleOf([]))).toEqual({ state: 'empty' });
    expect(search({ resourceType: 'Bundle', type: 'searchset' })).toEqual({ state: 'empty' });
  });

  test('an OperationOutcome is a failure with its text', () => {
    expect(search(outcome)).toMatchObject({
      state: 'failed',
      warning: { code: 'prefetch-failed', message: expect.stringContaining('timed out') },
    });
  });

  test('a Bundle with outcome entries is partial: the rest is used and it is said', () => {
    const value = bundleOf([{ resource: study }, { resource: outcome, search: { mode: 'outcome' } }]);
    expect(search(value)).toMatchObject({ state: 'list', resources: [study], warnings: [{ code: 'prefetch-partial' }] });
    expect(search(bundleOf([{ resource: outcome }]))).toMatchObject({
      state: 'list',
      resources: [],
      warnings: [{ code: 'prefetch-partial' }],
    });
  });

  test('a next link is kept, also of an empty page', () => {
    const link = [{ relation: 'next', url: 'https://fhir.example/r4?page=2' }];
    expect(search(bundleOf([{ resource: study }], link))).toMatchObject({ next: 'https://fhir.example/r4?page=2' });
    expect(search(bundleOf([], link))).toMatchObject({ state: 'list', resources: [] });
  });

  test.each([
    ['an HTML page', '<html>login</html>'],
    ['an array', [study]],
    ['a number', 7],
    ['an object without a type', { id: 's' }],
    ['another type', { resourceType: 'Patient', id: 'p' }],
    ['a Bundle with a broken entry', bundleOf([{ resource: 'text' }])],
  ])('%s is malformed with a warning', (_, value) => {
    expect(search(value)).toMatchObject({ state: 'malformed', warning: { code: 'prefetch-malformed' } });
  });

  test('a read wants the resource itself', () => {
    expect(prefetched({ patient: { resourceType: 'Patient', id: 'p' } }, 'patient', 'Patient', 'read').state).toBe('resource');
    expect(prefetched({ patient: bundleOf([]) }, 'patient', 'Patient', 'read').state).toBe('malformed');
  });

  test('any JSON has a state and none throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom('read', 'search'), (value, kind) => {
        const { state } = prefetched({ key: value }, 'key', 'Patient', kind);
        expect(state).not.toBe('absent');
        if (value !== null) expect(['malformed', 'failed', 'resource', 'list', 'empty']).toContain(state);
      }),
    );
  });
});
