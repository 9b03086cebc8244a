/**
 * Rules between keys of the site file: what is refused, and what is allowed but said at every start.
 *
 * A production site may not be open by accident; what is only unwise is a warning.
 */
import type { Warning } from '#domain/errors.ts';
import type { SiteFile } from './schema.ts';

/** The CDS Hooks public sandbox: its private key is public, so anyone can sign as it. */
const publicSandbox = 'https://sandbox.cds-hooks.org';

function isLoopback(url: string): boolean {
  const { hostname } = new URL(url);
  return hostname === 'localhost' || hostname === '[::1]' || /^127\./.test(hostname);
}

function isPlain(url: string): boolean {
  return new URL(url).protocol === 'http:' && !isLoopback(url);
}

function credentialProblems(site: SiteFile): string[] {
  const { fhir, dicomweb } = site;
  const roots = [dicomweb.root, dicomweb.qidoRoot, dicomweb.wadoRoot, dicomweb.stowRoot].filter((root) => root !== undefined);
  const problems: string[] = [];
  const hint = 'expected https, or allowPlainHttp: true';
  if (fhir.auth.kind !== 'none' && !fhir.allowPlainHttp && isPlain(fhir.base))
    problems.push(`fhir.base: found http with a credential, ${hint}`);
  if (dicomweb.auth.kind !== 'none' && !dicomweb.allowPlainHttp && roots.some(isPlain)) {
    problems.push(`dicomweb.root: found http with a credential, ${hint}`);
  }
  if (dicomweb.auth.kind !== 'none' && new Set(roots.map((root) => new URL(root).origin)).size > 1) {
    problems.push('dicomweb: found roots on several origins with one credential, expected one origin: a credential belongs to one origin');
  }
  if (dicomweb.auth.kind === 'backend' && dicomweb.auth.tokenUrl === undefined) {
    problems.push('dicomweb.auth.tokenUrl: found nothing, expected a URL: a DICOMweb root has no smart-configuration');
  }
  for (const [key, auth] of [['fhir', fhir.auth] as const, ['dicomweb', dicomweb.auth] as const]) {
    if (auth.kind === 'backend' && auth.tokenUrl !== undefined && isPlain(auth.tokenUrl))
      problems.push(`${key}.auth.tokenUrl: found http, expected https`);
  }
  return problems;
}

function clientProblems(site: SiteFile): string[] {
  const problems: string[] = [];
  site.hooks.clients.forEach((client, index) => {
    const key = `hooks.clients.${index}`;
    if (client.jwksUrl === undefined && client.jku.length === 0)
      problems.push(`${key}: found neither jwksUrl nor jku, expected where its keys are`);
    if (site.environment === 'production' && client.issuer === publicSandbox) {
      problems.push(`${key}.issuer: found ${publicSandbox}, whose private key is public, expected another in production`);
    }
  });
  const issuers = site.hooks.clients.map((client) => client.issuer);
  const twice = issuers.find((issuer, index) => issuers.indexOf(issuer) !== index);
  if (twice !== undefined) problems.push(`hooks.clients: found issuer ${JSON.stringify(twice)} twice, expected one entry each`);
  return problems;
}

function patientProblems(site: SiteFile): string[] {
  const { issuers } = site.patients;
  return (['issuer', 'system'] as const).flatMap((name) => {
    const values = issuers.map((one) => one[name]);
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    return twice === undefined ? [] : [`patients.issuers: found ${name} ${JSON.stringify(twice)} twice, expected a one-to-one list`];
  });
}

/** Each as "path: found, expected"; empty = allowed. */
export function ruleProblems(site: SiteFile): readonly string[] {
  const problems = [...credentialProblems(site), ...clientProblems(site), ...patientProblems(site)];
  if (site.hooks.requireJwt && site.hooks.clients.length === 0 && !site.hooks.allowAnonymousLoopback) {
    problems.push('hooks.clients: found none, expected at least one EHR, or requireJwt: false');
  }
  if (site.environment !== 'production') return problems;
  if (site.hooks.allowAnonymousLoopback) problems.push('hooks.allowAnonymousLoopback: found true, expected false in production');
  if (isPlain(site.service.publicUrl)) problems.push('service.publicUrl: found http, expected https in production');
  if (site.launch?.issuers.some(isPlain) === true) problems.push('launch.issuers: found http, expected https in production');
  return problems;
}

/** What is allowed and should be known. */
export function ruleWarnings(site: SiteFile): readonly Warning[] {
  const warnings: Warning[] = [];
  const say = (code: string, message: string): void => void warnings.push({ code, message });
  if (site.fhir.allowPlainHttp || site.dicomweb.allowPlainHttp) say('site-plain-http', 'a credential travels unencrypted (allowPlainHttp)');
  if (site.environment !== 'production') return warnings;
  if (site.store.kind === 'embedded')
    say('site-embedded-store', 'store.kind is embedded in production: it does not survive a power failure, use postgresql');
  if (!site.hooks.requireJwt) say('site-anonymous-hooks', 'hooks.requireJwt is false: anyone who reaches this service can ask for cards');
  if (site.fhir.auth.kind === 'none') say('site-fhir-open', 'fhir.auth is none: the FHIR server is read and written without a credential');
  if (site.dicomweb.auth.kind === 'none') say('site-pacs-open', 'dicomweb.auth is none: the PACS is read and written without a credential');
  return warnings;
}
