/**
 * From the callback's code to a launch context (SMART App Launch 2.2, steps 4 and 5), by oauth4webapi with our fetch.
 *
 * The id_token's signature is checked with the server's keys, which the library leaves out unless asked. The keys are fetched for every
 * launch: the library keeps them with the metadata object and would not look for a new key within a minute of the last fetch.
 */
import * as oauth from 'oauth4webapi';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { SmartServer } from './discovery.ts';
import type { PendingLaunch } from './sessions.ts';

export interface TokenRequest {
  readonly server: SmartServer;
  readonly launch: PendingLaunch;
  readonly clientId: string;
  readonly redirectUri: string;
  readonly callback: URL;
  readonly state: string;
  /** Fetch under the policy; only the authorization server's origins can be reached by it. */
  readonly fetch: (
    url: string,
    init: oauth.CustomFetchOptions<string, oauth.CustomFetchOptions<'POST' | 'GET', unknown>['body']>,
  ) => Promise<Response>;
}

export interface LaunchContext {
  readonly patient: string;
  readonly appContext: string;
  readonly user: string | null;
}

/** Members beyond OAuth that SMART and CDS Hooks put into the token answer. */
const extras = z.looseObject({ patient: z.string().min(1).optional(), appContext: z.string().min(1).optional() });

const refused = (message: string, cause?: unknown) =>
  new WetreadError('launch-refused', message, { hint: 'open the link on the card again', ...(cause === undefined ? {} : { cause }) });

/** Loopback without TLS is the sandbox; anything else must be https (oauth4webapi refuses plain http unless told). */
function insecureAllowed(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && (hostname === '127.0.0.1' || hostname === 'localhost' || hostname === '[::1]');
}

/** @throws launch-refused when the authorization server refused, the answer is no bearer token, or the context is not complete */
export async function redeemCode(request: TokenRequest): Promise<LaunchContext> {
  const { openId } = request.server;
  const metadata = { ...request.server.metadata };
  const client: oauth.Client = { client_id: request.clientId, [oauth.clockTolerance]: 60 };
  const options = {
    [oauth.customFetch]: request.fetch as never, // the library types its own fetch narrower than the policy's; the call is the same
    [oauth.allowInsecureRequests]: insecureAllowed(metadata.token_endpoint ?? ''),
  };
  try {
    const parameters = oauth.validateAuthResponse(metadata, client, request.callback, request.state);
    const response = await oauth.authorizationCodeGrantRequest(
      metadata,
      client,
      oauth.None(),
      parameters,
      request.redirectUri,
      request.launch.codeVerifier,
      options,
    );
    const answer = await oauth.processAuthorizationCodeResponse(
      metadata,
      client,
      response,
      openId ? { expectedNonce: request.launch.nonce } : {},
    );
    // The library takes DPoP too; nobody asked for it, and SMART fixes the value to Bearer.
    if (answer.token_type !== 'bearer') throw refused(`the EHR gave a token of type ${answer.token_type}, expected bearer`);
    const claims = openId ? oauth.getValidatedIdTokenClaims(answer) : undefined;
    if (claims !== undefined) await oauth.validateApplicationLevelSignature(metadata, response, options);
    return contextOf(answer, claims);
  } catch (cause) {
    if (cause instanceof WetreadError) throw cause;
    if (cause instanceof oauth.AuthorizationResponseError)
      throw refused(`the EHR answered ${cause.error}: ${cause.error_description ?? 'no description'}`, cause);
    if (cause instanceof oauth.ResponseBodyError) throw refused(`the EHR's token endpoint answered ${cause.error}`, cause);
    throw refused('the answer of the EHR does not hold', cause);
  }
}

function contextOf(answer: oauth.TokenEndpointResponse, claims: oauth.IDToken | undefined): LaunchContext {
  const { patient, appContext } = extras.parse(answer);
  if (patient === undefined) throw refused('the launch names no patient');
  if (appContext === undefined) throw refused('the launch carries no appContext, so no draft is named');
  // OpenID Connect Core 2: sub has at most 255 characters.
  if (claims !== undefined && claims.sub.length > 255) throw refused("the EHR's id_token has a subject of more than 255 characters");
  const user = claims?.fhirUser;
  return { patient, appContext, user: typeof user === 'string' ? user : null };
}
