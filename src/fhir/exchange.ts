/**
 * One request to a FHIR server through fhir-kit-client, with our policy around it.
 *
 * The library calls the built-in fetch, so the policy goes in by three doors: our Agent as dispatcher (allow-list, bytes, silence),
 * `redirect: 'error'`, and a signer that refuses every other origin before it adds the token and the total time. Its URL building,
 * paging and reference resolving are not used: they give the token away.
 *
 * Source: fhir-kit-client 2.0.3 http-client.js; FHIR R4 http (3.1.0) for statuses.
 */
import { Client } from 'fhir-kit-client';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { netFailure, placeOf } from '#net/failure.ts';
import type { Neighbour } from '#net/neighbour.ts';
import { authorize, type Token } from '#net/token.ts';
import { isBelow } from './address.ts';
import { operationOutcome, outcomeTexts, type Resource } from './types.ts';

export interface Asked {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
  readonly signal?: AbortSignal | undefined;
}

export interface Answered {
  /** null = the server sent no body. */
  readonly resource: Resource | null;
  readonly status: number;
  readonly headers: Headers;
}

export type Exchange = (asked: Asked) => Promise<Answered>;

const libraryError = z.looseObject({
  response: z.looseObject({ status: z.number(), data: z.unknown() }),
  /** The library keeps the headers of an error here only. */
  config: z.looseObject({ headers: z.instanceof(Headers) }),
});
const anyResource = z.looseObject({ resourceType: z.string().min(1) });

function clientFor(base: string, neighbour: Neighbour, token: Token | null): Client {
  return new Client({
    baseUrl: base,
    customHeaders: { 'accept-encoding': 'identity' },
    requestOptions: { redirect: 'error', dispatcher: neighbour.agent },
    // Its type says void; the library awaits the result (buildRequest), and a rejection ends the request.
    requestSigner: async (url, init) => {
      if (!isBelow(base, url)) {
        throw new WetreadError('net-origin-refused', `${neighbour.name}: found ${placeOf(url)}, expected an address below ${base}`);
      }
      const headers = new Headers(init.headers);
      for (const [name, value] of Object.entries(await authorize(token, url))) headers.set(name, value);
      const total = AbortSignal.timeout(neighbour.limits.totalMs);
      Object.assign(init, { headers, signal: init.signal == null ? total : AbortSignal.any([init.signal, total]) });
    },
  });
}

function textsOf(data: unknown): string {
  const outcome = operationOutcome.safeParse(data);
  return outcome.success ? outcomeTexts(outcome.data).join('; ').slice(0, 600) : '';
}

/** The coded error of an answer that is not a success. */
function statusFailure(name: string, asked: Asked, status: number, data: unknown, retryAfter: string | null): WetreadError {
  const texts = textsOf(data);
  const words = `${name}: found status ${status} for ${asked.method} ${placeOf(asked.url)}${texts === '' ? '' : `: ${texts}`}`;
  if (status === 401 || status === 403) {
    return new WetreadError('fhir-unauthorised', words, { hint: 'check client id, key and scopes of this server in the site file' });
  }
  if (status === 404 || status === 410) return new WetreadError('not-found', words);
  if (status === 409 || status === 412) return new WetreadError('fhir-conflict', words);
  if (status < 300) {
    return new WetreadError('fhir-bad-answer', `${words}, but the answer is not JSON`, { hint: 'a login page of a proxy looks like this' });
  }
  return new WetreadError('fhir-refused', words, retryAfter === null ? {} : { hint: `the server asks to wait: Retry-After ${retryAfter}` });
}

/** `renew` says whether a 401 is worth one more try with a new token. */
async function send(client: Client, name: string, asked: Asked, renew: () => boolean): Promise<Answered> {
  const headers = { ...(asked.body === undefined ? {} : { 'content-type': 'application/fhir+json' }), ...asked.headers };
  const options = { headers, ...(asked.signal === undefined ? {} : { signal: asked.signal }) };
  try {
    const data = await client.request(asked.url, {
      method: asked.method,
      options,
      ...(asked.body === undefined ? {} : { body: asked.body }),
    });
    const { response } = Client.httpFor(data);
    if (response === undefined) throw new WetreadError('fhir-bad-answer', `${name}: the answer came without its status`);
    const parsed = anyResource.safeParse(data);
    const empty = Object.keys(data).length === 0;
    if (!parsed.success && !empty) {
      throw new WetreadError(
        'fhir-bad-answer',
        `${name}: found JSON without resourceType at ${placeOf(asked.url)}, expected a FHIR resource`,
      );
    }
    // A loose object with a resourceType is what Resource says.
    return { resource: parsed.success ? (parsed.data as Resource) : null, status: response.status, headers: response.headers };
  } catch (error) {
    if (error instanceof WetreadError) throw error;
    const failed = libraryError.safeParse(error);
    if (failed.success && failed.data.response.status === 401 && renew()) return send(client, name, asked, () => false);
    if (failed.success) {
      const { response, config } = failed.data;
      throw statusFailure(name, asked, response.status, response.data, config.headers.get('retry-after'));
    }
    // JSON null or a bare value: the library cannot hang its properties on it.
    if (error instanceof TypeError && /defineProperty/.test(error.message)) {
      throw new WetreadError('fhir-bad-answer', `${name}: found JSON that is no object at ${placeOf(asked.url)}`, { cause: error });
    }
    throw netFailure(error, name, asked.url);
  }
}

/**
 * A function that exchanges one request; a 401 leads to one new token and one more try.
 * @throws fhir-unauthorised, not-found, fhir-conflict, fhir-refused, fhir-bad-answer, net-*
 */
export function openExchange(base: string, neighbour: Neighbour, token: Token | null): Exchange {
  const client = clientFor(base, neighbour, token);
  return (asked) => send(client, neighbour.name, asked, () => token?.renew() ?? false);
}
