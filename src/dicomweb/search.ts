/**
 * A search read to its end: pages until one is empty, doubles removed, every hit compared with the keys.
 *
 * A page shorter than asked proves nothing (archives have maxima of their own); a page that brings nothing new ends the search, since
 * some archives ignore `offset`.
 *
 * Source: PS3.18 8.3.4.4; behaviour of Orthanc, dcm4chee, Azure, DICOMcloud.
 */
import { type Warning, WetreadError } from '#domain/errors.ts';
import { type Level, type Place, search } from './calls.ts';
import { tags } from './describe.ts';
import { type Dataset, datasetsOf, textAt, uidAt } from './json.ts';
import { foreignIssuer, type Key, keysOf, type StudyQuery } from './query.ts';

export interface Hits<T> {
  readonly found: readonly T[];
  readonly warnings: readonly Warning[];
  /** False when the archive has more than was read, or a hit has no UID to ask for: what is found is a part. */
  readonly complete: boolean;
}

interface Raw {
  readonly hits: readonly Dataset[];
  readonly complete: boolean;
}

/** Code of the warning for hits that were left out for what they lack. */
export const unusableHit = 'dicomweb-unusable-hit';

const pageSize = 100;
/** Thin-slice CT has a few thousand instances a series. */
const maxHits = { studies: 2000, series: 2000, instances: 20_000 } as const;
const uidTag = { studies: tags.studyUid, series: tags.seriesUid, instances: tags.sopInstance } as const;

async function page(
  place: Place,
  level: Level,
  params: Readonly<Record<string, string>>,
  fields: readonly string[],
): Promise<{ hits: readonly Dataset[]; warnings: readonly string[] }> {
  const where = `${place.neighbour.name} search of ${level.kind}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { body, warnings } = await search(place, level, params, fields);
      return { hits: datasetsOf(body, where), warnings };
    } catch (error) {
      const passing = error instanceof WetreadError && (error.code === 'dicomweb-bad-json' || error.code === 'net-unreachable');
      if (!passing || attempt > 1 || place.signal?.aborted === true) throw error;
    }
  }
}

/** True for a hit that one of the keys excludes although letter case is left aside: the archive did not use the key. */
function isForeign(keys: readonly Key[], hit: Dataset): boolean {
  return keys.some((key) => !(key.matchesWithoutCase ?? key.matches)(hit));
}

function ignored(place: Place, keys: readonly Key[], foreign: readonly Dataset[]): string {
  const names = keys.filter((key) => foreign.some((hit) => !(key.matchesWithoutCase ?? key.matches)(hit))).map((key) => key.name);
  return `${place.neighbour.name}: the archive does not apply ${names.join(', ')}: ${foreign.length} hits do not match what was asked`;
}

const moreRemain = /additional results/i;

/** Why the pages that were read are not all; null = they are. `repeated`: the last page brought nothing new. */
function shortfall(
  level: Level,
  count: number,
  repeated: boolean,
  last: { readonly full: boolean; readonly more: boolean },
): Warning | null {
  // An archive that ignores offset and gives everything at once repeats a page too, but then none that is just full.
  if (repeated && (last.full || last.more)) {
    return { code: 'dicomweb-paging', message: `the same page of ${level.kind} came twice; ${count} were read, there may be more` };
  }
  if (count < maxHits[level.kind]) return null;
  return { code: 'dicomweb-capped', message: `more than ${maxHits[level.kind]} ${level.kind}; the rest was not read` };
}

/** All raw hits of a level, each UID once. */
async function allPages(
  place: Place,
  level: Level,
  keys: readonly Key[],
  fields: readonly string[],
  warnings: Warning[],
  atMost = Number.POSITIVE_INFINITY,
): Promise<Raw> {
  const { name } = place.neighbour;
  const limit = Math.min(pageSize, atMost);
  const fixed = Object.fromEntries(keys.map((key) => [key.name, key.value]));
  const hits = new Map<string, Dataset>();
  const said = new Set<string>();
  let short: Warning | null = null;
  for (let offset = 0; ; ) {
    const one = await page(place, level, { ...fixed, limit: String(limit), offset: String(offset) }, fields);
    for (const text of one.warnings) if (!moreRemain.test(text)) said.add(text);
    const before = hits.size;
    for (const hit of one.hits) hits.set(textAt(hit, uidTag[level.kind]) ?? `no UID ${hits.size}`, hit);
    if (offset === 0 && one.hits.length > 0 && one.hits.every((hit) => isForeign(keys, hit))) {
      throw new WetreadError('dicomweb-ignored-key', ignored(place, keys, one.hits), {
        hint: 'this archive cannot be searched by that key',
      });
    }
    if (one.hits.length === 0 || hits.size >= atMost) break;
    const repeated = hits.size === before;
    short = shortfall(level, hits.size, repeated, {
      full: one.hits.length === limit,
      more: one.warnings.some((text) => moreRemain.test(text)),
    });
    if (repeated || short !== null) break;
    offset += one.hits.length;
  }
  if (short !== null) warnings.push({ code: short.code, message: `${name}: ${short.message}` });
  for (const text of said) warnings.push({ code: 'dicomweb-warning', message: `${name}: ${text}` });
  return { hits: [...hits.values()], complete: short === null };
}

function warnDropped(place: Place, keys: readonly Key[], failing: readonly Dataset[], warnings: Warning[]): void {
  const foreign = failing.filter((hit) => isForeign(keys, hit));
  if (foreign.length > 0) warnings.push({ code: 'dicomweb-ignored-key', message: ignored(place, keys, foreign) });
  const caseOnly = failing.length - foreign.length;
  if (caseOnly > 0) {
    const message = `${place.neighbour.name}: ${caseOnly} hits differ from what was asked in letter case and were left out`;
    warnings.push({ code: 'dicomweb-ignored-key', message });
  }
}

/** Maps hits; those that cannot be mapped are counted in a warning. */
function mapped<T>(
  place: Place,
  level: Level,
  hits: readonly Dataset[],
  map: (hit: Dataset) => T | null,
  warnings: Warning[],
): readonly T[] {
  const found = hits.flatMap((hit) => map(hit) ?? []);
  if (found.length < hits.length) {
    const message = `${place.neighbour.name}: ${hits.length - found.length} ${level.kind} have no valid UID or lack a required attribute and were left out`;
    warnings.push({ code: unusableHit, message });
  }
  return found;
}

/** @throws request-malformed for an empty key, dicomweb-ignored-key when no hit of the first page matches, and what a call throws */
export async function findStudies<T>(
  place: Place,
  query: StudyQuery,
  fields: readonly string[],
  map: (hit: Dataset) => T | null,
): Promise<Hits<T>> {
  const level: Level = { kind: 'studies' };
  const warnings: Warning[] = [];
  const keys = keysOf(query);
  const { hits: raw, complete } = await allPages(place, level, keys, fields, warnings, query.atMost);
  const failing = raw.filter((hit) => !keys.every((key) => key.matches(hit)));
  warnDropped(place, keys, failing, warnings);
  const matching = raw.filter((hit) => !failing.includes(hit));
  const own = matching.filter((hit) => !foreignIssuer(query, hit));
  if (own.length < matching.length) {
    const message = `${place.neighbour.name}: ${matching.length - own.length} studies carry this PatientID of another issuer and were left out`;
    warnings.push({ code: 'dicomweb-other-issuer', message });
  }
  const found = mapped(place, level, own, map, warnings);
  return { found, warnings, complete: complete && own.every((hit) => uidAt(hit, uidTag[level.kind]) !== null) };
}

/**
 * Series of a study or instances of a series; hits that name another study or series are dropped with a warning.
 * @throws dicomweb-ignored-key when all of them do, and what a call throws
 */
export async function findBelow<T>(
  place: Place,
  level: Exclude<Level, { kind: 'studies' }>,
  fields: readonly string[],
  map: (hit: Dataset) => T | null,
): Promise<Hits<T>> {
  const warnings: Warning[] = [];
  const { hits: raw, complete } = await allPages(place, level, [], fields, warnings);
  const own = raw.filter((hit) => {
    const study = textAt(hit, tags.studyUid) ?? level.study;
    const series = level.kind === 'instances' ? (textAt(hit, tags.seriesUid) ?? level.series) : null;
    return study === level.study && (level.kind !== 'instances' || series === level.series);
  });
  if (own.length < raw.length) {
    const message = `${place.neighbour.name}: ${raw.length - own.length} ${level.kind} belong to another study or series and were left out`;
    if (own.length === 0)
      throw new WetreadError('dicomweb-ignored-key', message, { hint: 'the archive does not apply the UIDs of the address' });
    warnings.push({ code: 'dicomweb-ignored-key', message });
  }
  const found = mapped(place, level, own, map, warnings);
  return { found, warnings, complete: complete && own.every((hit) => uidAt(hit, uidTag[level.kind]) !== null) };
}
