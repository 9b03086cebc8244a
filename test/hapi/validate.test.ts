import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { draftTransaction } from '#report/diagnostic-report.ts';
import { exampleDraft, writeOptions } from '../report/example-draft.ts';
import { projectRoot } from '../report/examples.ts';
import { available } from '../setup/require.ts';
import accepted from './accepted-warnings.json' with { type: 'json' };
import type { Validated } from './validate.ts';
import { definitionFiles, jsonFiles, runHapi, unaccepted } from './validate.ts';
import { withSnapshot } from './write-snapshots.ts';

const examples = jsonFiles(join(projectRoot, 'fhir-profiles/examples'));
const profiles = definitionFiles().filter((file) => file.includes('structure-definitions'));
// HAPI 8.6.0 cannot check the context of an extension's definition offline (it asks for the package hl7.fhir.r4.core); what an extension
// says is checked where it is used, in the examples.
const conformance = definitionFiles().filter((file) => !readFileSync(file, 'utf8').includes('"type": "Extension",'));

/** Faults put into the example's resources, each with words of the issue that must come. */
const faults: readonly { readonly name: string; readonly from: string; readonly to: string; readonly issue: RegExp }[] = [
  { name: 'a final status', from: '"status":"partial"', to: '"status":"final"', issue: /partial/ },
  { name: 'a status that FHIR does not know', from: '"status":"partial"', to: '"status":"nonsense"', issue: /nonsense/ },
  { name: 'a report code outside the allow-list', from: '"code":"24648-8"', to: '"code":"99999-9"', issue: /99999-9/ },
  { name: 'no label AIAST', from: '"code":"AIAST"', to: '"code":"NONE"', issue: /wr-1/ },
  { name: 'a dependence that we do not know', from: '"code":"depends-on-none"', to: '"code":"supported"', issue: /supported/ },
  { name: 'a statement that depends and cites nothing', from: 'image-evidence"', to: 'other-evidence"', issue: /wr-6/ },
  { name: 'a citation without a series', from: '{"url":"series",', to: '{"url":"serie",', issue: /serie/ },
  { name: 'a script in the narrative', from: '<p><b>AI draft', to: '<script>x</script><p><b>AI draft', issue: /script/ },
  { name: 'an unknown member', from: '"status":"preliminary"', to: '"status":"preliminary","supported":true', issue: /supported/ },
];

describe.skipIf(!available('java'))("HL7's validator", () => {
  const folder = mkdtempSync(join(tmpdir(), 'wetread-faults-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const faulty = faults.map((_, index) => join(folder, `${index}.json`));
  let result: Validated;

  beforeAll(async () => {
    const text = JSON.stringify(draftTransaction(exampleDraft, writeOptions));
    for (const [index, { name, from, to }] of faults.entries()) {
      const changed = text.replaceAll(from, to);
      if (changed === text) throw new Error(`the fault "${name}" changes nothing`);
      writeFileSync(join(folder, `${index}.json`), changed);
    }
    result = await runHapi([...examples, ...conformance, ...faulty], profiles);
  }, 400_000);

  function issuesOf(files: readonly string[]): readonly string[] {
    const named = unaccepted(result.issues).filter((issue) => files.includes(issue.file));
    return named.map((issue) => `${basename(issue.file)} ${issue.severity} ${issue.location}: ${issue.message}`);
  }

  test('accepts every example', () => {
    expect(examples.length).toBeGreaterThan(10);
    expect(issuesOf(examples)).toEqual([]);
  });

  test('accepts the profiles, value sets and code systems', () => {
    expect(conformance.length).toBeGreaterThan(10);
    expect(issuesOf(conformance)).toEqual([]);
  });

  test.each(faults.map((fault, index) => [fault.name, fault.issue, index] as const))('refuses %s', (_, issue, index) => {
    const errors = result.issues.filter(({ file, severity }) => file === faulty[index] && (severity === 'error' || severity === 'fatal'));
    expect(errors.map((error) => `${error.id} ${error.message}`).join('\n')).toMatch(issue);
  });

  test('each accepted warning still occurs', () => {
    const idle = accepted.filter(
      (entry) => !result.issues.some((issue) => issue.id === entry.id && issue.message.includes(entry.contains)),
    );
    expect(idle).toEqual([]);
  });

  test('makes the committed snapshots from the differentials', () => {
    expect(result.snapshots.size).toBe(profiles.length);
    for (const [file, snapshot] of result.snapshots) {
      const committed = readFileSync(file, 'utf8');
      expect(withSnapshot(committed, snapshot) === committed, `${basename(file)}: run node test/hapi/write-snapshots.ts`).toBe(true);
    }
  });
});
