/**
 * The sandbox's SMART authorization server: oidc-provider with the launch context that SMART adds to it.
 *
 * There is no login page: whoever opens a launch is the user whom the EHR named when it made the launch. Every authorization gets its own
 * grant, so that two launches in one browser never share a patient.
 * Source: SMART App Launch 2.2 (app-launch, backend-services, token-introspection); oidc-provider 9.
 */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import { type Context, type Payload, Provider } from 'oidc-provider';
import type { Grant } from '../fhir/access.ts';
import { providerConfiguration } from './configuration.ts';
import { memoryAdapters } from './memory.ts';
import { appScopes, identityScopes } from './scopes.ts';
import { smartConfiguration } from './smart-configuration.ts';
import { noSwitches, type Switches } from './switches.ts';

/** What the EHR had on its screen when it launched the app. */
interface Launch {
  /** Logical ids on the FHIR server. */
  readonly patient: string;
  readonly encounter: string | null;
  /** Opaque value that a card's link carries. */
  readonly appContext: string | null;
  /** `Practitioner/x`: who sits there. */
  readonly user: string;
}

interface App {
  readonly clientId: string;
  readonly redirectUris: readonly string[];
}

interface Service {
  readonly clientId: string;
  /** Public keys, ES384 or RS384; by URL they are fetched when an assertion names an unknown one. */
  readonly keys: { readonly jwksUri: string } | { readonly jwks: { readonly keys: readonly object[] } };
}

export interface Authorization {
  readonly listener: RequestListener;
  /** The document under `{fhir}/.well-known/smart-configuration`, as the switches are at this moment. */
  smartConfiguration(): object;
  /** Value of `launch` for the app's launch URL; valid for an hour. */
  createLaunch(launch: Launch): string;
  registerApp(app: App): void;
  registerService(service: Service): void;
  /** null = unknown or expired. */
  introspect(token: string): Promise<Grant | null>;
  readonly switches: Switches;
}

interface AuthorizationOptions {
  /** Origin under which `listener` is reached. */
  readonly issuer: string;
  readonly fhirBase: string;
  readonly now: () => Date;
}

const launchLifetimeMs = 3_600_000;

/** Members of a token answer beside those of OAuth. */
function contextMembers(launch: Launch, switches: Switches): Record<string, unknown> {
  return {
    patient: switches.otherPatient ?? launch.patient,
    ...(launch.encounter === null ? {} : { encounter: launch.encounter }),
    ...(launch.appContext === null ? {} : { appContext: launch.appContext }),
    need_patient_banner: true,
  };
}

/** Every authorization starts without the session of a former one: its user and patient are the launch's, not the browser's. */
function withoutSession(request: IncomingMessage): void {
  const cookie = request.headers.cookie;
  if (cookie === undefined || !request.url?.startsWith('/auth')) return;
  const kept = cookie.split(/; */).filter((one) => !one.startsWith('sandbox_session'));
  request.headers.cookie = kept.join('; ');
}

/** oidc-provider drops offline_access unless prompt=consent is said, which SMART apps do not. */
function withConsentPrompt(request: IncomingMessage): void {
  const url = new URL(request.url ?? '/', 'http://localhost');
  if (url.pathname !== '/auth' || url.searchParams.has('prompt')) return;
  if (!(url.searchParams.get('scope') ?? '').split(' ').includes('offline_access')) return;
  url.searchParams.set('prompt', 'consent');
  request.url = `${url.pathname}${url.search}`;
}

export async function openAuthorization({ issuer, fhirBase, now }: AuthorizationOptions): Promise<Authorization> {
  const nowMs = () => now().getTime();
  const switches = { ...noSwitches };
  const launches = new Map<string, { readonly launch: Launch; readonly expiresMs: number }>();
  const contexts = new Map<string, { readonly launch: Launch; readonly scope: string }>();
  const clients = new Map<string, Payload>();
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const key = { ...(await exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'sandbox' };
  const configuration = providerConfiguration({ fhirBase, key, adapter: memoryAdapters(nowMs, clients) });
  const provider = new Provider(issuer, configuration);
  provider.on('server_error', (_context, error) => process.stderr.write(`sandbox authorization: ${error.stack ?? error.message}\n`));

  async function addContext(context: Context, next: () => Promise<void>): Promise<void> {
    await next();
    const { route, entities } = context.oidc ?? {};
    const answer = context.body;
    if (typeof answer !== 'object' || answer === null) return;
    const found = contexts.get(entities?.AccessToken?.grantId ?? '');
    if (route === 'introspection' && found !== undefined && 'active' in answer && answer.active === true) {
      context.body = { ...answer, ...contextMembers(found.launch, switches), fhirUser: `${fhirBase}/${found.launch.user}` };
    }
    if (route !== 'token' || !('access_token' in answer)) return;
    const members = found === undefined ? {} : { ...contextMembers(found.launch, switches), scope: found.scope };
    const { expires_in, ...rest }: Record<string, unknown> = { ...answer, ...members };
    context.body = switches.noExpiresIn ? rest : { expires_in, ...rest };
  }
  provider.use(addContext);

  async function interact(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { params } = await provider.interactionDetails(request, response);
    const finish = (result: Record<string, unknown>) =>
      provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
    const found = launches.get(String(params.launch ?? ''));
    if (switches.error !== null) return finish({ error: switches.error, error_description: 'asked for by a switch of the sandbox' });
    if (found === undefined || found.expiresMs <= nowMs()) {
      return finish({ error: 'invalid_request', error_description: 'launch is absent, unknown or expired; open the app from the EHR' });
    }
    const asked = String(params.scope ?? '').split(' ');
    const identity = asked.filter((one) => (identityScopes as readonly string[]).includes(one));
    const resource = asked.filter((one) => appScopes.includes(one));
    const grant = new provider.Grant({ accountId: found.launch.user, clientId: String(params.client_id) });
    grant.addOIDCScope([...identity, ...resource].join(' '));
    grant.addResourceScope(fhirBase, [...identity, ...resource].join(' '));
    const grantId = await grant.save();
    contexts.set(grantId, { launch: found.launch, scope: [...identity, ...resource].join(' ') });
    await finish({ login: { accountId: found.launch.user }, consent: { grantId } });
  }

  const callback = provider.callback();
  const listener: RequestListener = (request, response) => {
    withoutSession(request);
    withConsentPrompt(request);
    if (!request.url?.startsWith('/interaction/')) return callback(request, response);
    interact(request, response).catch((error: unknown) => {
      if (!response.headersSent) response.writeHead(400, { 'Content-Type': 'text/plain' });
      response.end(`The launch cannot go on: ${error instanceof Error ? error.message : String(error)}\n`);
    });
  };

  return {
    listener,
    switches,
    smartConfiguration: () => smartConfiguration(issuer, switches),
    createLaunch(launch) {
      const id = randomBytes(24).toString('base64url');
      launches.set(id, { launch, expiresMs: nowMs() + launchLifetimeMs });
      for (const [old, { expiresMs }] of launches) if (expiresMs <= nowMs()) launches.delete(old);
      return id;
    },
    registerApp({ clientId, redirectUris }) {
      clients.set(clientId, {
        client_id: clientId,
        redirect_uris: redirectUris,
        response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token'],
        token_endpoint_auth_method: 'none',
        application_type: 'native',
      });
    },
    registerService({ clientId, keys }) {
      clients.set(clientId, {
        client_id: clientId,
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        ...('jwks' in keys ? { jwks: keys.jwks } : { jwks_uri: keys.jwksUri }),
      });
    },
    async introspect(text) {
      const token = (await provider.AccessToken.find(text)) ?? (await provider.ClientCredentials.find(text));
      if (token === undefined || token.isExpired) return null;
      const found = contexts.get(token.grantId ?? '');
      return { scope: token.scope ?? '', patient: found === undefined ? null : (switches.otherPatient ?? found.launch.patient) };
    },
  };
}
