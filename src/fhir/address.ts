/**
 * Builds and judges FHIR URLs: ids are checked, values encoded, and a paging link is followed only below the base.
 *
 * The libraries at hand encode no ids, join relative links by text, and compare bases by prefix; so all of that is here.
 *
 * Source: FHIR R4 http (3.1.0.1), datatypes (id), search (3.1.1.5); RFC 3986 5.2 for relative links.
 */
import { WetreadError } from '#domain/errors.ts';

/** [parameter, value], in order; a repeated parameter means AND. */
export type SearchParams = readonly (readonly [name: string, value: string])[];

const idForm = /^[A-Za-z0-9.-]{1,255}$/;
const typeForm = /^[A-Z][A-Za-z]{1,63}$/;

/** Base without a trailing slash. @throws site-invalid */
export function fhirBase(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new WetreadError('site-invalid', `FHIR base: found ${JSON.stringify(text)}, expected an http(s) URL without query and user`);
  }
  return url.href.replace(/\/+$/, '');
}

/** @throws request-malformed for a type or id that FHIR does not allow ("../x", "a?b"); ids longer than 64 occur and pass */
export function readUrl(base: string, type: string, id: string): string {
  if (!typeForm.test(type)) throw new WetreadError('request-malformed', `found ${JSON.stringify(type)}, expected a FHIR resource type`);
  if (!idForm.test(id) || /^\.+$/.test(id)) {
    throw new WetreadError('request-malformed', `${type}: found id ${JSON.stringify(id.slice(0, 80))}, expected letters, digits, - and .`);
  }
  return `${base}/${type}/${id}`;
}

/** @throws request-malformed for an empty value: servers read it as "all" */
export function searchUrl(base: string, type: string, params: SearchParams): string {
  if (!typeForm.test(type)) throw new WetreadError('request-malformed', `found ${JSON.stringify(type)}, expected a FHIR resource type`);
  for (const [name, value] of params) {
    if (name === '' || value.trim() === '') {
      throw new WetreadError('request-malformed', `${type}: search parameter ${JSON.stringify(name)} is empty, expected a value`);
    }
  }
  const query = new URLSearchParams();
  for (const [name, value] of params) query.append(name, value);
  return `${base}/${type}?${query.toString()}`;
}

/** True when `url` has the base's origin and lies at or below its path. */
export function isBelow(base: string, url: string): boolean {
  if (!URL.canParse(url)) return false;
  const [root, found] = [new URL(base), new URL(url)];
  const path = root.pathname.replace(/\/+$/, '');
  if (found.username !== '' || found.password !== '') return false;
  return found.origin === root.origin && (found.pathname === path || found.pathname.startsWith(`${path}/`));
}

/**
 * The absolute URL of a `next` link found on the page `page`, or null when it may not be followed.
 * A relative link is resolved against the page, as RFC 3986 says ("/fhir?_getpages=1" is relative to the host).
 */
export function nextUrl(base: string, page: string, link: string): string | null {
  if (!URL.canParse(link, page)) return null;
  const url = new URL(link, page).href;
  return isBelow(base, url) ? url : null;
}

/** Names of filters that the server's `self` link leaves out: it did not apply them (FHIR R4 search, Handling errors). */
export function ignoredParams(params: SearchParams, self: string, page: string): readonly string[] {
  if (!URL.canParse(self, page)) return [];
  const applied = new URL(self, page).searchParams;
  const bare = new Set([...applied.keys()].map((name) => name.split(':', 1)[0]));
  return params
    .map(([name]) => name)
    .filter((name) => !/^_(count|format|summary|elements|total)$/.test(name) && !bare.has(name.split(':', 1)[0]));
}
