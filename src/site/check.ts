/**
 * Reads from every connection of a site and says what it found, one line each. Nothing is written anywhere but, where it is allowed, one
 * small object of nobody to the PACS.
 *
 * The FHIR and DICOMweb clients come in as functions, opened from the same site by whoever wires; key sets and launch servers are asked
 * here. Lines carry no patient data: counts, versions and addresses only.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Warning } from '#domain/errors.ts';
import type { Uid } from '#domain/uid.ts';
import type { Token } from '#net/token.ts';
import { ignoredByFhir, ignoredByPacs, type SearchedType, searched } from './ignored.ts';
import { clientKeys } from './key-set.ts';
import { clockOf, type Finding, finding, jsonAt, type Said } from './probe.ts';
import { scopesSaid } from './scopes.ts';
import type { Site } from './site.ts';

interface PatientHit {
  readonly identifier?: readonly { readonly system?: string | undefined }[] | undefined;
}

type Search<Type, Hit> = (
  type: Type,
  params: readonly (readonly [string, string])[],
  options: { maxPages: number },
) => Promise<{ readonly hits: readonly Hit[]; readonly warnings: readonly Warning[] }>;

interface StudyKeys {
  readonly from?: string;
  readonly studyUid?: Uid;
  readonly patientId?: string;
  readonly accession?: string;
}

/** What of the open clients is used: #fhir/client.ts and #dicomweb/client.ts fit. */
export interface CheckPorts {
  readonly token: Pick<Token, 'header' | 'grant'> | null;
  readonly fhir: {
    readonly metadata: () => Promise<{
      software: string | null;
      fhirVersion: string;
      transaction: boolean;
      search: ReadonlyMap<string, readonly string[]>;
    }>;
    readonly search: Search<'Patient', PatientHit> & Search<SearchedType, object>;
  };
  readonly dicomweb: {
    readonly searchStudies: (query: StudyKeys & { readonly atMost: number }) => Promise<{
      found: readonly { uid: Uid; identity: { identifiers: readonly { system: string | null; value: string }[] } }[];
    }>;
    readonly searchSeries: (study: Uid) => Promise<{ found: readonly { uid: Uid }[] }>;
    readonly searchInstances: (study: Uid, series: Uid) => Promise<{ found: readonly { uid: Uid }[] }>;
    readonly readBack: (uids: { study: Uid; series: Uid; instance: Uid }) => Promise<Uint8Array>;
    readonly store: (bytes: Uint8Array) => Promise<{ equal: 'bytes' | 'data-set'; warnings: readonly Warning[] }>;
  };
  /** What may be stored to try it out; null = nothing may be written. */
  readonly testStudy: { readonly study: Uid; readonly patientId: string; readonly bytes: Uint8Array } | null;
  readonly now: () => Date;
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

/** Whether a search goes on to its second page. */
async function paging(ports: CheckPorts): Promise<Said> {
  const { hits, warnings } = await ports.fhir.search('Patient', [['_count', '1']], { maxPages: 2 });
  const broken = warnings.find(({ code, message }) => code === 'fhir-incomplete' && !message.includes('more than'));
  if (broken !== undefined)
    return {
      state: 'problem',
      found: broken.message,
      todo: "correct the server's own address in its configuration: its links must lead to fhir.base",
    };
  if (hits.length < 2) return { state: 'skipped', found: 'fewer than two patients: there is no second page' };
  return { state: 'ok', found: 'the second page of a search is another one' };
}

/** A small object of nobody, stored and read back. */
async function stow({ testStudy, dicomweb }: CheckPorts): Promise<Said> {
  if (testStudy === null) return { state: 'skipped', found: 'not tried: it would write; allow it with --write' };
  const { equal, warnings } = await dicomweb.store(testStudy.bytes);
  const said = equal === 'bytes' ? 'byte for byte' : 'the same data set, with another preamble or file meta';
  const found = `stored and read back, ${said}; study ${testStudy.study} of PatientID ${testStudy.patientId} stays behind`;
  const told = warnings.map(({ message }) => message).join('; ');
  return {
    state: told === '' ? 'ok' : 'warning',
    found: told === '' ? found : `${found}; ${told}`,
    todo: 'delete that study in the PACS when you are done',
  };
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

const smart = z.looseObject({
  authorization_endpoint: z.string(),
  token_endpoint: z.string(),
  code_challenge_methods_supported: z.array(z.string()),
});

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
    await add('scopes', async () => {
      const grant = token.grant?.() ?? null;
      return grant === null ? { state: 'skipped', found: 'no token, no scopes' } : scopesSaid(grant.scopes, site.writer);
    });
  }
  await add('FHIR metadata', () => metadata(ports));
  await add('FHIR search', () => patients(site, ports));
  await add('FHIR paging', () => paging(ports));
  await add('FHIR ignores', () => ignoredByFhir(ports));
  await add('QIDO-RS', () => qido(ports, pacs));
  await add('QIDO ignores', () => ignoredByPacs(ports));
  await add('WADO-RS', () => wado(ports, pacs));
  await add('STOW-RS', () => stow(ports));
  await add('identifiers', () => sameNumbers(site, ports, pacs));
  const tokenUrl = token?.grant?.()?.tokenUrl;
  await add('clock of FHIR', () => clockOf(site.fhir.base, site.fhir.ca, ports.now));
  await add('clock of PACS', () => clockOf(site.dicomweb.roots.qido, site.dicomweb.ca, ports.now));
  if (tokenUrl !== undefined) await add('clock of tokens', () => clockOf(tokenUrl, site.fhir.ca, ports.now));
  for (const { jwksUrl, jku, algorithms } of site.hooks.clients)
    for (const url of new Set([...(jwksUrl === undefined ? [] : [jwksUrl]), ...jku]))
      await add('EHR keys', () => clientKeys(url, algorithms));
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
