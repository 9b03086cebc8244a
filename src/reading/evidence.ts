/**
 * What gather asks for, read in this order: prefetch, the EHR's token, our own account.
 *
 * An EHR that tried and failed is not asked again with its own token. What could not be read is a warning, never an empty list in silence.
 * Source: CDS Hooks 2.0, Prefetch Template; the templates are those of cds-hooks/order-sign.json.
 */
import type { Dicomweb } from '#dicomweb/client.ts';
import { isSearchable } from '#dicomweb/query.ts';
import { codeOf, type Warning, WetreadError } from '#domain/errors.ts';
import type { Evidence } from '#domain/evidence.ts';
import type { Identity } from '#domain/patient.ts';
import { sameModality } from '#domain/relevance.ts';
import type { Study } from '#domain/study.ts';
import { isUid } from '#domain/uid.ts';
import type { SearchParams } from '#fhir/address.ts';
import type { FhirClient } from '#fhir/client.ts';
import { ownReference, withOwnReferences } from '#fhir/own-references.ts';
import { type Prefetched, prefetched } from '#fhir/prefetch.ts';
import type { ReadableType, Resource } from '#fhir/types.ts';
import type { GatherPorts, Read } from '#gather/gather.ts';

export interface Sources {
  readonly prefetch: Readonly<Record<string, unknown>> | null;
  /** The EHR's token, for this call only; null = none was given. */
  readonly request: FhirClient | null;
  /** Our own account; null = the site has none for this server. */
  readonly service: FhirClient | null;
  /** Addresses of the one FHIR server that all of this is about: an absolute reference to any other names nobody of ours. */
  readonly bases: readonly string[];
  readonly signal: AbortSignal;
}

interface Wanted {
  readonly key: string;
  readonly type: ReadableType;
  readonly params: (patientId: string) => SearchParams;
}

function radiologyReports(patientId: string, category: string): SearchParams {
  return [
    ['patient', patientId],
    ['category', category],
    ['_sort', '-date'],
    ['_count', '20'],
  ];
}

/** Keys of prefetch and the search of each; the same as the templates of discovery. */
export const wanted = {
  studies: {
    key: 'studies',
    type: 'ImagingStudy',
    params: (id) => [
      ['patient', id],
      ['_sort', '-started'],
      ['_count', '50'],
    ],
  },
  // Radiology is spelled two ways; comma lists are outside the prefetch subset, so there are two keys.
  reports: {
    key: 'reports',
    type: 'DiagnosticReport',
    params: (id) => radiologyReports(id, 'http://terminology.hl7.org/CodeSystem/v2-0074|RAD'),
  },
  reportsLoinc: { key: 'reportsLoinc', type: 'DiagnosticReport', params: (id) => radiologyReports(id, 'http://loinc.org|LP29684-5') },
  problems: {
    key: 'problems',
    type: 'Condition',
    params: (id) => [
      ['patient', id],
      ['category', 'problem-list-item'],
      ['clinical-status', 'active'],
    ],
  },
  allergies: { key: 'allergies', type: 'AllergyIntolerance', params: (id) => [['patient', id]] },
  medications: {
    key: 'medications',
    type: 'MedicationRequest',
    params: (id) => [
      ['patient', id],
      ['status', 'active'],
    ],
  },
  labs: {
    key: 'labs',
    type: 'Observation',
    params: (id) => [
      ['patient', id],
      ['category', 'laboratory'],
      ['_sort', '-date'],
      ['_count', '30'],
    ],
  },
  procedures: {
    key: 'procedures',
    type: 'Procedure',
    params: (id) => [
      ['patient', id],
      ['_sort', '-date'],
      ['_count', '30'],
    ],
  },
} as const satisfies Record<string, Wanted>;

/** The Patient of the context. @throws prefetch-missing when neither prefetch nor a server gives it; not-found */
export async function readPatient(sources: Sources, patientId: string): Promise<Resource> {
  const state = prefetched(sources.prefetch, 'patient', 'Patient', 'read');
  if (state.state === 'resource') {
    if (state.resource.id === patientId) return state.resource;
    throw new WetreadError('request-malformed', 'prefetch.patient: found another Patient than context.patientId');
  }
  const lanes = state.state === 'failed' ? [sources.service] : [sources.request, sources.service];
  for (const client of lanes) {
    if (client !== null) return client.read('Patient', patientId, { signal: sources.signal });
  }
  throw new WetreadError('prefetch-missing', 'the Patient is neither in prefetch nor can it be read', {
    hint: 'send prefetch.patient, or fhirServer with fhirAuthorization, or give the site its own FHIR account',
  });
}

/** A server that ignores the patient key must not bring another patient's history in. */
function isOf(hit: object, patientId: string, bases: readonly string[]): boolean {
  const owner = 'subject' in hit ? hit.subject : 'patient' in hit ? hit.patient : null;
  if (typeof owner !== 'object' || owner === null || !('reference' in owner) || typeof owner.reference !== 'string') return false;
  return ownReference(owner.reference, bases) === `Patient/${patientId}`;
}

async function searchWith(client: FhirClient, what: Wanted, patientId: string, { bases, signal }: Sources): Promise<Read> {
  const options = { signal, accept: (hit: object) => isOf(hit, patientId, bases) };
  const params = what.params(patientId);
  const refused: Warning[] = [];
  const found = await client.search(what.type, params, options).catch(async (error) => {
    if (codeOf(error) !== 'fhir-refused') throw error;
    // A parameter that the server does not know: whatever it would have left out, gather leaves out too.
    const message = `The server refused the search of ${what.type}; all of the patient's were asked for instead.`;
    refused.push({ code: 'fhir-refused', message });
    return client.search(
      what.type,
      params.filter(([name]) => name === 'patient' || name === '_count'),
      options,
    );
  });
  const incomplete = found.complete ? [] : [{ code: 'fhir-incomplete', message: `The search of ${what.type} was not read to its end.` }];
  return { resources: [...found.hits, ...found.included], warnings: [...refused, ...found.warnings, ...incomplete] };
}

/** Tries the lanes in turn; when none answers the reason is a warning. */
async function fromServers(clients: readonly (FhirClient | null)[], what: Wanted, patientId: string, sources: Sources): Promise<Read> {
  const failures: Warning[] = [];
  for (const client of clients) {
    if (client === null) continue;
    try {
      const read = await searchWith(client, what, patientId, sources);
      return { resources: read.resources, warnings: [...failures, ...read.warnings] };
    } catch (error) {
      if (sources.signal.aborted) throw error;
      failures.push({
        code: codeOf(error),
        message: `${what.type} could not be read: ${error instanceof Error ? error.message : 'unknown reason'}`,
      });
    }
  }
  if (failures.length === 0)
    failures.push({ code: 'not-read', message: `${what.type} was neither in prefetch nor could it be asked for.` });
  return { resources: [], warnings: failures };
}

async function readList(what: Wanted, patientId: string, sources: Sources): Promise<Read> {
  const state: Prefetched = prefetched(sources.prefetch, what.key, what.type, 'search');
  switch (state.state) {
    case 'empty':
      return { resources: [], warnings: [] };
    case 'list': {
      if (state.next === null) return { resources: state.resources, warnings: state.warnings };
      // More pages exist: the whole search is read from a server, since a client cannot be made to follow another's link.
      const whole = await fromServers([sources.request, sources.service], what, patientId, sources);
      const read = whole.resources.length >= state.resources.length ? whole.resources : state.resources;
      return { resources: read, warnings: [...state.warnings, ...whole.warnings] };
    }
    case 'failed': {
      const read = await fromServers([sources.service], what, patientId, sources);
      return { resources: read.resources, warnings: [state.warning, ...read.warnings] };
    }
    case 'malformed': {
      const read = await fromServers([sources.request, sources.service], what, patientId, sources);
      return { resources: read.resources, warnings: [state.warning, ...read.warnings] };
    }
    case 'resource':
    case 'absent':
      return fromServers([sources.request, sources.service], what, patientId, sources);
  }
}

export interface PatientRules {
  readonly defaultIssuer: string | null;
  readonly issuers: readonly { readonly issuer: string; readonly system: string }[];
}

/** Identifiers that the PACS may know: those of mapped systems; without a mapping, all. */
function pacsIdentifiers(identifiers: Identity['identifiers'], rules: PatientRules): Identity['identifiers'] {
  const systems = new Set(rules.issuers.map((row) => row.system));
  if (rules.defaultIssuer !== null) systems.add(rules.defaultIssuer);
  const mapped = identifiers.filter(({ system }) => system !== null && systems.has(system));
  return mapped.length > 0 ? mapped : identifiers;
}

const mostStudies = 40;

async function pacsStudies(pacs: Dicomweb, query: Parameters<GatherPorts['pacsStudies']>[0], rules: PatientRules, signal: AbortSignal) {
  const identifiers = pacsIdentifiers(query.identifiers, rules).map(({ value }) => value);
  const byId = identifiers.filter(isSearchable).map((patientId) => pacs.searchStudies({ patientId }, { signal }));
  const byAccession = query.accessions.filter(isSearchable).map((accession) => pacs.searchStudies({ accession }, { signal }));
  const searched = await Promise.all([...byId, ...byAccession]);
  const found = new Map(searched.flatMap(({ found: studies }) => studies).map((study) => [study.uid, study]));
  const missing = query.studyUids.filter((uid) => isUid(uid) && !found.has(uid));
  const named = await Promise.all(
    missing
      .filter(isUid)
      .slice(0, mostStudies)
      .map((uid) => pacs.describe(uid, 'series', { signal })),
  );
  const newest = [...found.values()].sort((a, b) => (b.date ?? '').localeCompare(a.date ?? '')).slice(0, mostStudies);
  const described = await Promise.all(newest.map((study) => pacs.describe(study.uid, 'series', { signal })));
  const all = [...described, ...named];
  const warnings = [...searched, ...all].flatMap((one) => one.warnings);
  if (![...identifiers, ...query.accessions].every(isSearchable)) {
    const message =
      'An identifier of the patient or the order has a character that the PACS cannot be searched for; studies may be missing.';
    warnings.push({ code: 'identifier-not-searched', message });
  }
  if (found.size > mostStudies) {
    warnings.push({
      code: 'studies-dropped',
      message: `The PACS has ${found.size} studies of this patient; the newest ${mostStudies} were looked at.`,
    });
  }
  return { studies: all.flatMap(({ study }) => study ?? []), warnings };
}

/** The ports of gather over one request's sources. */
export function gatherPorts(sources: Sources, pacs: Dicomweb, patientId: string, rules: PatientRules): GatherPorts {
  const history = [wanted.problems, wanted.allergies, wanted.medications, wanted.labs, wanted.procedures];
  const readOwn = async (what: Wanted): Promise<Read> => {
    const { resources, warnings } = await readList(what, patientId, sources);
    return { resources: resources.map((resource) => withOwnReferences(resource, sources.bases)), warnings };
  };
  return {
    imagingStudies: () => readOwn(wanted.studies),
    reports: async () => {
      const read = await Promise.all([wanted.reports, wanted.reportsLoinc].map(readOwn));
      const byId = new Map(
        read.flatMap(({ resources }) => resources).map((resource, index) => [idOf(resource) ?? `without id ${index}`, resource]),
      );
      return { resources: [...byId.values()], warnings: read.flatMap(({ warnings }) => warnings) };
    },
    history: async () => {
      const read = await Promise.all(history.map(readOwn));
      return { resources: read.flatMap(({ resources }) => resources), warnings: read.flatMap(({ warnings }) => warnings) };
    },
    pacsStudies: (query) => pacsStudies(pacs, query, rules, sources.signal),
  };
}

function idOf(resource: unknown): string | null {
  return typeof resource === 'object' && resource !== null && 'id' in resource && typeof resource.id === 'string' ? resource.id : null;
}

const mostPriors = 3;

/**
 * The evidence with the instances of subject and priors, which the draft's key and the plan of images need. Priors beyond the most relevant
 * three keep their place in the list, without instances.
 * @throws dicomweb-missing-instances when the PACS no longer has the subject, or lists only a part of it
 */
export async function withInstances(evidence: Evidence, pacs: Dicomweb, signal: AbortSignal): Promise<Evidence> {
  const filled = await pacs.describe(evidence.subject.study.uid, 'instances', { signal });
  if (filled.study === null)
    throw new WetreadError('dicomweb-missing-instances', 'the PACS has no longer the study that was to be drafted');
  if (!filled.complete)
    throw new WetreadError('dicomweb-missing-instances', 'the PACS lists only a part of the study that was to be drafted');
  const series = (study: Study, described: Study | null): Study => (described === null ? study : { ...study, series: described.series });
  const priors = await Promise.all(
    evidence.priors.map(async (prior, index) => {
      if (index >= mostPriors) return { prior, warnings: [] };
      const described = await pacs.describe(prior.study.uid, 'instances', { signal });
      // A prior of which only a part is listed is compared with by its report alone.
      const listed = described.complete ? described.study : null;
      return { prior: { ...prior, study: series(prior.study, listed) }, warnings: described.warnings };
    }),
  );
  return {
    ...evidence,
    subject: { ...evidence.subject, study: series(evidence.subject.study, filled.study) },
    priors: priors.map(({ prior }) => prior),
    warnings: [...evidence.warnings, ...filled.warnings, ...priors.flatMap(({ warnings }) => warnings)],
  };
}

/**
 * Instances of the series that a model of these modalities reads, sorted: what a draft is about. Our own SR, stored beside the images,
 * must not make the study another one.
 */
export function readInstances(study: Study, modalities: readonly string[]): string[] {
  const read = study.series.filter((series) => modalities.some((modality) => sameModality(modality, series.modality)));
  return read.flatMap(({ instances }) => instances.map(({ uid }) => uid)).sort();
}
