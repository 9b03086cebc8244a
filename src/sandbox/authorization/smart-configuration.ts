/** The discovery document of SMART (SMART App Launch 2.2, conformance), served under the FHIR base. */
import type { Switches } from './switches.ts';

const capabilities = [
  'launch-ehr',
  'client-public',
  'client-confidential-asymmetric',
  'sso-openid-connect',
  'context-passthrough-banner',
  'context-ehr-patient',
  'context-ehr-encounter',
  'permission-offline',
  'permission-patient',
  'permission-user',
  'permission-v1',
  'permission-v2',
];

export function smartConfiguration(issuer: string, switches: Switches): object {
  const at = (path: string) => (switches.relativeUrls ? issuer.replace(/^https?:/, '') : issuer) + path;
  return {
    issuer,
    jwks_uri: at('/jwks'),
    authorization_endpoint: at('/auth'),
    token_endpoint: at('/token'),
    introspection_endpoint: at('/token/introspection'),
    revocation_endpoint: at('/token/revocation'),
    grant_types_supported: ['authorization_code', 'refresh_token', 'client_credentials'],
    response_types_supported: ['code'],
    scopes_supported: ['openid', 'fhirUser', 'launch', 'offline_access', 'patient/*.cruds', 'user/*.cruds', 'system/*.cruds'],
    token_endpoint_auth_methods_supported: ['none', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: ['ES384', 'RS384'],
    code_challenge_methods_supported: switches.noS256 ? ['plain'] : ['S256'],
    capabilities,
  };
}
