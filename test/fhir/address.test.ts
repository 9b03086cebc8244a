import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fhirBase, ignoredParams, isBelow, nextUrl, readUrl, searchUrl } from '#fhir/address.ts';

const base = 'https://fhir.example/a/r4';

describe('FHIR addresses', () => {
  test('whatever the id and the type, the URL lies below the base or nothing is built', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('Patient', 'ImagingStudy', '../x', 'Patient/x', ''), (id, type) => {
        try {
          const url = new URL(readUrl(base, type, id));
          expect(url.href).toBe(`${base}/${type}/${id}`);
          expect(url.pathname.split('/')).toHaveLength(5);
        } catch (error) {
          expect(error).toMatchObject({ code: 'request-malformed' });
        }
      }),
    );
  });

  test('whatever the values, a search gives them back unchanged to a server', () => {
    const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => text.trim() !== '');
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom('patient', 'code', '_sort'), value)), (params) => {
        expect([...new URL(searchUrl(base, 'Observation', params)).searchParams]).toEqual(params);
      }),
    );
  });

  test('whatever the link, only an address below the base comes out', () => {
    const link = fc.oneof(
      fc.webUrl(),
      fc.string(),
      fc.constantFrom(
        '?page=2',
        '/a/r4?x=1',
        '//evil.example/a/r4',
        '../r4',
        'https://fhir.example/a/r4x',
        '/a/r4/../../admin',
        '/a/r4/%2e%2e/%2e%2e/admin',
      ),
    );
    fc.assert(
      fc.property(link, (text) => {
        const next = nextUrl(base, `${base}/Patient?_count=1`, text);
        if (next !== null) expect(next === base || /^https:\/\/fhir\.example\/a\/r4([/?#]|$)/.test(next)).toBe(true);
      }),
    );
    expect(nextUrl(base, `${base}/Patient?_count=1`, '?page=2')).toBe(`${base}/Patient?page=2`);
    expect(nextUrl(base, `${base}/Patient?_count=1`, '/a/r4?page=2')).toBe(`${base}?page=2`);
    expect(nextUrl(base, `${base}/Patient`, '//evil.example/a/r4')).toBeNull();
  });

  test.each([
    'https://fhir.example/a/r4evil',
    'http://fhir.example/a/r4',
    'https://fhir.example:444/a/r4',
    'https://u@fhir.example/a/r4',
    'https://fhir.example/a',
  ])('%s is not below the base', (url) => expect(isBelow(base, url)).toBe(false));

  test.each(['', 'fhir', 'ftp://x/r4', 'https://x/r4?a=1', 'https://u:p@x/r4', 'https://x/r4#a'])('%j is no base', (text) => {
    expect(() => fhirBase(text)).toThrow(expect.objectContaining({ code: 'site-invalid' }));
  });

  test('a modifier does not hide that a parameter was applied, and _count is no filter', () => {
    const params = [
      ['code:in', 'x'],
      ['patient', 'p'],
      ['_sort', '-date'],
      ['_count', '5'],
    ] as const;
    expect(ignoredParams(params, `${base}/Observation?code%3Ain=x&patient=p&_sort=-date`, base)).toEqual([]);
    expect(ignoredParams(params, `${base}/Observation?code=x`, base)).toEqual(['patient', '_sort']);
    expect(ignoredParams(params, 'no url:443:443', 'no url')).toEqual([]);
  });
});
