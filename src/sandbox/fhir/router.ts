/**
 * The HTTP face of the sandbox's FHIR server: routes, headers, content types; everything else is in the files beside it.
 *
 * A caller on this machine needs no token; a token that is presented is judged, whoever presents it.
 * Source: FHIR R4 http 3.1.0 (headers, Prefer, status codes), search 3.1.0.10 (POST _search).
 */
import type { Resource } from '@medplum/fhirtypes';
import cors from 'cors';
import express, { type ErrorRequestHandler, type Request, type Response, Router } from 'express';
import { type Access, accessOf, fullAccess, type Grant } from './access.ts';
import { capabilityStatement } from './metadata.ts';
import { parseQuery } from './query.ts';
import { etag, history, read, readVersion } from './read.ts';
import { FhirRefusal, outcomeOf } from './refusal.ts';
import { type FhirServices, processBundle } from './transaction.ts';
import { isServed, type ServedType } from './types.ts';
import type { Written } from './write.ts';

/** Scopes and context of an access token, null = not active. */
export type Introspect = (token: string) => Promise<Grant | null>;

const maxBodyBytes = 32 * 1024 * 1024;
const jsonTypes = ['application/fhir+json', 'application/json', 'application/json+fhir', 'text/json'];

function isLoopback(request: Request): boolean {
  return /^(::1|(::ffff:)?127\.)/.test(request.socket.remoteAddress ?? '');
}

async function accessFor(request: Request, services: FhirServices, introspect: Introspect): Promise<Access> {
  const header = request.headers.authorization;
  if (header === undefined) {
    if (isLoopback(request)) return fullAccess;
    throw new FhirRefusal(401, 'login', 'a bearer token is needed');
  }
  const token = /^Bearer +(\S+)$/i.exec(header)?.[1];
  const grant = token === undefined ? null : await introspect(token);
  if (grant === null) throw new FhirRefusal(401, 'login', 'the token is unknown, expired or no bearer token');
  return accessOf(grant, services.store);
}

function typeOf(request: Request): ServedType {
  const type = request.params.type;
  if (typeof type !== 'string' || !isServed(type))
    throw new FhirRefusal(404, 'not-supported', `resource type ${String(type)} is not served`);
  return type;
}

function idOf(request: Request): string {
  return String(request.params.id);
}

function searchParams(request: Request): URLSearchParams {
  return new URLSearchParams(request.originalUrl.split('?')[1] ?? '');
}

function send(response: Response, status: number, resource: Resource): void {
  response.status(status).type('application/fhir+json; charset=utf-8').send(JSON.stringify(resource));
}

function sendWritten(request: Request, response: Response, services: FhirServices, { status, version }: Written): void {
  response.set('ETag', etag(version)).set('Last-Modified', new Date(version.updatedMs).toUTCString());
  response.set('Location', `${services.store.base}/${version.type}/${version.id}/_history/${version.version}`);
  const wanted = /return=(\w+)/.exec(request.get('Prefer') ?? '')?.[1] ?? 'representation';
  if (wanted === 'minimal' || version.resource === null) response.status(status).end();
  else if (wanted === 'OperationOutcome') {
    send(
      response,
      status,
      outcomeOf([{ severity: 'information', code: 'informational', diagnostics: `${version.type}/${version.id} was written` }]),
    );
  } else send(response, status, version.resource);
}

/** Refuses what the server cannot speak: XML asked for by Accept or _format, bodies that are no JSON. */
function negotiate(request: Request): void {
  const format = searchParams(request).get('_format');
  if (format !== null && !['json', ...jsonTypes].includes(format.replace(' ', '+'))) {
    throw new FhirRefusal(406, 'not-supported', `_format=${format} is not supported; supported: json`);
  }
  if (format === null && !request.accepts([...jsonTypes])) {
    throw new FhirRefusal(406, 'not-supported', `Accept: ${request.get('Accept')} is not supported; supported: application/fhir+json`);
  }
}

function requireJson(request: Request): unknown {
  if (!request.is(jsonTypes)) {
    throw new FhirRefusal(
      415,
      'not-supported',
      `found Content-Type ${request.get('Content-Type') ?? 'none'}, expected application/fhir+json`,
    );
  }
  return request.body;
}

const errors: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  if (error instanceof FhirRefusal) {
    if (error.status === 401) response.set('WWW-Authenticate', 'Bearer');
    return send(response, error.status, outcomeOf(error.issues));
  }
  // body-parser's errors carry a status and say what was wrong with the body.
  if (error instanceof Error && 'status' in error && typeof error.status === 'number' && error.status < 500) {
    const code = error.status === 413 ? 'too-long' : 'structure';
    return send(response, error.status, outcomeOf([{ severity: 'error', code, diagnostics: `the body cannot be read: ${error.message}` }]));
  }
  send(response, 500, outcomeOf([{ severity: 'fatal', code: 'exception', diagnostics: 'internal error' }]));
  process.stderr.write(`sandbox FHIR: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
};

type Handler = (request: Request, response: Response, access: Access) => void;

/** Routes below the FHIR base. `started` dates the CapabilityStatement. */
export function fhirRouter(services: FhirServices, introspect: Introspect, started: Date): Router {
  const { store, search, writer } = services;
  const router = Router({ caseSensitive: true });
  const handled =
    (handler: Handler) =>
    async (request: Request, response: Response): Promise<void> => {
      negotiate(request);
      handler(request, response, await accessFor(request, services, introspect));
    };
  router.use(cors({ exposedHeaders: ['ETag', 'Location', 'Content-Location', 'Last-Modified', 'Link'], maxAge: 600 }));
  router.use(express.json({ type: jsonTypes, limit: maxBodyBytes, strict: true }));
  router.use(express.text({ type: 'application/x-www-form-urlencoded', limit: '1mb' }));

  router.get('/metadata', (request, response) => {
    negotiate(request);
    send(response, 200, capabilityStatement(store.base, started));
  });
  router.post(
    '/',
    handled((request, response, access) => send(response, 200, processBundle(services, requireJson(request), access))),
  );

  const find = (request: Request, response: Response, access: Access, params: URLSearchParams): void => {
    const type = typeOf(request);
    access.require(type, 's');
    const page = params.get('_page');
    const bundle =
      page === null ? search.first(parseQuery(type, params), access) : search.page(type, page, Number(params.get('_offset') ?? 0), access);
    send(response, 200, bundle);
  };
  router.get(
    '/:type',
    handled((request, response, access) => find(request, response, access, searchParams(request))),
  );
  router.post(
    '/:type/_search',
    handled((request, response, access) => {
      const form = request.is('application/x-www-form-urlencoded') && typeof request.body === 'string' ? request.body : null;
      if (form === null && Number(request.get('Content-Length') ?? 0) > 0) {
        throw new FhirRefusal(415, 'not-supported', 'POST _search: expected application/x-www-form-urlencoded');
      }
      // R4 search 3.1.0.10: parameters of the URL and of the form are both applied.
      find(request, response, access, new URLSearchParams([...searchParams(request), ...new URLSearchParams(form ?? '')]));
    }),
  );
  router.post(
    '/:type',
    handled((request, response, access) => {
      const ifNoneExist = request.get('If-None-Exist');
      sendWritten(request, response, services, writer.create(typeOf(request), requireJson(request), { ifNoneExist }, access));
    }),
  );
  router.put(
    '/:type',
    handled((request, response, access) => {
      const condition = searchParams(request).toString();
      const ifMatch = request.get('If-Match');
      sendWritten(request, response, services, writer.updateWhere(typeOf(request), condition, requireJson(request), ifMatch, access));
    }),
  );
  router.get(
    '/:type/:id',
    handled((request, response, access) => {
      const found = read(store, typeOf(request), idOf(request), access);
      response.set('ETag', etag(found)).set('Last-Modified', new Date(found.updatedMs).toUTCString());
      if (request.get('If-None-Match') === etag(found)) response.status(304).end();
      else send(response, 200, found.resource);
    }),
  );
  router.put(
    '/:type/:id',
    handled((request, response, access) => {
      const ifMatch = request.get('If-Match');
      sendWritten(request, response, services, writer.update(typeOf(request), idOf(request), requireJson(request), ifMatch, access));
    }),
  );
  router.delete(
    '/:type/:id',
    handled((request, response, access) => {
      writer.remove(typeOf(request), idOf(request), access);
      response.status(204).end();
    }),
  );
  router.get(
    '/:type/:id/_history',
    handled((request, response, access) => send(response, 200, history(store, typeOf(request), idOf(request), access))),
  );
  router.get(
    '/:type/:id/_history/:version',
    handled((request, response, access) => {
      const found = readVersion(store, typeOf(request), idOf(request), String(request.params.version), access);
      response.set('ETag', etag(found)).set('Last-Modified', new Date(found.updatedMs).toUTCString());
      send(response, 200, found.resource);
    }),
  );
  router.use((request) => {
    const known = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'].includes(request.method);
    throw new FhirRefusal(known ? 404 : 405, 'not-supported', `${request.method} ${request.path} is not served`);
  });
  router.use(errors);
  return router;
}
