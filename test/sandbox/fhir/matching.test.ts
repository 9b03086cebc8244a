import fc from 'fast-check';
import { describe, it } from 'vitest';
import { fullAccess } from '#sandbox/fhir/access.ts';
import { fold } from '#sandbox/fhir/entries.ts';
import { parseQuery } from '#sandbox/fhir/query.ts';
import { openSearch } from '#sandbox/fhir/search.ts';
import { openStore } from '#sandbox/fhir/store.ts';
import type { ServedType } from '#sandbox/fhir/types.ts';

const base = 'http://127.0.0.1/fhir';

/** Ids that a search finds among resources in a store of its own. */
function found(type: ServedType, resources: readonly { id: string }[], search: Readonly<Record<string, string>>): string[] {
  const store = openStore(':memory:', base, () => new Date(0));
  for (const resource of resources)
    store.write(type, resource.id, { resourceType: type, ...resource } as Parameters<typeof store.write>[2], 'PUT');
  const bundle = openSearch(store, () => 'token').first(parseQuery(type, new URLSearchParams(search)), fullAccess);
  store.close();
  return (bundle.entry ?? []).map((entry) => entry.resource?.id ?? '').sort();
}

const escaped = (text: string) => text.replace(/[\\,|$]/g, '\\$&');
// Few letters, so that values meet; all separators, so that escapes matter.
const word = fc.stringMatching(/^[ab,|$\\]{1,3}$/);
const identifier = fc.record({ system: fc.option(word, { nil: undefined }), value: word });

describe('matching, against a plain comparison', () => {
  it('tokens: code, system|code, |code and system|, whatever characters they have', () => {
    fc.assert(
      fc.property(
        fc.array(identifier, { minLength: 1, maxLength: 6 }),
        identifier,
        fc.constantFrom('code', 'both', 'system'),
        (stored, wanted, form) => {
          const resources = stored.map((one, index) => ({ id: String(index), identifier: [one] }));
          const system = wanted.system === undefined ? '' : escaped(wanted.system);
          if (form === 'system' && system === '') return true;
          const value = form === 'code' ? escaped(wanted.value) : form === 'both' ? `${system}|${escaped(wanted.value)}` : `${system}|`;
          const matches = (one: { system?: string | undefined; value: string }) =>
            (form === 'code' || one.system === wanted.system) && (form === 'system' || one.value === wanted.value);
          const expected = stored.flatMap((one, index) => (matches(one) ? [String(index)] : []));
          return JSON.stringify(found('Patient', resources, { identifier: value })) === JSON.stringify(expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('strings: from the start, anywhere with :contains, whole with :exact', () => {
    const name = fc.stringMatching(/^[aAäb%_]{1,4}$/);
    fc.assert(
      fc.property(
        fc.array(name, { minLength: 1, maxLength: 6 }),
        name,
        fc.constantFrom('', ':contains', ':exact'),
        (stored, wanted, modifier) => {
          const resources = stored.map((family, index) => ({ id: String(index), name: [{ family }] }));
          const matches = (text: string) => {
            if (modifier === ':exact') return text === wanted;
            return modifier === '' ? fold(text).startsWith(fold(wanted)) : fold(text).includes(fold(wanted));
          };
          const expected = stored.flatMap((text, index) => (matches(text) ? [String(index)] : []));
          return JSON.stringify(found('Patient', resources, { [`family${modifier}`]: wanted })) === JSON.stringify(expected);
        },
      ),
      { numRuns: 60 },
    );
  });

  it(':not finds exactly what is not found without it', () => {
    const gender = fc.option(fc.constantFrom('male', 'female', 'other'), { nil: undefined });
    fc.assert(
      fc.property(fc.array(gender, { minLength: 1, maxLength: 8 }), fc.constantFrom('male', 'female,other'), (stored, wanted) => {
        const resources = stored.map((one, index) => ({ id: String(index), ...(one === undefined ? {} : { gender: one }) }));
        const [has, hasNot] = [found('Patient', resources, { gender: wanted }), found('Patient', resources, { 'gender:not': wanted })];
        return JSON.stringify([...has, ...hasNot].sort()) === JSON.stringify(resources.map((one) => one.id));
      }),
      { numRuns: 30 },
    );
  });
});
