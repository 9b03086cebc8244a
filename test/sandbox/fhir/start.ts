/** A FHIR server of the sandbox on a free port, in memory, for one test file. */
import type { Resource } from '@medplum/fhirtypes';
import express from 'express';
import supertest from 'supertest';
import type { Grant } from '#sandbox/fhir/access.ts';
import { type FhirServer, openFhirServer } from '#sandbox/fhir/server.ts';
import { listen } from '#src/listen.ts';

export interface TestServer {
  readonly base: string;
  readonly fhir: FhirServer;
  readonly http: ReturnType<typeof supertest>;
  /** Creates by PUT with the resource's id and expects success. */
  put(resource: Resource & { id: string }): Promise<void>;
  /** Ids of the matches of a search, sorted unless it asks for an order itself. */
  ids(search: string): Promise<string[]>;
  close(): Promise<void>;
}

export const fhirJson = 'application/fhir+json';

/** `grants` are the active tokens. */
export async function startFhir(grants: Readonly<Record<string, Grant>> = {}): Promise<TestServer> {
  const server = await listen('FHIR', 0);
  const base = `${server.origin}/fhir`;
  let minute = 0;
  const now = () => new Date(Date.UTC(2026, 10, 24, 12, minute++));
  const fhir = openFhirServer({ file: ':memory:', base, now, introspect: async (token) => grants[token] ?? null });
  server.serve(express().use('/fhir', fhir.router));
  const http = supertest(base);
  return {
    base,
    fhir,
    http,
    async put(resource) {
      await http.put(`/${resource.resourceType}/${resource.id}`).type(fhirJson).send(resource).expect(201);
    },
    async ids(search) {
      const { body } = await http.get(search).expect(200);
      const entries: { resource: { id: string }; search: { mode: string } }[] = body.entry ?? [];
      const ids = entries.filter((entry) => entry.search.mode === 'match').map((entry) => entry.resource.id);
      return search.includes('_sort') ? ids : ids.sort();
    },
    async close() {
      await server.close();
      fhir.close();
    },
  };
}
