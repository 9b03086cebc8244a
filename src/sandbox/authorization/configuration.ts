/**
 * What oidc-provider is told: which scopes exist for whom, PKCE always, keys and lifetimes, introspection and rotation.
 *
 * `loadExistingGrant` never finds a former grant: each launch is judged anew. Source: oidc-provider 9 (docs), SMART App Launch 2.2.
 */
import type { Adapter, Client, Context } from 'oidc-provider';
import { errors, type Provider } from 'oidc-provider';
import { appScopes, identityScopes, systemScopes } from './scopes.ts';

export interface ProviderOptions {
  readonly fhirBase: string;
  /** Private JWK that signs id tokens. */
  readonly key: object;
  readonly adapter: (model: string) => Adapter;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** oidc-provider's own fetch refuses this machine's addresses; the sandbox knows no others. */
function fetchKeys(url: string, { method, headers, signal }: RequestInit): Promise<Response> {
  if (new URL(url).hostname !== '127.0.0.1') throw new Error(`keys are fetched from 127.0.0.1 only, found ${url}`);
  return fetch(url, { redirect: 'error', ...(method && { method }), ...(headers && { headers }), ...(signal && { signal }) });
}

export function providerConfiguration({ fhirBase, key, adapter }: ProviderOptions): Readonly<Record<string, unknown>> {
  const isService = (client: Client) => client.clientAuthMethod === 'private_key_jwt';
  return {
    adapter,
    jwks: { keys: [key] },
    // Without the system scopes, which an app would otherwise be asked to consent to for ever.
    scopes: [...identityScopes, ...appScopes],
    claims: { openid: ['sub'], fhirUser: ['fhirUser'] },
    conformIdTokenClaims: false,
    findAccount: (_context: Context, id: string) => ({
      accountId: id,
      claims: () => ({ sub: id, fhirUser: `${fhirBase}/${id}` }),
    }),
    loadExistingGrant: async (context: Context & { readonly oidc: { readonly provider: Provider } }) => {
      const grantId = context.oidc.result?.consent?.grantId;
      return grantId === undefined ? undefined : context.oidc.provider.Grant.find(grantId);
    },
    extraParams: {
      launch: null,
      aud: (_context: Context, value: unknown) => {
        if (value !== fhirBase) throw new errors.InvalidTarget(`aud: found ${String(value)}, expected ${fhirBase}`);
      },
    },
    pkce: { required: () => true },
    clientBasedCORS: () => false,
    rotateRefreshToken: true,
    issueRefreshToken: async (_context: Context, _client: Client, code: { readonly scopes: ReadonlySet<string> }) =>
      code.scopes.has('offline_access'),
    interactions: { url: (_context: Context, interaction: { readonly uid: string }) => `/interaction/${interaction.uid}` },
    cookies: {
      keys: ['wetread sandbox'],
      names: { session: 'sandbox_session', interaction: 'sandbox_interaction', resume: 'sandbox_resume' },
    },
    enabledJWA: { clientAuthSigningAlgValues: ['ES384', 'RS384'] },
    ttl: {
      AccessToken: 3600,
      ClientCredentials: 300,
      AuthorizationCode: 60,
      RefreshToken: 86_400,
      IdToken: 3600,
      Interaction: 600,
      Session: 3600,
      Grant: 86_400,
    },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true, allowedPolicy: () => true },
      introspection: { enabled: true, allowedPolicy: () => true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => fhirBase,
        useGrantedResource: () => true,
        getResourceServerInfo: (_context: Context, _resource: string, client: Client) => ({
          scope: (isService(client) ? systemScopes : [...identityScopes, ...appScopes]).join(' '),
          audience: fhirBase,
          accessTokenTTL: isService(client) ? 300 : 3600,
          accessTokenFormat: 'opaque',
        }),
      },
    },
    fetch: fetchKeys,
    renderError: (context: Context, out: Readonly<Record<string, unknown>>) => {
      context.type = 'html';
      context.body = `<!doctype html><title>Launch refused</title><p>${escaped(`${String(out.error)}: ${String(out.error_description ?? '')}`)}</p>`;
    },
  };
}
