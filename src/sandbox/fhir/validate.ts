/**
 * A resource before it is written: structure by Medplum's validator over HL7's reduced definitions, and what that one does not see:
 * empty values, codes outside a required value set, narrative outside the allow-list. Everything found is an error.
 *
 * Source: FHIR R4 json 2.6.2 (no empty values), terminologies 4.1.5 (required bindings), narrative 2.4.1.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { indexStructureDefinitionBundle, OperationOutcomeError, validateResource } from '@medplum/core';
import type { Bundle, OperationOutcomeIssue, Resource } from '@medplum/fhirtypes';
import { bindingFaults, readSchema, type Schema } from './bindings.ts';
import { narrativeFault } from './narrative.ts';
import { FhirRefusal } from './refusal.ts';
import { isServed, type ServedType } from './types.ts';

let schema: Schema | null = null;

/** Reads the definitions once for the process (0.1 s). */
function definitions(): Schema {
  if (schema !== null) return schema;
  const text = (name: string): string => readFileSync(join(import.meta.dirname, 'definitions', name), 'utf8');
  const structures = JSON.parse(text('structures.json')) as Bundle; // written by definitions/build.ts
  indexStructureDefinitionBundle(structures);
  schema = readSchema(structures, JSON.parse(text('codes.json')) as Record<string, string[]>); // written by definitions/build.ts
  return schema;
}

const maxDepth = 60;

function emptyFaults(value: unknown, path: string, depth = 0): OperationOutcomeIssue[] {
  const fault = (text: string): OperationOutcomeIssue[] => [
    { severity: 'error', code: 'invalid', diagnostics: `${path}: ${text}`, expression: [path] },
  ];
  if (depth > maxDepth) return fault(`nested deeper than ${maxDepth}`);
  if (typeof value === 'string') {
    if (value.trim() === '') return fault('an empty string, expected text or no element');
    return /[^\P{Cc}\t\n\r]/u.test(value) ? fault('a control character') : [];
  }
  if (Array.isArray(value)) {
    if (value.length === 0) return fault('an empty array, expected items or no element');
    return value.flatMap((item, index) => (item === null ? [] : emptyFaults(item, `${path}[${index}]`, depth + 1)));
  }
  if (typeof value !== 'object' || value === null) return [];
  const members = Object.entries(value);
  if (members.length === 0) return fault('an empty object, expected members or no element');
  return members.flatMap(([name, member]) => emptyFaults(member, `${path}.${name}`, depth + 1));
}

function structureFaults(resource: Resource): readonly OperationOutcomeIssue[] {
  try {
    return validateResource(resource);
  } catch (error) {
    if (error instanceof OperationOutcomeError) return error.outcome.issue;
    throw error;
  }
}

/** Medplum takes what stands before the first slash for the target's type; of a URL or URN that is none, so nothing is known. */
function isUnknownTarget(issue: OperationOutcomeIssue): boolean {
  const found = /^Invalid reference: got "([^"]*)"/.exec(issue.details?.text ?? '')?.[1];
  return found !== undefined && !/^[A-Z][A-Za-z]+$/.test(found);
}

function narrativeFaults(resource: Resource): OperationOutcomeIssue[] {
  const div =
    'text' in resource && typeof resource.text === 'object' && resource.text !== null && 'div' in resource.text ? resource.text.div : null;
  const fault = typeof div === 'string' ? narrativeFault(div) : null;
  return fault === null
    ? []
    : [{ severity: 'error', code: 'invariant', diagnostics: `narrative: ${fault}`, expression: [`${resource.resourceType}.text.div`] }];
}

/** Medplum says what is wrong in `details`, and where only in `expression`. */
function wordsOf(issue: OperationOutcomeIssue): string {
  const [where] = issue.expression ?? [];
  const text = issue.details?.text ?? issue.diagnostics ?? 'invalid';
  return where === undefined || text.includes(where) ? text : `${where}: ${text}`;
}

/**
 * The body of a write as a resource of `type`.
 * @throws FhirRefusal 400 when it is no such resource, 422 with every fault found.
 */
export function checkResource(type: ServedType, body: unknown): Resource {
  const found = typeof body === 'object' && body !== null && 'resourceType' in body ? body.resourceType : undefined;
  if (typeof found !== 'string') throw new FhirRefusal(400, 'structure', 'the body is not a FHIR resource: resourceType is missing');
  if (!isServed(found)) throw new FhirRefusal(404, 'not-supported', `resource type ${found} is not served`);
  if (found !== type) throw new FhirRefusal(400, 'invalid', `found resourceType ${found}, expected ${type} as in the URL`);
  const bindings = definitions();
  const resource = body as Resource; // its form is what the lines below check
  const empty = emptyFaults(resource, type);
  if (empty.length > 0) throw FhirRefusal.of(422, empty);
  const issues = [
    ...structureFaults(resource).filter((issue) => !isUnknownTarget(issue)),
    ...bindingFaults(bindings, resource),
    ...narrativeFaults(resource),
  ].map((issue): OperationOutcomeIssue => ({ ...issue, severity: 'error', diagnostics: wordsOf(issue) }));
  if (issues.length > 0) throw FhirRefusal.of(422, issues);
  return resource;
}
