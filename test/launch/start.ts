/**
 * An EHR and wetread's launch door on free ports: FHIR base with its smart-configuration, the sandbox's authorization server, the router.
 *
 * The token endpoint stands behind a small proxy, so that a test can count requests and change what really came back. Closing checks that
 * no secret of any exchange reached the log.
 */
import type { IncomingMessage, RequestListener } from 'node:http';
import express from 'express';
import pino from 'pino';
import { expect } from 'vitest';
import { launchReach } from '#launch/reach.ts';
import { createLaunchRouter } from '#launch/router.ts';
import { openSessions, type ReviewSession } from '#launch/sessions.ts';
import { type Authorization, openAuthorization } from '#sandbox/authorization/authorization.ts';
import { listen } from '#src/listen.ts';
import { Browser, type Page } from './browser.ts';

export const clientId = 'wetread-review';
const user = 'Practitioner/robin';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface TokenCall {
  readonly headers: IncomingMessage['headers'];
  readonly form: URLSearchParams;
}

export interface Ehr {
  /** FHIR base, as the site lists it. */
  readonly iss: string;
  readonly issuer: string;
  readonly authorization: Authorization;
  /** What reached the token endpoint. */
  readonly tokenCalls: readonly TokenCall[];
  /** How often the smart-configuration was read. */
  readonly discoveries: () => number;
  /** Set by a test to change what the EHR answers; null = as it is. */
  readonly change: {
    configuration: ((document: Record<string, unknown>) => Answer | Promise<Answer>) | null;
    token: ((answer: Answer, form: URLSearchParams) => Answer | Promise<Answer>) | null;
    keys: ((document: { keys: object[] }) => { keys: object[] } | Promise<{ keys: object[] }>) | null;
  };
  /** A launch of the EHR with this patient open. */
  launch(patient: string, appContext: string | null): string;
  registerApp(redirectUri: string): void;
  close(): Promise<void>;
}

export const json = (value: unknown, status = 200): Answer => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text;
}

export async function startEhr(path = '/fhir'): Promise<Ehr> {
  const [fhir, outer, inner] = await Promise.all([listen('FHIR', 0), listen('authorization', 0), listen('authorization itself', 0)]);
  const iss = `${fhir.origin}${path}`;
  const authorization = await openAuthorization({ issuer: outer.origin, fhirBase: iss, now: () => new Date() });
  const tokenCalls: TokenCall[] = [];
  let discoveries = 0;
  const change: Ehr['change'] = { configuration: null, token: null, keys: null };

  const configuration: RequestListener = async (request, response) => {
    if (request.url !== `${path}/.well-known/smart-configuration`) return response.writeHead(404).end();
    discoveries += 1;
    const document = { ...authorization.smartConfiguration() };
    const answer = change.configuration === null ? json(document) : await change.configuration(document);
    return response.writeHead(answer.status, answer.headers).end(answer.body);
  };
  const proxy: RequestListener = async (request, response) => {
    if (request.url === '/jwks' && change.keys !== null) {
      const real = (await (await fetch(`${inner.origin}/jwks`)).json()) as { keys: object[] };
      return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(await change.keys(real)));
    }
    if (request.url !== '/token') return authorization.listener(request, response);
    const body = await bodyOf(request);
    const form = new URLSearchParams(body);
    tokenCalls.push({ headers: request.headers, form });
    const { 'content-type': type = '' } = request.headers;
    const real = await fetch(`${inner.origin}/token`, { method: 'POST', headers: { 'content-type': type }, body });
    const answer = { status: real.status, headers: { 'content-type': 'application/json' }, body: await real.text() };
    const { status, headers, body: text } = change.token === null ? answer : await change.token(answer, form);
    return response.writeHead(status, headers).end(text);
  };
  fhir.serve(configuration);
  outer.serve(proxy);
  inner.serve(authorization.listener);
  return {
    iss,
    issuer: outer.origin,
    authorization,
    tokenCalls,
    discoveries: () => discoveries,
    change,
    launch: (patient, appContext) => authorization.createLaunch({ patient, appContext, encounter: null, user }),
    registerApp: (redirectUri) => authorization.registerApp({ clientId, redirectUris: [redirectUri] }),
    close: async () => {
      await Promise.all([fhir.close(), outer.close(), inner.close()]);
    },
  };
}

export interface Door {
  readonly origin: string;
  /** Review sessions that were opened, by their path. */
  readonly opened: readonly ReviewSession[];
  readonly refusals: readonly { readonly draftKey: string; readonly user: string | null }[];
  readonly log: readonly string[];
  /** Moves the clock of launches and sessions. */
  pass(ms: number): void;
  /** The launch URL as an EHR opens it. */
  url(iss: string, launch: string): string;
  close(): Promise<void>;
}

/** Drafts by appContext: what the store knows. */
export interface Contexts {
  get(token: string): Found | undefined | Promise<Found | null>;
}
interface Found {
  readonly draftKey: string;
  readonly patientId: string;
}

export interface DoorOptions {
  readonly ehrs: readonly Ehr[];
  readonly contexts: Contexts;
  /** Instead of the address it listens on. */
  readonly publicUrl?: string;
}

export async function startDoor({ ehrs, contexts, publicUrl }: DoorOptions): Promise<Door> {
  const http = await listen('wetread', 0);
  let passed = 0;
  const now = () => new Date(Date.now() + passed);
  const log: string[] = [];
  const issuers = ehrs.map(({ iss }) => iss);
  const reach = launchReach(issuers);
  const sessions = openSessions(now);
  const opened: ReviewSession[] = [];
  const refusals: { draftKey: string; user: string | null }[] = [];
  const own = publicUrl ?? http.origin;
  for (const ehr of ehrs) ehr.registerApp(`${own}/launch/callback`);
  const app = express().use(
    createLaunchRouter({
      publicUrl: own,
      clientId,
      scope: 'launch openid fhirUser patient/Patient.r',
      issuers,
      sessions: {
        ...sessions,
        open: (session) => {
          const one = sessions.open(session);
          opened.push(one);
          return one;
        },
      },
      readJson: reach.readJson,
      fetch: reach.fetch,
      resolveContext: async (token) => (await contexts.get(token)) ?? null,
      onRefused: async (detail) => void refusals.push(detail),
      now,
      log: pino({ level: 'trace', base: null }, { write: (line: string) => void log.push(line) }),
    }),
  );
  app.get('/review/:session/', (_request, response) => void response.type('html').send('the draft'));
  http.serve(app);
  return {
    origin: http.origin,
    opened,
    refusals,
    log,
    pass: (ms) => {
      passed += ms;
    },
    url: (iss, launch) => `${http.origin}/launch?${new URLSearchParams({ iss, launch })}`,
    close: async () => {
      await Promise.all([http.close(), reach.close()]);
      const secrets = ehrs.flatMap(({ tokenCalls }) => tokenCalls.flatMap(({ form }) => [form.get('code'), form.get('code_verifier')]));
      for (const secret of secrets.filter((one) => one !== null && one !== '')) expect(log.join('')).not.toContain(secret);
    },
  };
}

/** The usual case: one EHR, one draft `d1` of patient `anna` behind the appContext `opaque`. */
export async function startLaunch(path?: string) {
  const ehr = await startEhr(path);
  const contexts = new Map([['opaque', { draftKey: 'd1', patientId: 'anna' }]]);
  const door = await startDoor({ ehrs: [ehr], contexts });
  return {
    ehr,
    door,
    contexts,
    /** The whole way from the card's link; ends at the review page or at a refusal. */
    go: (browser = new Browser(), launch = ehr.launch('anna', 'opaque')): Promise<Page> => browser.open(door.url(ehr.iss, launch)),
    /** As far as the redirect back to us, which is not followed. */
    goBack: (browser = new Browser(), launch = ehr.launch('anna', 'opaque')): Promise<Page> =>
      browser.open(door.url(ehr.iss, launch), `${door.origin}/launch/callback`),
    close: async () => {
      await door.close();
      await ehr.close();
    },
  };
}

/** The code that a refusal page shows, null = it is none. */
export function refusalCode(page: Page): string | null {
  return /Code: <code>([a-z-]+)<\/code>/.exec(page.body)?.[1] ?? null;
}
