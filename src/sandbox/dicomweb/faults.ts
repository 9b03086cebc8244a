/**
 * Plays the faults of the switches: on the way of an answer (cut, reset, silence, drip), in place of it, and in what the archive holds.
 *
 * The routes know nothing of faults but an archive and a base URL: what they are given is disturbed before.
 */
import type { NextFunction, Request, Response } from 'express';
import type { Archive, Stored } from './archive.ts';
import type { Level } from './attributes.ts';
import type { Disguise } from './multipart-writer.ts';
import { noSwitches, type Switches } from './switches.ts';

const login = '<!doctype html><title>Sign in</title><form action="/login" method="post"><input name="user"></form>';
const dripMs = 50;

function kindOf(request: Request): NonNullable<Switches['at']> {
  if (request.method === 'POST') return 'store';
  return /\/(studies|series|instances)$/.test(request.path) ? 'search' : 'retrieve';
}

const playing = new WeakMap<Request, Switches>();

/** The faults of this request, decided once. */
export function faultsOf(request: Request): Switches {
  return playing.get(request) ?? noSwitches();
}

function decide(request: Request, switches: Switches): Switches {
  if (switches.times === 0 || (switches.at !== null && switches.at !== kindOf(request))) return noSwitches();
  if (switches.times !== null) switches.times -= 1;
  return { ...switches };
}

type Sent = (bytes: Buffer, end: boolean) => void;

/** Replaces the ways in which a body is written by `sent`; express and the routes do not notice. */
function intercept(response: Response, sent: Sent): void {
  const take = (chunk: unknown, end: boolean): void => {
    const bytes = typeof chunk === 'string' || chunk instanceof Uint8Array ? Buffer.from(chunk) : Buffer.alloc(0);
    sent(bytes, end);
  };
  // The overloads of write and end take a callback or an encoding too; the routes here use neither.
  response.write = (chunk: unknown) => {
    take(chunk, false);
    return true;
  };
  response.end = (chunk?: unknown) => {
    take(chunk, true);
    return response;
  };
}

/** Length and chunks are left out, so that the end of the connection is the end of the answer. */
function withoutLength(response: Response): void {
  if (response.headersSent) return;
  response.removeHeader('Content-Length');
  response.useChunkedEncodingByDefault = false;
  response.shouldKeepAlive = false;
}

type Way = { readonly write: Response['write']; readonly end: Response['end'] };

function stopAfter(response: Response, way: Way, limit: number, stop: (last: Buffer) => void): void {
  let left = limit;
  let over = false;
  intercept(response, (bytes, end) => {
    if (over) return;
    over = bytes.length >= left || end;
    if (over) stop(bytes.subarray(0, left));
    else way.write(bytes);
    left -= bytes.length;
  });
}

function drip(response: Response, way: Way, size: number): void {
  let waiting = Buffer.alloc(0);
  let ended = false;
  const timer = setInterval(() => {
    if (waiting.length > 0) way.write(waiting.subarray(0, size));
    waiting = waiting.subarray(size);
    if (waiting.length > 0 || !ended) return;
    clearInterval(timer);
    way.end();
  }, dripMs);
  response.on('close', () => clearInterval(timer));
  intercept(response, (bytes, end) => {
    waiting = Buffer.concat([waiting, bytes]);
    ended ||= end;
  });
}

function halveJson(response: Response, way: Way): void {
  intercept(response, (bytes, end) => {
    const half = bytes.subarray(0, Math.ceil(bytes.length / 2));
    if (!response.headersSent) response.setHeader('Content-Length', half.length);
    if (end) way.end(half);
    else way.write(half);
  });
}

function disturbWay(response: Response, faults: Switches): void {
  const way: Way = { write: response.write.bind(response), end: response.end.bind(response) };
  if (faults.cutAfter !== null) {
    stopAfter(response, way, faults.cutAfter, (last) => {
      withoutLength(response);
      way.end(last);
    });
  } else if (faults.resetAfter !== null) {
    stopAfter(response, way, faults.resetAfter, (last) => void way.write(last, () => response.socket?.resetAndDestroy()));
  } else if (faults.stallAfter !== null) {
    stopAfter(response, way, faults.stallAfter, (last) => void way.write(last));
  } else if (faults.dripBytes !== null) drip(response, way, faults.dripBytes);
  else if (faults.brokenJson) halveJson(response, way);
}

/** Decides what happens to each request, and answers in place of the routes where the switches say so. */
export function playFaults(switches: Switches): (request: Request, response: Response, next: NextFunction) => void {
  return (request, response, next) => {
    const faults = decide(request, switches);
    playing.set(request, faults);
    if (faults.redirect !== null) response.redirect(302, faults.redirect);
    else if (faults.html) response.type('text/html').send(login);
    else if (faults.status !== null) {
      if (faults.retryAfter !== null) response.set('Retry-After', faults.retryAfter);
      response.status(faults.status).end();
    } else {
      disturbWay(response, faults);
      next();
    }
  };
}

/** The last instance of each study that has several, as the archive found them. */
function lastOnes(all: readonly Stored[]): ReadonlySet<Stored> {
  const studies = [...Map.groupBy(all, (stored) => stored.study).values()];
  return new Set(studies.flatMap((study) => (study.length > 1 ? study.slice(-1) : [])));
}

function withoutLast(archive: Archive): readonly Stored[] {
  const all = archive.all();
  const last = lastOnes(all);
  return all.filter((stored) => !last.has(stored));
}

/** The archive as a request with these faults sees it: a search at a level, or a retrieve and a store (`data`). */
export function disturbed(archive: Archive, faults: Switches, purpose: Level | 'data'): Archive {
  const unlisted = faults.extra || (faults.shortList && purpose === 'instance');
  const hides = purpose === 'data' ? faults.missing : unlisted;
  return {
    refused: archive.refused,
    all: () => (hides ? withoutLast(archive) : archive.all()),
    bytes: async (stored) => Buffer.concat([await archive.bytes(stored), Buffer.alloc(faults.padding)]),
    async add(described, bytes) {
      if (faults.loses) return { ...described, path: '' };
      const known = archive.all().find((stored) => stored.instance === described.instance);
      return faults.keepsOld && known !== undefined ? known : archive.add(described, bytes);
    },
  };
}

/** The parameters of a search as the faulty archive understands them. */
export function misunderstood(archive: Archive, faults: Switches, params: URLSearchParams): URLSearchParams {
  const kept = new URLSearchParams([...params].filter(([name]) => !faults.ignoredKeys.includes(name)));
  const wanted = kept.get('PatientID');
  if (!faults.caseless || wanted === null) return kept;
  const ids = archive.all().flatMap((stored) => stored.json['00100020']?.Value ?? []);
  const spelled = ids.find((id) => String(id).toLowerCase() === wanted.toLowerCase());
  if (spelled !== undefined) kept.set('PatientID', String(spelled));
  return kept;
}

/** One page by the faulty paging; null = paging is as it should be. */
export function mispaged<T>(
  faults: Switches,
  params: URLSearchParams,
  search: (params: URLSearchParams) => readonly T[],
): readonly T[] | null {
  if (faults.paging === null) return null;
  const every = new URLSearchParams(params);
  every.delete('limit');
  every.delete('offset');
  const all = search(every);
  const limit = Number(params.get('limit') ?? all.length);
  const offset = faults.paging === 'repeats' ? 0 : Number(params.get('offset') ?? 0);
  const wraps = faults.paging === 'loops' && all.length > 0;
  const page = all.slice(offset, offset + limit);
  return wraps && page.length === 0 ? all.slice(offset % all.length).slice(0, limit) : page;
}

/** What multipart answers claim. */
export function disguiseOf({ boundary, partType }: Switches): Disguise {
  return { boundary, partType };
}
