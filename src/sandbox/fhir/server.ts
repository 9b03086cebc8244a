/** Opens the sandbox's FHIR server: store, search, writer, and the loading of bundles before anyone asks. */
import { randomUUID } from 'node:crypto';
import type { Router } from 'express';
import { fullAccess } from './access.ts';
import { type Loaded, prepareLoad } from './load.ts';
import { fhirRouter, type Introspect } from './router.ts';
import { openSearch } from './search.ts';
import { openStore } from './store.ts';
import { type FhirServices, processBundle } from './transaction.ts';
import { openWriter } from './write.ts';

export interface FhirServer {
  /** To be mounted at the path of the base URL. */
  readonly router: Router;
  readonly services: FhirServices;
  /** Stores a transaction or collection Bundle whole; resources keep their own ids. @throws FhirRefusal, nothing is stored then. */
  loadBundle(bundle: unknown): Loaded;
  close(): void;
}

export interface FhirOptions {
  /** SQLite file, ':memory:' = kept nowhere. */
  readonly file: string;
  /** Base URL without a trailing slash. */
  readonly base: string;
  readonly now: () => Date;
  readonly introspect: Introspect;
  readonly newId?: () => string;
}

export function openFhirServer({ file, base, now, introspect, newId = randomUUID }: FhirOptions): FhirServer {
  const store = openStore(file, base, now);
  const search = openSearch(store, newId);
  const services = { store, search, writer: openWriter(store, search, newId), newId };
  return {
    router: fhirRouter(services, introspect, now()),
    services,
    loadBundle(bundle) {
      const { transaction, loaded } = prepareLoad(bundle);
      processBundle(services, transaction, fullAccess);
      return loaded;
    },
    close: () => store.close(),
  };
}
