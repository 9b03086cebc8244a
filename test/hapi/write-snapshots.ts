/**
 * Writes the snapshot of every profile in fhir-profiles/ from its differential: `node test/hapi/write-snapshots.ts` after an edit.
 *
 * Mappings and the prose of the base resource (comment, requirements, alias) are left out: they say nothing about validity and would be
 * nine tenths of each file.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { definitionFiles, runHapi } from './validate.ts';

const prose = new Set(['mapping', 'comment', 'requirements', 'alias']);

/** The profile with its snapshot in front of its differential, as it is committed. */
export function withSnapshot(text: string, snapshot: { readonly element: readonly unknown[] }): string {
  const { differential, snapshot: _old, ...rest } = JSON.parse(text) as Record<string, unknown>; // our own committed profile
  const element = snapshot.element.map((entry) =>
    typeof entry === 'object' && entry !== null ? Object.fromEntries(Object.entries(entry).filter(([name]) => !prose.has(name))) : entry,
  );
  return `${JSON.stringify({ ...rest, snapshot: { element }, differential }, null, 1)}\n`;
}

if (import.meta.main) {
  const profiles = definitionFiles().filter((file) => file.includes('structure-definitions'));
  const { snapshots } = await runHapi([], profiles);
  for (const [file, snapshot] of snapshots) writeFileSync(file, withSnapshot(readFileSync(file, 'utf8'), snapshot));
}
