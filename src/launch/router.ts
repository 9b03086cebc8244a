/**
 * SMART EHR launch from a card's link to the review page, as a public client (authorization code, PKCE S256).
 *
 * The issuer is compared with the site's list before any network call. The token's patient must be the draft's, or nothing is shown.
 * Source: SMART App Launch 2.2; rows S01 to S29 of test/launch.
 */
import { randomBytes } from 'node:crypto';
import { type Response as Answer, type ErrorRequestHandler, type Request, Router } from 'express';
import * as oauth from 'oauth4webapi';
import type { Logger } from 'pino';
import { codeOf, statusOf, WetreadError } from '#domain/errors.ts';
import { cookieOf, setCookie } from './cookies.ts';
import { type ReadJson, smartDiscovery } from './discovery.ts';
import { sendRefusal } from './refusal-page.ts';
import type { Sessions } from './sessions.ts';
import { redeemCode, type TokenRequest } from './token.ts';

export interface LaunchOptions {
  readonly publicUrl: string;
  readonly clientId: string;
  readonly scope: string;
  /** FHIR bases whose launches are accepted, without trailing slash. */
  readonly issuers: readonly string[];
  readonly sessions: Sessions;
  readonly readJson: ReadJson;
  readonly fetch: TokenRequest['fetch'];
  /** Draft and patient of an appContext; null = unknown, changed or expired. */
  readonly resolveContext: (token: string) => Promise<{ readonly draftKey: string; readonly patientId: string } | null>;
  readonly onRefused: (detail: { readonly draftKey: string; readonly user: string | null }) => Promise<void>;
  readonly now: () => Date;
  readonly log: Logger;
}

const browserCookie = 'wetread-launch';

const refused = (message: string) => new WetreadError('launch-refused', message, { hint: 'open the link on the card again' });

/** One value of a query parameter; a doubled one is refused, since two readers could take different ones. */
function single(request: Request, name: string): string | null {
  const value = request.query[name];
  if (value === undefined) return null;
  if (typeof value === 'string') return value;
  throw refused(`the parameter ${name} is given more than once`);
}

export function createLaunchRouter(options: LaunchOptions): Router {
  const router = Router();
  const discover = smartDiscovery(options.readJson, options.now);
  const redirectUri = `${options.publicUrl}/launch/callback`;
  const secure = options.publicUrl.startsWith('https:');

  router.get('/launch', async (request, response) => {
    const issuer = single(request, 'iss');
    const launch = single(request, 'launch');
    if (issuer === null || launch === null) throw refused('a launch needs iss and launch');
    const base = issuer.replace(/\/$/, '');
    if (!options.issuers.includes(base)) throw refused('this EHR is not one that the site accepts launches from');
    const { metadata } = await discover(base);
    const browser = cookieOf(request, browserCookie) ?? randomBytes(32).toString('base64url');
    const codeVerifier = oauth.generateRandomCodeVerifier();
    const nonce = oauth.generateRandomNonce();
    const state = options.sessions.begin({ issuer: base, codeVerifier, nonce, browser });
    const target = new URL(metadata.authorization_endpoint);
    const parameters = {
      response_type: 'code',
      client_id: options.clientId,
      redirect_uri: redirectUri,
      scope: options.scope,
      state,
      nonce,
      aud: issuer,
      launch,
      code_challenge: await oauth.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    };
    for (const [name, value] of Object.entries(parameters)) target.searchParams.set(name, value);
    setCookie(response, { name: browserCookie, value: browser, path: '/launch', secure });
    response.redirect(302, target.href);
  });

  router.get('/launch/callback', async (request, response) => {
    const state = single(request, 'state');
    const browser = cookieOf(request, browserCookie);
    const launch = state === null || browser === null ? null : options.sessions.take(state, browser);
    if (state === null || launch === null)
      throw refused('this answer belongs to no launch of this browser, or to one that is used or over');
    const context = await redeemCode({
      server: await discover(launch.issuer),
      launch,
      clientId: options.clientId,
      redirectUri,
      callback: new URL(request.originalUrl, options.publicUrl),
      state,
      fetch: options.fetch,
    });
    const draft = await options.resolveContext(context.appContext);
    if (draft === null) throw refused('the link of the card is unknown, changed or has expired');
    if (draft.patientId !== context.patient) {
      await options.onRefused({ draftKey: draft.draftKey, user: context.user });
      throw new WetreadError('launch-patient-mismatch', 'the EHR has another patient open than the one of this draft', {
        hint: 'open the right patient and use the link on the card again',
      });
    }
    const session = options.sessions.open({ draftKey: draft.draftKey, patientId: draft.patientId, user: context.user });
    const path = `/review/${session.id}/`;
    setCookie(response, { name: 'wetread-review', value: session.secret, path, secure });
    response.redirect(303, path);
  });

  router.use('/launch', refuse(options.log));
  return router;
}

/** The OAuth library's code of what did not hold: its messages and causes carry parts of answers, which no log may have. */
function reasonOf(error: unknown): string | null {
  const cause = error instanceof Error ? error.cause : null;
  return cause instanceof oauth.OperationProcessingError || cause instanceof oauth.UnsupportedOperationError ? (cause.code ?? null) : null;
}

function refuse(log: Logger): ErrorRequestHandler {
  return (error: unknown, _request, response: Answer, next) => {
    if (response.headersSent) {
      next(error);
      return;
    }
    const status = statusOf(error);
    if (status >= 500) log.error({ code: codeOf(error), err: error instanceof WetreadError ? undefined : error }, 'launch failed');
    else log.info({ code: codeOf(error), reason: reasonOf(error) }, 'launch refused');
    sendRefusal(response, error);
  };
}
