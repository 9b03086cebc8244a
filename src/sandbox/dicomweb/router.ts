/**
 * The HTTP face of the sandbox's PACS: DICOMweb routes, CORS as viewers need it, refusals as JSON.
 *
 * A caller on this machine needs no token; a bearer token that is presented must be active. Source: PS3.18 10.3 (resources), 8.5 (status).
 */
import cors from 'cors';
import { type ErrorRequestHandler, type Request, type Response, Router } from 'express';
import { statusOf, WetreadError } from '#domain/errors.ts';
import type { Archive, Stored } from './archive.ts';
import type { Level } from './attributes.ts';
import { disguiseOf, disturbed, faultsOf, mispaged, misunderstood, playFaults } from './faults.ts';
import { DicomwebRefusal } from './refusal.ts';
import { type Render, sendBulkData, sendFrames, sendInstances, sendMetadata, sendRendered } from './retrieve.ts';
import { searchArchive } from './search.ts';
import { storeInstances } from './store.ts';
import type { Switches } from './switches.ts';

export interface DicomwebOptions {
  readonly archive: Archive;
  /** Base URL without a trailing slash. */
  readonly base: string;
  readonly render: Render;
  /** True while the access token is active. */
  readonly isActive: (token: string) => Promise<boolean>;
  /** Faults that are played; each can be changed at any time. */
  readonly switches: Switches;
}

function param(request: Request, name: 'study' | 'series' | 'instance' | 'frames' | 'tag'): string | null {
  const value = request.params[name];
  return typeof value === 'string' ? value : null;
}

const errors: ErrorRequestHandler = (error, _request, response, next) => {
  if (response.headersSent) {
    // The closing boundary will be missing, which is how the reader learns of it.
    response.destroy();
    return;
  }
  const known = error instanceof DicomwebRefusal || error instanceof WetreadError;
  const status = error instanceof DicomwebRefusal ? error.status : statusOf(error);
  if (!known && !(error instanceof Error)) return next(error);
  if (!known) process.stderr.write(`sandbox DICOMweb: ${error.stack ?? error.message}\n`);
  response.status(status).json({ status, message: known ? error.message : 'internal error' });
};

export function dicomwebRouter({ archive: real, base: own, render, isActive, switches }: DicomwebOptions): Router {
  const router = Router({ caseSensitive: true });
  const dataOf = (request: Request): Archive => disturbed(real, faultsOf(request), 'data');
  const baseOf = (request: Request): string => faultsOf(request).otherHost ?? own;
  router.use(cors({ exposedHeaders: ['Warning', 'Content-Location', 'Content-Type', 'Content-Length'], maxAge: 600 }));
  router.use(playFaults(switches));
  router.use(async (request, response, next) => {
    const header = request.get('Authorization');
    const token = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
    if (header === undefined || (token !== undefined && (await isActive(token)))) next();
    else response.status(401).set('WWW-Authenticate', 'Bearer').json({ status: 401, message: 'the token is unknown or expired' });
  });

  const find =
    (level: Level) =>
    (request: Request, response: Response): void => {
      const within = { study: param(request, 'study'), series: param(request, 'series') };
      const faults = faultsOf(request);
      const archive = disturbed(real, faults, level);
      const params = misunderstood(archive, faults, new URL(request.originalUrl, own).searchParams);
      const search = (asked: URLSearchParams) => searchArchive(archive, level, within, asked, baseOf(request));
      const mixed = mispaged(faults, params, (asked) => search(asked).results);
      const { results, warnings } = mixed === null ? search(params) : { results: mixed, warnings: [] };
      if (warnings.length > 0) response.set('Warning', [...warnings]);
      response.type('application/dicom+json').send(JSON.stringify(results));
    };
  router.get(['/studies'], find('study'));
  router.get(['/series', '/studies/:study/series'], find('series'));
  router.get(['/instances', '/studies/:study/instances', '/studies/:study/series/:series/instances'], find('instance'));

  const chosen = (request: Request): Stored[] => {
    const [study, series, instance] = [param(request, 'study'), param(request, 'series'), param(request, 'instance')];
    const found = dataOf(request)
      .all()
      .filter(
        (one) => one.study === study && (series === null || one.series === series) && (instance === null || one.instance === instance),
      );
    if (found.length === 0)
      throw new DicomwebRefusal(404, `${[study, series, instance].filter((uid) => uid !== null).join(' / ')} is not here`);
    return found;
  };
  const one = (request: Request): Stored => {
    const [found] = chosen(request);
    if (found === undefined) throw new DicomwebRefusal(404, 'the instance is not here');
    return found;
  };
  const levels = ['/studies/:study', '/studies/:study/series/:series', '/studies/:study/series/:series/instances/:instance'];
  const instance = '/studies/:study/series/:series/instances/:instance';
  router.get(levels, (request, response) =>
    sendInstances(request, response, dataOf(request), chosen(request), baseOf(request), disguiseOf(faultsOf(request))),
  );
  router.get(
    levels.map((level) => `${level}/metadata`),
    (request, response) => sendMetadata(request, response, dataOf(request), chosen(request), baseOf(request)),
  );
  router.get(`${instance}/frames/:frames`, (request, response) =>
    sendFrames(request, response, dataOf(request), one(request), param(request, 'frames') ?? '', baseOf(request)),
  );
  router.get([`${instance}/rendered`, `${instance}/frames/:frames/rendered`], (request, response) =>
    sendRendered(request, response, dataOf(request), one(request), param(request, 'frames'), render),
  );
  router.get(`${instance}/bulkdata/:tag`, (request, response) =>
    sendBulkData(response, dataOf(request), one(request), param(request, 'tag') ?? '', baseOf(request)),
  );
  router.post(['/studies', '/studies/:study'], (request, response) =>
    storeInstances(request, response, dataOf(request), param(request, 'study'), baseOf(request)),
  );
  router.use((request) => {
    throw new DicomwebRefusal(404, `${request.method} ${request.path} is not served`);
  });
  router.use(errors);
  return router;
}
