/**
 * QIDO-RS over the index: keys of the table, includefield, limit and offset. Unknown keys are refused; results come in a fixed order.
 *
 * Source: PS3.18 10.6 and 8.3.4; Warning 299 when more remain, and when fuzzymatching is asked, which is not done.
 */
import type { Archive, Stored } from './archive.ts';
import { type Attribute, attributeNamed, attributes, type Level, reaches } from './attributes.ts';
import type { JsonDataSet, JsonElement } from './dataset-json.ts';
import { type Matcher, matcherOf } from './match.ts';
import { DicomwebRefusal } from './refusal.ts';

export interface Found {
  readonly results: readonly JsonDataSet[];
  readonly warnings: readonly string[];
}

interface Search {
  readonly keys: readonly { readonly attribute: Attribute; readonly matches: Matcher }[];
  /** Tags asked for beyond those that always come; null = all. */
  readonly fields: ReadonlySet<string> | null;
  readonly limit: number | null;
  readonly offset: number;
  readonly fuzzy: boolean;
}

function whole(name: string, text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new DicomwebRefusal(400, `${name}: found ${JSON.stringify(text.slice(0, 40))}, expected a whole number`);
  return Number(text);
}

function parseSearch(level: Level, params: URLSearchParams): Search {
  const keys: { attribute: Attribute; matches: Matcher }[] = [];
  const fields = new Set<string>();
  let [limit, offset, all, fuzzy]: [number | null, number, boolean, boolean] = [null, 0, false, false];
  for (const [name, value] of params) {
    if (name === 'limit') limit = whole(name, value);
    else if (name === 'offset') offset = whole(name, value);
    else if (name === 'fuzzymatching') fuzzy = value === 'true';
    else if (name === 'includefield') {
      all ||= value === 'all';
      // Unknown fields are ignored, as PS3.18 8.3.4.3 asks.
      for (const field of value.split(',')) fields.add(attributeNamed(field)?.tag ?? '');
    } else {
      const attribute = attributeNamed(name);
      if (attribute === null) throw new DicomwebRefusal(400, `${name} is no key that this server searches by`);
      if (!reaches(level, attribute.level))
        throw new DicomwebRefusal(400, `${name} is a key of the ${attribute.level} level, found in a search for ${level}`);
      if (attribute.keyword === 'RetrieveURL' || attribute.keyword === 'SpecificCharacterSet')
        throw new DicomwebRefusal(400, `${name} is not searched by`);
      keys.push({ attribute, matches: matcherOf(name, attribute.vr, value) });
    }
  }
  return { keys, fields: all ? null : fields, limit, offset, fuzzy };
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)].sort();
}

function modalityOf(stored: Stored): string[] {
  return (stored.json['00080060']?.Value ?? []).filter((value) => typeof value === 'string');
}

/** Series and instances of one study, as the index has them at this moment. */
type Studies = ReadonlyMap<string, readonly Stored[]>;

function computed(attribute: Attribute, stored: Stored, study: readonly Stored[], url: string): JsonElement {
  const series = study.filter((one) => one.series === stored.series);
  const value = (): readonly unknown[] => {
    switch (attribute.keyword) {
      case 'ModalitiesInStudy':
        return unique(study.flatMap(modalityOf));
      case 'SOPClassesInStudy':
        return unique(study.map((one) => one.sopClass));
      case 'NumberOfStudyRelatedSeries':
        return [new Set(study.map((one) => one.series)).size];
      case 'NumberOfStudyRelatedInstances':
        return [study.length];
      case 'NumberOfSeriesRelatedInstances':
        return [series.length];
      case 'AvailableTransferSyntaxUID':
        return [stored.transferSyntax];
      default:
        return [url];
    }
  };
  return { vr: attribute.vr, Value: value() };
}

/** What stands for a study or series in a search: its first instance. */
function rowsOf(level: Level, instances: readonly Stored[]): Stored[] {
  const seen = new Set<string>();
  return instances.filter((one) => {
    const key = level === 'study' ? one.study : level === 'series' ? one.series : one.instance;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function urlOf(base: string, level: Level, stored: Stored): string {
  const study = `${base}/studies/${stored.study}`;
  if (level === 'study') return study;
  const series = `${study}/series/${stored.series}`;
  return level === 'series' ? series : `${series}/instances/${stored.instance}`;
}

function element(attribute: Attribute, level: Level, stored: Stored, studies: Studies, base: string): JsonElement | null {
  if (!attribute.computed) return stored.json[attribute.tag] ?? null;
  return computed(attribute, stored, studies.get(stored.study) ?? [], urlOf(base, level, stored));
}

/** Attributes of the level itself, the UIDs above it, all that is asked for, and those above that the URL does not say. */
function isShown(attribute: Attribute, level: Level, within: Within, fields: Search['fields']): boolean {
  if (attribute.keyword === 'RetrieveURL') return true;
  if (!reaches(level, attribute.level)) return false;
  if (fields === null || fields.has(attribute.tag)) return true;
  const said = attribute.level === 'study' ? within.study !== null : within.series !== null;
  const own = attribute.level === level || !said || /^(Study|Series)InstanceUID$/.test(attribute.keyword);
  return own && attribute.always;
}

/** UIDs that the URL names, null = none. */
export interface Within {
  readonly study: string | null;
  readonly series: string | null;
}

/** @param within UIDs of the URL. @throws DicomwebRefusal 400 naming the key */
export function searchArchive(archive: Archive, level: Level, within: Within, params: URLSearchParams, base: string): Found {
  const search = parseSearch(level, params);
  const studies = Map.groupBy(archive.all(), (stored) => stored.study);
  const scope = within.study === null ? archive.all() : (studies.get(within.study) ?? []);
  const instances = scope.filter((stored) => within.series === null || stored.series === within.series);
  const matches = rowsOf(level, instances).filter((stored) =>
    search.keys.every(({ attribute, matches }) => element(attribute, level, stored, studies, base)?.Value?.some(matches) ?? false),
  );
  const rows = matches.slice(search.offset, search.limit === null ? undefined : search.offset + search.limit);
  const shown = attributes.filter((one) => isShown(one, level, within, search.fields));
  const results = rows.map((stored) =>
    Object.fromEntries(
      shown
        .map((one) => [one.tag, element(one, level, stored, studies, base) ?? { vr: one.vr }] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
    ),
  );
  const more = matches.length - search.offset - results.length;
  return {
    results,
    warnings: [
      ...(more > 0 && search.limit !== null ? [`299 ${base}: There are ${more} additional results that can be requested`] : []),
      ...(search.fuzzy ? [`299 ${base}: The fuzzymatching parameter is not supported. Only literal matching has been performed.`] : []),
    ],
  };
}
