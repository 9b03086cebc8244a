/** An authorization server of the sandbox on a free port, and a browser that follows its redirects. */
import { createHash, randomBytes } from 'node:crypto';
import { type Authorization, openAuthorization } from '#sandbox/authorization/authorization.ts';
import { listen } from '#src/listen.ts';

export const fhirBase = 'http://127.0.0.1:9/fhir';
export const redirectUri = 'http://127.0.0.1:9/launch/callback';

/** A browser's cookies, over as many launches as wanted. */
export class Browser {
  readonly #cookies = new Map<string, string>();

  /** Follows redirects until one leaves for `redirectUri`; null when the way ends before. */
  async open(start: string): Promise<URL | null> {
    let url = start;
    for (let hop = 0; hop < 10 && !url.startsWith(redirectUri); hop += 1) {
      const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ');
      const response = await fetch(url, { redirect: 'manual', headers: { cookie } });
      for (const line of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        this.#cookies.set(name, value);
      }
      const location = response.headers.get('location');
      if (location === null) return null;
      url = new URL(location, url).href;
    }
    return new URL(url);
  }
}

export interface TestAuthorization {
  readonly issuer: string;
  readonly authorization: Authorization;
  /** A form sent to the token endpoint; the parsed answer with its status. */
  token(form: Readonly<Record<string, string>>): Promise<Record<string, unknown> & { status: number }>;
  close(): Promise<void>;
}

export async function startAuthorization(): Promise<TestAuthorization> {
  const server = await listen('authorization', 0);
  const authorization = await openAuthorization({ issuer: server.origin, fhirBase, now: () => new Date() });
  authorization.registerApp({ clientId: 'app', redirectUris: [redirectUri] });
  server.serve(authorization.listener);
  return {
    issuer: server.origin,
    authorization,
    async token(form) {
      const response = await fetch(`${server.origin}/token`, { method: 'POST', body: new URLSearchParams(form) });
      return { status: response.status, ...((await response.json()) as object) };
    },
    close: () => server.close(),
  };
}

/** The parts of an authorization request that a test changes; undefined leaves one out. */
export type Change = Readonly<Record<string, string | undefined>>;

/** A launch up to the redirect back: what came back and the verifier of the exchange. */
export async function authorize(server: TestAuthorization, launch: string, change: Change = {}, browser = new Browser()) {
  const verifier = randomBytes(32).toString('base64url');
  const asked: Change = {
    response_type: 'code',
    client_id: 'app',
    redirect_uri: redirectUri,
    scope: 'launch openid fhirUser patient/*.rs',
    state: 'state-1',
    aud: fhirBase,
    launch,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...change,
  };
  const query = new URLSearchParams(Object.entries(asked).filter((one): one is [string, string] => one[1] !== undefined));
  const back = await browser.open(`${server.issuer}/auth?${query}`);
  return { back, verifier };
}

/** The whole way to the token answer. */
export async function launchApp(server: TestAuthorization, launch: string, change: Change = {}, browser = new Browser()) {
  const { back, verifier } = await authorize(server, launch, change, browser);
  const code = back?.searchParams.get('code') ?? '';
  return server.token({ grant_type: 'authorization_code', code, redirect_uri: redirectUri, client_id: 'app', code_verifier: verifier });
}
