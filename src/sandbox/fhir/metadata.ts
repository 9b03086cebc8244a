/** The CapabilityStatement, made from the table of parameters, so that it says what the server does (FHIR R4 capabilitystatement). */
import type { CapabilityStatement, CapabilityStatementRestResource, CapabilityStatementRestResourceSearchParam } from '@medplum/fhirtypes';
import { type Kind, parametersOf } from './parameters.ts';
import { type ServedType, servedTypes } from './types.ts';

const searchTypes: Readonly<Record<Kind, CapabilityStatementRestResourceSearchParam['type']>> = {
  token: 'token',
  code: 'token',
  reference: 'reference',
  date: 'date',
  string: 'string',
  uri: 'uri',
};

function resourceOf(type: ServedType): CapabilityStatementRestResource {
  const parameters = [...parametersOf(type).values()];
  const references = parameters.filter((one) => one.kind === 'reference').map((one) => `${type}:${one.name}`);
  return {
    type,
    interaction: ['read', 'vread', 'update', 'delete', 'history-instance', 'create', 'search-type'].map((code) => ({
      code: code as 'read', // each word is of the value set type-restful-interaction
    })),
    versioning: 'versioned-update',
    readHistory: true,
    updateCreate: true,
    conditionalCreate: true,
    conditionalRead: 'not-match',
    conditionalUpdate: true,
    conditionalDelete: 'not-supported',
    referencePolicy: ['literal', 'logical', 'local'],
    ...(references.length === 0 ? {} : { searchInclude: references, searchRevInclude: references }),
    searchParam: [
      { name: '_id', type: 'token' },
      { name: '_lastUpdated', type: 'date' },
      ...parameters.map((one): CapabilityStatementRestResourceSearchParam => ({ name: one.name, type: searchTypes[one.kind] })),
    ],
  };
}

/** `started` is the moment from which the statement holds; `smart` adds the SMART endpoints (null = no authorization server). */
export function capabilityStatement(base: string, started: Date): CapabilityStatement {
  return {
    resourceType: 'CapabilityStatement',
    status: 'active',
    date: started.toISOString(),
    kind: 'instance',
    software: { name: 'wetread sandbox' },
    implementation: { description: 'The FHIR server of the wetread sandbox', url: base },
    fhirVersion: '4.0.1',
    format: ['json'],
    rest: [
      {
        mode: 'server',
        security: {
          cors: true,
          service: [{ coding: [{ system: 'http://terminology.hl7.org/CodeSystem/restful-security-service', code: 'SMART-on-FHIR' }] }],
        },
        resource: servedTypes.map(resourceOf),
        interaction: [{ code: 'transaction' }, { code: 'batch' }],
      },
    ],
  };
}
