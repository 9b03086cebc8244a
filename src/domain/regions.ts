/**
 * Body regions as sets: a compound such as "chest, abdomen, pelvis" is three of them, so that it meets "chest".
 *
 * Region facts of real headers are guesses (PS3.3 BodyPartExamined is optional, descriptions are free text), so every source is read, all
 * answers are kept, and a disagreement is said. Table: regions.json (SNOMED CT CID 4031, BodyPartExamined terms of PS3.16 Annex L).
 */
import type { Code } from './code.ts';
import { systems } from './code.ts';
import { reportCodeOf } from './codes.ts';
import table from './regions.json' with { type: 'json' };

interface Row {
  readonly regions: readonly string[];
  readonly snomed: readonly string[];
  readonly dicom: readonly string[];
  readonly words: readonly string[];
}

const rows: readonly Row[] = [...table.groups, ...table.regions.map((region) => ({ ...region, regions: [region.id] }))];
const bySnomed = new Map(rows.flatMap((row) => row.snomed.map((code) => [code, row.regions] as const)));
const byTerm = new Map(rows.flatMap((row) => row.dicom.map((term) => [term, row.regions] as const)));
/** Longest phrase first: "thoracic spine" is taken before "thoracic" can be seen. */
const phrases = rows
  .flatMap((row) => row.words.map((word) => ({ word, regions: row.regions })))
  .sort((a, b) => b.word.length - a.word.length);
const neighbours = new Map(table.regions.map((region) => [region.id, region.neighbours]));
const paired = new Set(table.regions.filter((region) => region.paired).map((region) => region.id));

export const regionIds: readonly string[] = table.regions.map((region) => region.id);

function union(sets: readonly (readonly string[])[]): readonly string[] {
  const all = new Set(sets.flat());
  return regionIds.filter((id) => all.has(id));
}

/** Regions of a SNOMED CT body structure; empty = not in the table. */
export function regionsOfCode(code: Code): readonly string[] {
  return code.system === systems.snomed || code.system === null ? (bySnomed.get(code.code) ?? []) : [];
}

/** Regions of a BodyPartExamined term, whatever its spelling ("WHOLE BODY", "C-SPINE"); empty = not in the table. */
export function regionsOfTerm(term: string): readonly string[] {
  const found = byTerm.get(term.toUpperCase().replace(/[^A-Z]/g, ''));
  return found === undefined ? regionsOfText(term) : union([found]);
}

/** Regions named by the words of a text; a phrase that was taken is not read again. */
export function regionsOfText(text: string): readonly string[] {
  let rest = ` ${text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')} `;
  const found: (readonly string[])[] = [];
  for (const { word, regions } of phrases) {
    if (!rest.includes(` ${word} `)) continue;
    found.push(regions);
    rest = rest.replaceAll(` ${word} `, ' / ');
  }
  return union(found);
}

/** True when left and right are different exams there (knee), false for chest or head. */
export function isPaired(region: string): boolean {
  return paired.has(region);
}

/** What one resource says about regions. Earlier sources are the more trusted ones. */
export interface RegionFacts {
  /** bodySite codes, of an order or of its series. */
  readonly sites: readonly Code[];
  /** BodyPartExamined terms and texts of bodySite. */
  readonly terms: readonly string[];
  /** Order code or procedureCode: LOINC by table, SNOMED by table, else by the words of its display. */
  readonly codes: readonly Code[];
  /** Order text, study and series descriptions. */
  readonly texts: readonly string[];
}

export interface Regions {
  /** Ids in the table's order; empty = nothing said. */
  readonly regions: readonly string[];
  /** One sentence when two sources name regions that do not meet; null = no disagreement. */
  readonly disagreement: string | null;
}

function regionsOf(sources: readonly { readonly name: string; readonly regions: readonly string[] }[]): Regions {
  const said = sources.filter((source) => source.regions.length > 0);
  const [first, ...others] = said;
  if (first === undefined) return { regions: [], disagreement: null };
  const against = others.filter((other) => !other.regions.some((region) => first.regions.includes(region)));
  if (against.length === 0) return { regions: first.regions, disagreement: null };
  const parts = [first, ...against].map((source) => `${source.name} says ${source.regions.join(', ')}`);
  return {
    regions: union([first.regions, ...against.map((other) => other.regions)]),
    disagreement: `The body region is said in two ways: ${parts.join('; ')}. Both were kept.`,
  };
}

function regionsOfCodes(codes: readonly Code[]): readonly string[] {
  return union(
    codes.map((code) => {
      const listed = reportCodeOf(code)?.regions ?? regionsOfCode(code);
      return listed.length > 0 ? listed : regionsOfText(code.display ?? '');
    }),
  );
}

/** Region of an order: its bodySite, else its code (LOINC table), else the words of its text. */
export function regionsOfOrder(facts: RegionFacts): Regions {
  return regionsOf([
    { name: 'bodySite', regions: union([...facts.sites.map(regionsOfCode), ...facts.terms.map(regionsOfTerm)]) },
    { name: 'the code', regions: regionsOfCodes(facts.codes) },
    { name: 'the text', regions: union(facts.texts.map(regionsOfText)) },
  ]);
}

/** Region of a study: series bodySite and BodyPartExamined, else procedureCode, else the words of the descriptions. */
export function regionsOfStudy(facts: RegionFacts): Regions {
  return regionsOf([
    { name: 'the series', regions: union([...facts.sites.map(regionsOfCode), ...facts.terms.map(regionsOfTerm)]) },
    { name: 'the procedure code', regions: regionsOfCodes(facts.codes) },
    { name: 'the description', regions: union(facts.texts.map(regionsOfText)) },
  ]);
}

/** same = equal sets, contained = they share a region, neighbour = they touch, unknown = one side says nothing. */
export type Overlap = 'same' | 'contained' | 'neighbour' | 'none' | 'unknown';

export function overlapOf(a: readonly string[], b: readonly string[]): Overlap {
  if (a.length === 0 || b.length === 0) return 'unknown';
  const shared = a.filter((region) => b.includes(region)).length;
  if (shared === a.length && shared === b.length) return 'same';
  if (shared > 0) return 'contained';
  return a.some((region) => (neighbours.get(region) ?? []).some((near) => b.includes(near))) ? 'neighbour' : 'none';
}
