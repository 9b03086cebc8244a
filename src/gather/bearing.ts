/** Does a problem, drug or procedure bear on a body region? By word beginnings of history-words.json, which orders and hardly ever hides. */
import table from './history-words.json' with { type: 'json' };

const regional: Readonly<Record<string, readonly string[]>> = table.regions;
/** Regions with a list of their own; all others are bones and joints. */
const soft = new Set(Object.keys(regional));

function begins(words: string, stems: readonly string[]): boolean {
  const text = ` ${words.toLowerCase().replace(/[^\p{L}\p{N}()\-[#]+/gu, ' ')}`;
  return stems.some((stem) => text.includes(` ${stem}`) || text.includes(`(${stem}`));
}

/** True for what always matters (cancer, pregnancy) and for what belongs to one of the regions; no region said = nothing is nearer. */
export function bearing(words: string, regions: readonly string[]): boolean {
  if (begins(words, table.always)) return true;
  return regions.some((region) => begins(words, soft.has(region) ? (regional[region] ?? []) : table.bone));
}

export function isSocial(words: string): boolean {
  return begins(words, table.social);
}

export function isAdministrative(words: string): boolean {
  return begins(words, table.administrative);
}

/** A laboratory result that is told to a radiologist. */
export function isResult(words: string): boolean {
  return begins(words, table.results);
}
