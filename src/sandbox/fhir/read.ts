/** Reads of one resource or one version: 404 for what never was, 410 for what was deleted (FHIR R4 http 3.1.0.1, 3.1.0.2, 3.1.0.9). */
import type { Bundle, BundleEntry } from '@medplum/fhirtypes';
import type { Access } from './access.ts';
import { FhirRefusal } from './refusal.ts';
import type { FhirStore, Version } from './store.ts';
import type { ServedType } from './types.ts';

/** A version that exists and is no deletion. */
export type Present = Version & { readonly resource: NonNullable<Version['resource']> };

function present(version: Version | null, name: string, access: Access): Present {
  if (version === null) throw new FhirRefusal(404, 'not-found', `${name} is not known`);
  if (version.resource === null) throw new FhirRefusal(410, 'deleted', `${name} was deleted`);
  if (!access.sees(version)) throw new FhirRefusal(404, 'not-found', `${name} is not known`);
  return { ...version, resource: version.resource };
}

export function read(store: FhirStore, type: ServedType, id: string, access: Access): Present {
  access.require(type, 'r');
  return present(store.newest(type, id), `${type}/${id}`, access);
}

export function readVersion(store: FhirStore, type: ServedType, id: string, version: string, access: Access): Present {
  access.require(type, 'r');
  const number = /^\d{1,9}$/.test(version) ? Number(version) : 0;
  return present(store.version(type, id, number), `version ${version} of ${type}/${id}`, access);
}

export function etag(version: Version): string {
  return `W/"${version.version}"`;
}

/** Newest first; a deletion is an entry without a resource. */
export function history(store: FhirStore, type: ServedType, id: string, access: Access): Bundle {
  access.require(type, 'r');
  const versions = store.history(type, id);
  const newest = versions.find((one) => one.resource !== null);
  if (newest === undefined || !access.sees(newest)) throw new FhirRefusal(404, 'not-found', `${type}/${id} is not known`);
  const url = `${store.base}/${type}/${id}`;
  const entry = versions.map((one): BundleEntry => {
    const lastModified = new Date(one.updatedMs).toISOString();
    const status = one.method === 'DELETE' ? '204' : one.version === 1 ? '201' : '200';
    return {
      fullUrl: url,
      ...(one.resource === null ? {} : { resource: one.resource }),
      request: { method: one.method, url: one.method === 'POST' ? type : `${type}/${id}` },
      response: { status, etag: etag(one), lastModified },
    };
  });
  return { resourceType: 'Bundle', type: 'history', total: entry.length, link: [{ relation: 'self', url: `${url}/_history` }], entry };
}
