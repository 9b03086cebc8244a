/**
 * QIDO-RS and STOW-RS calls through dicomweb-client, each over its own request object.
 *
 * The library builds URLs and bodies; statuses, types, JSON and warnings are judged here, because it loses them.
 *
 * Source: PS3.18 10.5 (store), 10.6 (search); dicomweb-client 0.11.3.
 */
import { api } from 'dicomweb-client';
import { WetreadError } from '#domain/errors.ts';
import type { Uid } from '#domain/uid.ts';
import type { Neighbour } from '#net/neighbour.ts';
import { type Patience, waitedAsAsked } from '#net/retry-after.ts';
import type { Token } from '#net/token.ts';
import { XhrOverNeighbour } from '#net/xhr.ts';

export interface Roots {
  readonly qido: string;
  readonly wado: string;
  readonly stow: string;
}

export interface Place {
  readonly roots: Roots;
  readonly neighbour: Neighbour;
  readonly token: Token | null;
  /** How long a busy archive (429, 503 with Retry-After) is waited for. */
  readonly patience: Patience;
  /** Ends the searches of one caller. */
  readonly signal?: AbortSignal | undefined;
}

export type Level =
  | { readonly kind: 'studies' }
  | { readonly kind: 'series'; readonly study: Uid }
  | { readonly kind: 'instances'; readonly study: Uid; readonly series: Uid };

export interface Answer {
  readonly status: number;
  /** Parsed JSON, null without a body. */
  readonly body: unknown;
  readonly warnings: readonly string[];
}

const maxJsonBytes = 32 * 1024 * 1024;

interface Asked {
  readonly request: { readonly instance: XhrOverNeighbour };
}

/** What we call of the library; its own type file leaves `request` out of the searches and gives arrays for promises. */
interface Library {
  searchForStudies(options: Asked & { queryParams: object }): Promise<unknown>;
  searchForSeries(options: Asked & { queryParams: object; studyInstanceUID: Uid }): Promise<unknown>;
  searchForInstances(options: Asked & { queryParams: object; studyInstanceUID: Uid; seriesInstanceUID: Uid }): Promise<unknown>;
  storeInstances(options: Asked & { studyInstanceUID: Uid; datasets: readonly ArrayBuffer[] }): Promise<unknown>;
}

type Call = (client: Library, request: Asked['request']) => Promise<unknown>;

async function once(place: Place, root: string, call: Call): Promise<XhrOverNeighbour> {
  const xhr = new XhrOverNeighbour({ neighbour: place.neighbour, token: place.token, maxBytes: maxJsonBytes, signal: place.signal });
  // `verbose` would print request objects with the token to the console.
  const client = new api.DICOMwebClient({ url: root, verbose: false, singlepart: false }) as unknown as Library; // src/api.js has these
  try {
    await call(client, { instance: xhr });
  } catch (error) {
    if (xhr.failure !== null) throw xhr.failure;
    if (xhr.answered === 0)
      throw new WetreadError('internal', `${place.neighbour.name}: dicomweb-client failed before it asked`, { cause: error });
  }
  return xhr;
}

/** The coded error of a status that is not a success. */
export function statusFailure(name: string, what: string, status: number, retryAfter: string | null): WetreadError {
  const words = `${name}: found status ${status} for ${what}`;
  if (status === 401 || status === 403) {
    return new WetreadError('dicomweb-unauthorised', words, { hint: 'check user, password or client of the PACS in the site file' });
  }
  if (status === 404 || status === 410) return new WetreadError('not-found', words);
  return new WetreadError(
    'dicomweb-refused',
    words,
    retryAfter === null ? {} : { hint: `the archive asks to wait: Retry-After ${retryAfter}` },
  );
}

/** A 401 leads to one new token, a busy archive to a wait as it asks, within bounds. */
async function asked(place: Place, root: string, call: Call): Promise<XhrOverNeighbour> {
  let renewed = false;
  for (let waits = 0; ; ) {
    const xhr = await once(place, root, call);
    const { answered: status, retryAfter } = xhr;
    if (status === 401 && !renewed && place.token?.renew() === true) renewed = true;
    else if (await waitedAsAsked({ status, retryAfter }, waits, place.patience, place.signal)) waits += 1;
    else return xhr;
  }
}

/**
 * The library encodes values, the comma of a list included, which Orthanc 1.10 then does not split: all fields would be ignored in
 * silence. It writes names as they are, so each field becomes a parameter of its own (PS3.18 8.3.4.3 allows both).
 */
function withFields(queryParams: Readonly<Record<string, string>>, fields: readonly string[]): Readonly<Record<string, string>> {
  const [first, ...others] = fields;
  if (first === undefined) return queryParams;
  return { ...queryParams, [[...others.map((field) => `includefield=${field}`), 'includefield'].join('&')]: first };
}

/**
 * One page of a search; `fields` are tags (eight hex digits) asked for beyond what the archive gives by itself.
 * @throws dicomweb-unauthorised, dicomweb-refused, not-found, dicomweb-bad-json, dicomweb-unexpected-type, net-*
 */
export async function search(
  place: Place,
  level: Level,
  params: Readonly<Record<string, string>>,
  fields: readonly string[],
): Promise<Answer> {
  const queryParams = withFields(params, fields);
  const xhr = await asked(place, place.roots.qido, (client, request) => {
    if (level.kind === 'studies') return client.searchForStudies({ queryParams, request });
    if (level.kind === 'series') return client.searchForSeries({ studyInstanceUID: level.study, queryParams, request });
    return client.searchForInstances({ studyInstanceUID: level.study, seriesInstanceUID: level.series, queryParams, request });
  });
  if (xhr.answered !== 200 && xhr.answered !== 204) {
    throw statusFailure(place.neighbour.name, `a search of ${level.kind}`, xhr.answered, xhr.retryAfter);
  }
  return { status: xhr.answered, body: xhr.answered === 204 ? [] : xhr.response, warnings: xhr.warnings };
}

/** Sends one Part 10 file; any status comes back, since 202 and 409 carry the reasons. @throws net-*, dicomweb-unexpected-type */
export async function post(place: Place, study: Uid, bytes: Uint8Array): Promise<Answer & { readonly retryAfter: string | null }> {
  const xhr = await asked(place, place.roots.stow, (client, request) =>
    client.storeInstances({ studyInstanceUID: study, datasets: [new Uint8Array(bytes).buffer], request }),
  );
  return { status: xhr.answered, body: xhr.response, warnings: xhr.warnings, retryAfter: xhr.retryAfter };
}
