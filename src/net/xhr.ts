/**
 * The request object that dicomweb-client wants, over a neighbour.
 *
 * dicomweb-client takes broken JSON for null, an HTML page for an instance, and loses Warning headers and statuses. So this object
 * checks status and type, parses and counts itself, and keeps what went wrong in `failure`: the caller throws that, not the library's
 * "request failed". One object per call.
 *
 * Source: the calls made in dicomweb-client 0.11.3 src/api.js (_httpRequest); PS3.18 8.3.4.4 and 10.6.1.4 (Warning headers).
 */
import { WetreadError } from '#domain/errors.ts';
import type { Neighbour } from './neighbour.ts';
import { authorize, type Token } from './token.ts';

export interface XhrOptions {
  readonly neighbour: Neighbour;
  readonly token: Token | null;
  /** Bytes of the answer. */
  readonly maxBytes: number;
  /** Ends the call when its caller gives up. */
  readonly signal?: AbortSignal | undefined;
}

const jsonTypes = new Set(['application/dicom+json', 'application/json', 'text/json']);

function looseType(header: string | null): string {
  return (header ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
}

export class XhrOverNeighbour {
  readyState = 0;
  /** 0 until an answer arrived; an answer that was refused here is 0 again, which the library rejects. */
  status = 0;
  responseType = '';
  response: unknown = null;
  /** What went wrong, coded; null after a usable answer. */
  failure: WetreadError | null = null;
  /** HTTP status as the server sent it. */
  answered = 0;
  /** Texts of all Warning headers. */
  warnings: readonly string[] = [];
  retryAfter: string | null = null;
  onreadystatechange: (() => void) | null = null;
  onloadstart: (() => void) | null = null;
  onloadend: (() => void) | null = null;

  readonly #options: XhrOptions;
  readonly #abort = new AbortController();
  readonly #headers = new Headers({ accept: 'application/dicom+json' });
  #answerHeaders = new Headers();
  #method = 'GET';
  #url = '';

  constructor(options: XhrOptions) {
    this.#options = options;
  }

  open(method: string, url: string): void {
    this.#method = method.toUpperCase();
    this.#url = url;
    this.readyState = 1;
  }

  setRequestHeader(name: string, value: string): void {
    this.#headers.set(name, value);
  }

  getResponseHeader(name: string): string | null {
    return this.#answerHeaders.get(name);
  }

  getAllResponseHeaders(): string {
    return [...this.#answerHeaders].map(([name, value]) => `${name}: ${value}\r\n`).join('');
  }

  abort(): void {
    this.#abort.abort();
  }

  send(body?: ArrayBuffer | Uint8Array): void {
    this.onloadstart?.();
    this.#exchange(body)
      .catch((error: unknown) => {
        this.status = 0;
        this.failure =
          error instanceof WetreadError ? error : new WetreadError('internal', 'the request object for DICOMweb failed', { cause: error });
      })
      .finally(() => {
        this.readyState = 4;
        this.onreadystatechange?.();
        this.onloadend?.();
      });
  }

  async #exchange(body: ArrayBuffer | Uint8Array | undefined): Promise<void> {
    const { neighbour, token, maxBytes, signal } = this.#options;
    for (const [name, value] of Object.entries(await authorize(token, this.#url))) this.#headers.set(name, value);
    const answer = await neighbour.fetch(this.#url, {
      method: this.#method,
      headers: [...this.#headers],
      signal: signal === undefined ? this.#abort.signal : AbortSignal.any([this.#abort.signal, signal]),
      maxBytes,
      ...(body === undefined ? {} : { body: new Uint8Array(body) }),
    });
    this.#answerHeaders = new Headers([...answer.headers]);
    this.answered = answer.status;
    this.retryAfter = answer.headers.get('retry-after');
    this.warnings = (answer.headers.get('warning') ?? '').split(/,(?=\s*\d{3} )/).flatMap((text) => text.trim() || []);
    const text = await answer.text();
    this.response = this.#read(answer.status, text);
    this.status = answer.status;
  }

  /** The parsed body; null for an empty one or the text of an error that is not JSON. */
  #read(status: number, text: string): unknown {
    if (status === 204 || text.trim() === '') {
      if (status === 200)
        throw new WetreadError('dicomweb-bad-json', `${this.#where()}: found an empty answer with status 200, expected JSON`);
      return null;
    }
    const type = looseType(this.#answerHeaders.get('content-type'));
    if (!jsonTypes.has(type)) {
      if (status >= 400) return null;
      throw new WetreadError('dicomweb-unexpected-type', `${this.#where()}: found ${type || 'no type'}, expected application/dicom+json`, {
        hint: 'a login page of a proxy looks like this',
      });
    }
    try {
      return JSON.parse(text);
    } catch (cause) {
      if (status >= 400) return null;
      throw new WetreadError('dicomweb-bad-json', `${this.#where()}: the answer of ${text.length} characters is not JSON`, { cause });
    }
  }

  #where(): string {
    return `${this.#options.neighbour.name} ${this.#method} ${new URL(this.#url).pathname}`;
  }
}
