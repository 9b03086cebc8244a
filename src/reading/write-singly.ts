/**
 * The entries of a transaction written one by one, for a FHIR server without transactions: each after those that it refers to.
 *
 * Each is looked for by its identifier before it is created, so a delivery that ended half way goes on where it ended, and one that is
 * repeated writes nothing, also where the server does not know If-None-Exist. Until the report, which is last, nothing refers to the rest.
 *
 * Source: FHIR R4 http (3.1.0.8.1, conditional create; 3.1.0.11.1, references within a transaction).
 */
import type { BundleEntry } from '@medplum/fhirtypes';
import { WetreadError } from '#domain/errors.ts';
import type { FhirClient } from '#fhir/client.ts';
import type { Resource } from '#fhir/types.ts';

const written = ['Device', 'Media', 'Observation', 'DiagnosticReport'] as const;
type WrittenType = (typeof written)[number];

interface Entry {
  readonly urn: string;
  readonly type: WrittenType;
  readonly resource: object;
  /** As `system|value`. */
  readonly identifier: string;
}

function entryOf({ fullUrl, resource, request }: BundleEntry): Entry {
  const type = written.find((one) => one === resource?.resourceType);
  const identifier = new URLSearchParams(request?.ifNoneExist).get('identifier');
  if (fullUrl === undefined || resource === undefined || type === undefined || identifier === null) {
    throw new WetreadError('internal', `an entry of the draft (${resource?.resourceType}) cannot be written by itself`);
  }
  return { urn: fullUrl, type, resource, identifier };
}

/** A copy with every `urn:uuid:` reference that is known by now in its place, and those that are not. */
function resolved(value: unknown, references: ReadonlyMap<string, string>, open: Set<string>): unknown {
  if (Array.isArray(value)) return value.map((item) => resolved(item, references, open));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      if (name !== 'reference' || typeof member !== 'string' || !member.startsWith('urn:uuid:'))
        return [name, resolved(member, references, open)];
      const reference = references.get(member);
      if (reference === undefined) open.add(member);
      return [name, reference ?? member];
    }),
  );
}

/** `Type/id` of the one resource that has the identifier, null = there is none. @throws delivery-conflict when several have it */
async function findOne(client: FhirClient, { type, identifier }: Entry): Promise<string | null> {
  const carries = (hit: { identifier?: { system?: string | undefined; value?: string | undefined }[] | undefined }) =>
    (hit.identifier ?? []).some(({ system, value }) => `${system}|${value}` === identifier);
  const { hits } = await client.search(type, [['identifier', identifier]], { accept: carries });
  if (hits.length > 1) throw new WetreadError('delivery-conflict', `found ${hits.length} ${type} with one identifier, expected at most 1`);
  const [hit] = hits;
  return hit?.id === undefined ? null : `${type}/${hit.id}`;
}

/**
 * @returns `Type/id` of each entry by its `urn:uuid:`
 * @throws delivery-conflict, reference-unresolved when entries refer to each other in a circle; what the server refuses
 */
export async function writeSingly(client: FhirClient, bundle: readonly BundleEntry[]): Promise<Map<string, string>> {
  const references = new Map<string, string>();
  let left = bundle.map(entryOf);
  while (left.length > 0) {
    const waiting: Entry[] = [];
    for (const entry of left) {
      const open = new Set<string>();
      const resource = resolved(entry.resource, references, open);
      if (open.size > 0) waiting.push(entry);
      else references.set(entry.urn, (await findOne(client, entry)) ?? (await create(client, entry, resource)));
    }
    if (waiting.length === left.length) {
      throw new WetreadError('reference-unresolved', `${waiting.length} resources of the draft refer to what is not in it`);
    }
    left = waiting;
  }
  return references;
}

async function create(client: FhirClient, { type, identifier }: Entry, resource: unknown): Promise<string> {
  // A copy of a resource of the bundle: `resolved` changes references alone.
  const { id } = await client.create(resource as Resource, { ifNoneExist: [['identifier', identifier]] });
  return `${type}/${id}`;
}
