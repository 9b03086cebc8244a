/**
 * `{iss}/.well-known/smart-configuration` of an EHR (SMART App Launch 2.2, Conformance).
 *
 * Relative endpoints of old servers are resolved against the FHIR base. Without S256 there is no launch. Read again after five minutes.
 */
import type { AuthorizationServer } from 'oauth4webapi';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import { namedEndpoint } from '#net/token.ts';

const configuration = z.looseObject({
  authorization_endpoint: z.string().min(1),
  token_endpoint: z.string().min(1),
  issuer: z.url().optional(),
  jwks_uri: z.string().min(1).optional(),
  capabilities: z.array(z.string()).optional(),
  code_challenge_methods_supported: z.array(z.string()).optional(),
  id_token_signing_alg_values_supported: z.array(z.string()).optional(),
  authorization_response_iss_parameter_supported: z.boolean().optional(),
});

export interface SmartServer {
  /** As oauth4webapi takes it; `issuer` is synthetic where the server names none. */
  readonly metadata: AuthorizationServer & { readonly authorization_endpoint: string };
  /** False = no id_token is accepted and no fhirUser is known. */
  readonly openId: boolean;
}

export type ReadJson = (url: string) => Promise<unknown>;

const freshMs = 5 * 60_000;

/** Reads a server's configuration, at most once in five minutes. @throws launch-refused; what `readJson` throws */
export function smartDiscovery(readJson: ReadJson, now: () => Date): (fhirBase: string) => Promise<SmartServer> {
  const cache = new Map<string, { readonly at: number; readonly server: SmartServer }>();
  return async (fhirBase) => {
    const cached = cache.get(fhirBase);
    if (cached !== undefined && now().getTime() - cached.at < freshMs) return cached.server;
    const server = serverOf(await readJson(`${fhirBase}/.well-known/smart-configuration`), fhirBase);
    cache.set(fhirBase, { at: now().getTime(), server });
    return server;
  };
}

function serverOf(document: unknown, fhirBase: string): SmartServer {
  const result = configuration.safeParse(document);
  if (!result.success) {
    const [issue] = result.error.issues;
    throw new WetreadError(
      'launch-refused',
      `the EHR's smart-configuration: ${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'not as expected'}`,
    );
  }
  const found = result.data;
  if (!found.code_challenge_methods_supported?.includes('S256')) {
    throw new WetreadError('launch-refused', 'the EHR does not announce PKCE with S256', {
      hint: 'SMART App Launch 2 asks for it on every server',
    });
  }
  const absolute = (text: string): string => {
    const url = namedEndpoint(fhirBase, text);
    if (url === null)
      throw new WetreadError('launch-refused', "the EHR's smart-configuration names an endpoint that is not as safe as its FHIR base");
    return url.href;
  };
  const tokenEndpoint = absolute(found.token_endpoint);
  const openId = found.issuer !== undefined && found.jwks_uri !== undefined;
  return {
    openId,
    metadata: {
      issuer: found.issuer ?? new URL(tokenEndpoint).origin,
      authorization_endpoint: absolute(found.authorization_endpoint),
      token_endpoint: tokenEndpoint,
      ...(found.jwks_uri === undefined ? {} : { jwks_uri: absolute(found.jwks_uri) }),
      ...(found.issuer === undefined || found.authorization_response_iss_parameter_supported === undefined
        ? {}
        : { authorization_response_iss_parameter_supported: found.authorization_response_iss_parameter_supported }),
      id_token_signing_alg_values_supported: found.id_token_signing_alg_values_supported ?? ['RS256'],
    },
  };
}
