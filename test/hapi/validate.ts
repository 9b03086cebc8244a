/**
 * HL7's validator, as HAPI publishes it, over files: profiles of fhir-profiles/ first, offline, one Java start for all files.
 *
 * Clean means: no error or fatal, and no warning outside accepted-warnings.json, where each stands with its reason.
 * Maven fetches the libraries of pom.xml once; the class path is kept below node_modules/.cache under the digest of pom.xml.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import accepted from './accepted-warnings.json' with { type: 'json' };

const run = promisify(execFile);
const here = import.meta.dirname;
const root = resolve(here, '../..');

const Issue = z.object({
  file: z.string(),
  severity: z.enum(['information', 'warning', 'error', 'fatal']),
  location: z.string().nullable(),
  id: z.string().nullable(),
  message: z.string(),
});
const Snapshot = z.object({ file: z.string(), snapshot: z.looseObject({ element: z.array(z.unknown()) }) });
const Line = z.union([Issue, Snapshot, z.object({ validated: z.number() })]);

export type Issue = z.infer<typeof Issue>;

/** StructureDefinitions, value sets and code systems of fhir-profiles/, absolute paths. */
export function definitionFiles(): readonly string[] {
  return ['structure-definitions', 'terminology'].flatMap((folder) => jsonFiles(join(root, 'fhir-profiles', folder)));
}

/** Paths of the JSON files of a folder, sorted. */
export function jsonFiles(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folder, name));
}

export interface Validated {
  /** Every issue of every file, information included. */
  readonly issues: readonly Issue[];
  /** Path of each profile -> its snapshot, made from the differential alone. */
  readonly snapshots: ReadonlyMap<string, z.infer<typeof Snapshot>['snapshot']>;
}

/** @throws when there is no file, or one could not be validated */
export async function validateWithHapi(files: readonly string[]): Promise<readonly Issue[]> {
  return (await runHapi(files, [])).issues;
}

/** What makes a set of files not clean: errors, fatal issues, and warnings that nobody accepted. */
export function unaccepted(issues: readonly Issue[]): readonly Issue[] {
  return issues.filter((issue) => issue.severity !== 'information' && !(issue.severity === 'warning' && isAccepted(issue)));
}

function isAccepted(issue: Issue): boolean {
  return accepted.some((entry) => entry.id === issue.id && issue.message.includes(entry.contains));
}

/** Validates `files` and makes the snapshots of `profiles` in one start of Java. */
export async function runHapi(files: readonly string[], profiles: readonly string[]): Promise<Validated> {
  if (files.length + profiles.length === 0) throw new Error('the validator was given no file');
  const folder = mkdtempSync(join(tmpdir(), 'wetread-hapi-'));
  try {
    const lists = [definitionFiles(), profiles, files].map((paths, index) => {
      const list = join(folder, String(index));
      writeFileSync(list, paths.map((path) => `${path}\n`).join(''));
      return list;
    });
    // The first compiler only and one collector: half the processor time of a run that lasts seconds.
    const command = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-cp', await classPath(), join(here, 'Validator.java'), ...lists];
    const { stdout } = await run('java', command, { maxBuffer: 1 << 28 });
    const lines = z.array(Line).parse(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    );
    const seen = lines.reduce((sum, line) => sum + ('validated' in line ? line.validated : 0), 0);
    if (seen !== files.length) throw new Error(`the validator saw ${seen} of ${files.length} files`);
    return {
      issues: lines.filter((line) => 'severity' in line),
      snapshots: new Map(lines.flatMap((line) => ('snapshot' in line ? [[line.file, line.snapshot] as const] : []))),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function classPath(): Promise<string> {
  const pom = join(here, 'pom.xml');
  const digest = createHash('sha256').update(readFileSync(pom)).digest('hex').slice(0, 16);
  const cache = join(root, 'node_modules/.cache');
  const file = join(cache, `wetread-hapi-${digest}.classpath`);
  if (existsSync(file)) {
    const kept = readFileSync(file, 'utf8').trim();
    // The local Maven repository may have been emptied since.
    if (kept.split(delimiter).every((jar) => existsSync(jar))) return kept;
  }
  mkdirSync(cache, { recursive: true });
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath';
  await run('mvn', ['-q', '-B', '-f', pom, goal, `-Dmdep.outputFile=${file}`]);
  return readFileSync(file, 'utf8').trim();
}
