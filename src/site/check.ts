/**
 * Reads from every connection of a site and says what it found, one line each. Nothing is written anywhere.
 *
 * The FHIR and DICOMweb clients come in as functions, opened from the same site by whoever wires; key sets and launch servers are asked
 * here. Lines carry no patient data: counts, versions and addresses only.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WetreadError } from '#domain/errors.ts';
import type { Uid } from '#domain/uid.ts';
import { openNeighbour } from '#net/neighbour.ts';
import type { Site } from './site.ts';

export interface Finding {
  /** What was asked: "FHIR metadata", "QIDO-RS", ... */
  readonly connection: string;
  readonly state: 'ok' | 'warning' | 'problem' | 'skipped';
  readonly found: string;
  /** What to do, null when nothing is. */
  readonly todo: string | null;
}

interface PatientHit {
  readonly identifier?: readonly { readonly system?: string | undefined }[] | undefined;
}

/** What of the open clients is used: #fhir/client.ts and #dicomweb/client.ts fit. */
export interface CheckPorts {
  readonly token: { readonly header: () => Promise<string> } | null;
  readonly fhir: {
    readonly metadata: () => Promise<{
      software: string | null;
      fhirVersion: string;
      transaction: boolean;
      search: ReadonlyMap<string, readonly string[]>;
    }>;
    readonly search: (
      type: 'Patient',
      params: readonly (readonly [string, string])[],
      options: { maxPages: number },
    ) => Promise<{ hits: readonly PatientHit[] }>;
  };
  readonly dicomweb: {
    readonly searchStudies: (query: { from: string; atMost: number }) => Promise<{
      found: readonly { uid: Uid; identity: { identifiers: readonly { system: string | null; value: string }[] } }[];
    }>;
    readonly searchSeries: (study: Uid) => Promise<{ found: readonly { uid: Uid }[] }>;
    readonly searchInstances: (study: Uid, series: Uid) => Promise<{ found: readonly { uid: Uid }[] }>;
    readonly readBack: (uids: { study: Uid; series: Uid; instance: Uid }) => Promise<Uint8Array>;
  };
}

/** Searches that wetread makes, by type: a server that lacks one answers less than there is. */
const searched = {
  Patient: ['identifier'],
  ImagingStudy: ['patient', 'identifier', 'basedon'],
  ServiceRequest: ['patient', 'identifier'],
  DiagnosticReport: ['patient', 'identifier', 'category', 'based-on'],
  Observation: ['patient', 'identifier', 'category'],
  Condition: ['patient', 'category', 'clinical-status'],
  MedicationRequest: ['patient', 'status'],
  AllergyIntolerance: ['patient'],
} as const;

type Said = Pick<Finding, 'state' | 'found'> & { readonly todo?: string };

async function finding(connection: string, ask: () => Promise<Said>): Promise<Finding> {
  try {
    const { todo = null, ...said } = await ask();
    return { connection, ...said, todo };
  } catch (error) {
    if (!(error instanceof WetreadError)) throw error;
    return { connection, state: 'problem', found: `${error.code}: ${error.message}`, todo: error.hint };
  }
}

async function metadata(ports: CheckPorts): Promise<Said> {
  const { software, fhirVersion, transaction, search } = await ports.fhir.metadata();
  const found = `${software ?? 'unnamed server'}, FHIR ${fhirVersion}, ${transaction ? 'transactions' : 'no transactions'}`;
  if (!/^4\.[03]/.test(fhirVersion)) return { state: 'problem', found, todo: 'wetread speaks FHIR R4: point fhir.base at an R4 endpoint' };
  const missing = Object.entries(searched).flatMap(([type, names]) => {
    const known = search.get(type);
    return known === undefined ? [type] : names.filter((name) => !known.includes(name)).map((name) => `${type}.${name}`);
  });
  if (missing.length === 0) return { state: 'ok', found };
  return {
    state: 'warning',
    found: `${found}; not searchable: ${missing.join(', ')}`,
    todo: 'what cannot be searched is missing from the evidence',
  };
}

async function patients(site: Site, ports: CheckPorts): Promise<Said> {
  const { hits } = await ports.fhir.search('Patient', [['_count', '1']], { maxPages: 1 });
  const systems = [...new Set(hits.flatMap((hit) => hit.identifier?.flatMap((one) => one.system ?? []) ?? []))];
  const found = `search works, identifier systems seen: ${systems.join(', ') || 'none'}`;
  const known = site.patients.issuers.map((one) => one.system);
  if (systems.length === 0 || systems.some((system) => known.includes(system))) return { state: 'ok', found };
  return { state: 'warning', found, todo: 'list the system that carries the PatientID in patients.issuers' };
}

interface PacsState {
  study: { uid: Uid; identifier: { system: string | null; value: string } | null } | null;
}

async function qido(ports: CheckPorts, pacs: PacsState): Promise<Said> {
  const { found } = await ports.dicomweb.searchStudies({ from: '1900-01-01', atMost: 5 });
  const [first] = found;
  if (first === undefined)
    return { state: 'warning', found: 'search works, no study with a date is there', todo: 'check that this account sees studies' };
  pacs.study = { uid: first.uid, identifier: first.identity.identifiers[0] ?? null };
  return { state: 'ok', found: `search works, ${found.length} studies read` };
}

async function wado(ports: CheckPorts, pacs: PacsState): Promise<Said> {
  const skipped: Said = { state: 'skipped', found: 'no instance to ask for' };
  if (pacs.study === null) return skipped;
  const study = pacs.study.uid;
  const [series] = (await ports.dicomweb.searchSeries(study)).found;
  const [instance] = series === undefined ? [] : (await ports.dicomweb.searchInstances(study, series.uid)).found;
  if (series === undefined || instance === undefined) return skipped;
  const bytes = await ports.dicomweb.readBack({ study, series: series.uid, instance: instance.uid });
  return { state: 'ok', found: `one instance of ${bytes.length} bytes as stored` };
}

/** Whether the PACS's patient can be found on the FHIR server by the site's mapping. */
async function sameNumbers(site: Site, ports: CheckPorts, pacs: PacsState): Promise<Said> {
  const identifier = pacs.study?.identifier ?? null;
  if (identifier === null) return { state: 'skipped', found: 'no PatientID to look up' };
  const { issuers } = site.patients;
  const system = issuers.find((one) => one.issuer === identifier.system)?.system;
  const issuer = identifier.system === null ? 'no issuer' : `issuer ${identifier.system}`;
  if (system === undefined) {
    return {
      state: 'warning',
      found: `a PatientID with ${issuer} maps to no FHIR system`,
      todo: 'set patients.defaultIssuer and patients.issuers',
    };
  }
  const { hits } = await ports.fhir.search('Patient', [['identifier', `${system}|${identifier.value}`]], { maxPages: 1 });
  if (hits.length === 1) return { state: 'ok', found: `the patient of one PACS study is found on the FHIR server by ${system}` };
  return { state: 'warning', found: `${hits.length} patients carry one PACS PatientID as ${system}`, todo: 'check patients.issuers' };
}

async function jsonAt(url: string): Promise<unknown> {
  const neighbour = openNeighbour({ name: 'server', origins: [url], maxBytes: 1024 * 1024, totalMs: 10_000 });
  try {
    const answer = await neighbour.fetch(url, { headers: { accept: 'application/json' } });
    const text = await answer.text();
    if (answer.status !== 200) throw new WetreadError('net-unreachable', `found status ${answer.status} at ${url}, expected 200`);
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new WetreadError('net-unreachable', `found no JSON at ${url}`, { cause: error });
    throw error;
  } finally {
    await neighbour.close();
  }
}

const keySet = z.looseObject({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional() })) });
const smart = z.looseObject({
  authorization_endpoint: z.string(),
  token_endpoint: z.string(),
  code_challenge_methods_supported: z.array(z.string()),
});

async function clientKeys(url: string): Promise<Said> {
  const keys = keySet.safeParse(await jsonAt(url));
  if (!keys.success)
    return { state: 'problem', found: `no JSON Web Key Set at ${url}`, todo: 'ask the EHR for the address of its key set' };
  return { state: 'ok', found: `${keys.data.keys.length} keys at ${url}` };
}

async function launchServer(issuer: string): Promise<Said> {
  const url = `${issuer.replace(/\/+$/, '')}/.well-known/smart-configuration`;
  const parsed = smart.safeParse(await jsonAt(url));
  if (!parsed.success) return { state: 'problem', found: `no SMART configuration with PKCE at ${url}`, todo: 'check launch.issuers' };
  if (!parsed.data.code_challenge_methods_supported.includes('S256'))
    return { state: 'problem', found: 'PKCE without S256', todo: 'the server must support S256' };
  return { state: 'ok', found: `SMART launch with PKCE at ${issuer}` };
}

/** One finding per connection, in a fixed order; what is refused or unreachable is a finding, never a thrown error. */
export async function checkSite(site: Site, ports: CheckPorts): Promise<readonly Finding[]> {
  const pacs: PacsState = { study: null };
  const findings: Finding[] = site.warnings.map((one) => ({ connection: 'site file', state: 'warning', found: one.message, todo: null }));
  const add = async (connection: string, ask: () => Promise<Said>): Promise<void> => void findings.push(await finding(connection, ask));
  const { token } = ports;
  if (token !== null) {
    await add('token endpoint', async () => {
      await token.header();
      return { state: 'ok', found: 'a token was granted' };
    });
  }
  await add('FHIR metadata', () => metadata(ports));
  await add('FHIR search', () => patients(site, ports));
  await add('QIDO-RS', () => qido(ports, pacs));
  await add('WADO-RS', () => wado(ports, pacs));
  await add('STOW-RS', async () => ({ state: 'skipped', found: 'not tried: it would write' }));
  await add('identifiers', () => sameNumbers(site, ports, pacs));
  for (const { jwksUrl } of site.hooks.clients) if (jwksUrl !== undefined) await add('EHR keys', () => clientKeys(jwksUrl));
  for (const issuer of site.launch?.issuers ?? []) await add('SMART launch', () => launchServer(issuer));
  for (const { path } of site.bundles) {
    const here = existsSync(join(path, 'bundle.json'));
    const said: Said = here
      ? { state: 'ok', found: path }
      : { state: 'problem', found: `no bundle.json in ${path}`, todo: 'wetread models import' };
    await add('bundle', async () => said);
  }
  return findings;
}

/** One line each, as `wetread site check` prints them. */
export function checkText(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map((one) => one.connection.length));
  return findings
    .map(
      ({ connection, state, found, todo }) =>
        `${state.padEnd(7)}  ${connection.padEnd(width)}  ${found}${todo === null ? '' : ` -> ${todo}`}`,
    )
    .join('\n');
}
