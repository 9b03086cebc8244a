/**
 * Create, update and delete with their conditions. Every function judges and writes in one turn inside one SQL transaction, so that two
 * parallel conditional creates make one resource.
 *
 * Source: FHIR R4 http 3.1.0.4 (update, If-Match), 3.1.0.7 (delete), 3.1.0.8 (create), conditional create and update.
 */
import type { Access } from './access.ts';
import { idForm } from './reference.ts';
import { FhirRefusal } from './refusal.ts';
import type { Search } from './search.ts';
import type { FhirStore, Version } from './store.ts';
import type { ServedType } from './types.ts';
import { checkResource } from './validate.ts';

export interface Written {
  /** 201 created, 200 updated or found by the condition. */
  readonly status: 200 | 201;
  readonly version: Version;
}

export interface Writer {
  /** `ifNoneExist`: search of a conditional create; one match answers 200 and leaves it as it is. `id`: given by a transaction. */
  create(type: ServedType, body: unknown, options: { ifNoneExist?: string | undefined; id?: string | undefined }, access: Access): Written;
  /** `ifMatch`: value of the header, W/"version". */
  update(type: ServedType, id: string, body: unknown, ifMatch: string | undefined, access: Access): Written;
  updateWhere(type: ServedType, search: string, body: unknown, ifMatch: string | undefined, access: Access): Written;
  /** A resource that is gone already stays gone without an error. */
  remove(type: ServedType, id: string, access: Access): void;
}

function bodyId(body: unknown): string | null {
  return typeof body === 'object' && body !== null && 'id' in body && typeof body.id === 'string' ? body.id : null;
}

/** Version number of an If-Match value. @throws FhirRefusal 400 when it is none. */
function versionOf(ifMatch: string): number {
  const match = /^(?:W\/)?"(\d{1,9})"$/.exec(ifMatch.trim());
  if (match === null) throw new FhirRefusal(400, 'value', `If-Match: found ${ifMatch}, expected W/"<version>"`);
  return Number(match[1]);
}

function checkMatch(current: Version | null, ifMatch: string | undefined): void {
  if (ifMatch === undefined) return;
  const expected = versionOf(ifMatch);
  if (current?.version === expected && current.resource !== null) return;
  const found = current === null ? 'no such resource' : `version ${current.version}`;
  throw new FhirRefusal(412, 'conflict', `If-Match: found ${found}, expected version ${expected}; read it again`);
}

function one(matches: readonly Version[], search: string): Version | null {
  if (matches.length > 1)
    throw new FhirRefusal(412, 'multiple-matches', `condition ${JSON.stringify(search)} matches more than one resource`);
  return matches[0] ?? null;
}

export function openWriter(store: FhirStore, search: Search, newId: () => string): Writer {
  /** A write must not leave the patient context either, neither by what is replaced nor by what it becomes. */
  function written(type: ServedType, id: string, body: unknown, method: 'POST' | 'PUT', status: 200 | 201, access: Access): Written {
    const version = store.write(type, id, checkResource(type, body), method);
    if (!access.sees(version)) throw new FhirRefusal(403, 'forbidden', `${type}/${id} does not belong to the patient of the token`);
    return { status, version };
  }

  function update(type: ServedType, id: string, body: unknown, ifMatch: string | undefined, access: Access): Written {
    access.require(type, 'u');
    if (!idForm.test(id))
      throw new FhirRefusal(400, 'value', `found id ${JSON.stringify(id.slice(0, 80))}, expected A-Z a-z 0-9 - . up to 64`);
    if (bodyId(body) !== id)
      throw new FhirRefusal(400, 'invalid', `the body's id is ${bodyId(body) ?? 'absent'}, expected ${id} as in the URL`);
    return store.atomic(() => {
      const current = store.newest(type, id);
      checkMatch(current, ifMatch);
      if (current !== null && current.resource !== null && !access.sees(current))
        throw new FhirRefusal(404, 'not-found', `${type}/${id} is not known`);
      return written(type, id, body, 'PUT', current === null || current.resource === null ? 201 : 200, access);
    });
  }

  return {
    update,
    create(type, body, { ifNoneExist, id }, access) {
      access.require(type, 'c');
      return store.atomic(() => {
        const found = ifNoneExist === undefined ? null : one(search.matches(type, ifNoneExist, access), ifNoneExist);
        if (found !== null) return { status: 200, version: found };
        return written(type, id ?? newId(), body, 'POST', 201, access);
      });
    },
    updateWhere(type, condition, body, ifMatch, access) {
      return store.atomic(() => {
        const found = one(search.matches(type, condition, access), condition);
        const given = bodyId(body);
        if (found !== null && given !== null && given !== found.id) {
          throw new FhirRefusal(400, 'invalid', `the body's id is ${given}, the condition names ${type}/${found.id}`);
        }
        const id = found?.id ?? given ?? newId();
        return update(type, id, typeof body === 'object' ? { ...body, id } : body, ifMatch, access);
      });
    },
    remove(type, id, access) {
      access.require(type, 'd');
      store.atomic(() => {
        const current = store.newest(type, id);
        if (current === null || (current.resource !== null && !access.sees(current)))
          throw new FhirRefusal(404, 'not-found', `${type}/${id} is not known`);
        if (current.resource === null) return;
        const sql = `SELECT resource.type AS type, resource.id AS id FROM entry JOIN resource ON resource.key = entry.key
          WHERE entry.system = ? AND entry.value = ? AND NOT (resource.type = ? AND resource.id = ?) LIMIT 1`;
        const holder = store.db.prepare(sql).get(type, id, type, id);
        if (holder !== undefined)
          throw new FhirRefusal(409, 'conflict', `${type}/${id} is referred to by ${String(holder.type)}/${String(holder.id)}`);
        store.remove(type, id);
      });
    },
  };
}
