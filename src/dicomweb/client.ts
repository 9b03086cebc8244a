/**
 * The PACS as wetread uses it: search, describe, retrieve, store with proof.
 *
 * Source: PS3.18 chapters 8 and 10.
 */
import type { Warning } from '#domain/errors.ts';
import type { Instance, Series, Study } from '#domain/study.ts';
import type { Uid } from '#domain/uid.ts';
import type { Neighbour } from '#net/neighbour.ts';
import type { Patience } from '#net/retry-after.ts';
import type { Token } from '#net/token.ts';
import type { Roots } from './calls.ts';
import { instanceFields, instanceOf, seriesFields, seriesOf, studyFields, studyOf, tags, withSeries } from './describe.ts';
import { integerAt } from './json.ts';
import type { PartLimits } from './multipart.ts';
import type { StudyQuery } from './query.ts';
import { type PartUids, type Retrieved, type RetrieveOptions, type RetrieveSetup, retrieve, retrieveOne } from './retrieve.ts';
import { findBelow, findStudies, type Hits, unusableHit } from './search.ts';
import { type Stored, store } from './store.ts';

export interface DicomwebOptions {
  /** Each without a trailing slash. */
  readonly roots: Roots;
  readonly neighbour: Neighbour;
  readonly token: Token | null;
  /** UIDs of a Part 10 file (#dicom/read.ts readUids). */
  readonly readUids: (bytes: Uint8Array) => PartUids;
  /** Issuer of the archive's PatientIDs where it gives none. */
  readonly defaultIssuer: string | null;
  readonly limits?: Partial<PartLimits & { readonly maxAnswerBytes: number }>;
  readonly patience?: Patience;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface Described {
  readonly study: Study | null;
  readonly warnings: readonly Warning[];
  readonly complete: boolean;
}

export interface Dicomweb {
  /** @throws request-malformed for an empty key; dicomweb-ignored-key when no hit matches what was asked */
  readonly searchStudies: (query: StudyQuery, options?: CallOptions) => Promise<Hits<Study>>;
  readonly searchSeries: (study: Uid, options?: CallOptions) => Promise<Hits<Series>>;
  readonly searchInstances: (study: Uid, series: Uid, options?: CallOptions) => Promise<Hits<Instance>>;
  /**
   * One study with its series, and with their instances when asked; null = the archive does not have it. `complete` is false when the
   * archive has, or says that it has, more than is listed here; a warning says which.
   */
  readonly describe: (study: Uid, depth: 'series' | 'instances', options?: CallOptions) => Promise<Described>;
  readonly retrieve: (study: Uid, series: Series, wanted: readonly Uid[], options?: RetrieveOptions) => AsyncGenerator<Retrieved, void>;
  readonly store: (bytes: Uint8Array) => Promise<Stored>;
  readonly readBack: (uids: Pick<PartUids, 'study' | 'series' | 'instance'>) => Promise<Uint8Array>;
}

/** A worker can wait a little; a hook call's signal ends it long before. */
const defaultPatience: Patience = { maxWaitMs: 30_000, maxWaits: 2 };
const limits = { maxPartBytes: 512 * 1024 * 1024, maxParts: 10_000, maxAnswerBytes: 4 * 1024 * 1024 * 1024 };

async function describe(setup: RetrieveSetup, defaultIssuer: string | null, uid: Uid, depth: 'series' | 'instances'): Promise<Described> {
  const pair = await findStudies(setup, { studyUid: uid }, studyFields, (hit) => {
    const study = studyOf(hit, defaultIssuer);
    return study === null ? null : { study, count: integerAt(hit, tags.numberOfInstances) };
  });
  const [found] = pair.found;
  if (found === undefined) return { study: null, warnings: pair.warnings, complete: pair.complete };
  const series = await findBelow(setup, { kind: 'series', study: uid }, seriesFields, seriesOf);
  const warnings = [...pair.warnings, ...series.warnings];
  if (depth === 'series') return { study: withSeries(found.study, series.found), warnings, complete: series.complete };
  let { complete } = series;
  const full: Series[] = [];
  for (const one of series.found) {
    const instances = await findBelow(setup, { kind: 'instances', study: uid, series: one.uid }, instanceFields, instanceOf);
    warnings.push(...instances.warnings);
    complete &&= instances.complete;
    full.push({ ...one, instances: instances.found });
  }
  const count = full.reduce((sum, one) => sum + one.instances.length, 0);
  // A series without a modality was left out, and that was said; its instances are missing from the sum.
  const comparable = !series.warnings.some(({ code }) => code === unusableHit);
  if (comparable && found.count !== null && found.count !== count) {
    const message = `${setup.neighbour.name}: study ${uid} is said to have ${found.count} instances, ${count} are listed; it may still be growing`;
    warnings.push({ code: 'dicomweb-count-differs', message });
    complete &&= found.count < count;
  }
  return { study: withSeries(found.study, full), warnings, complete };
}

export function openDicomweb(options: DicomwebOptions): Dicomweb {
  const { roots, neighbour, token, readUids, defaultIssuer, patience = defaultPatience } = options;
  const setup: RetrieveSetup = { roots, neighbour, token, readUids, patience, limits: { ...limits, ...options.limits } };
  return {
    searchStudies: (query, more) => findStudies({ ...setup, ...more }, query, studyFields, (hit) => studyOf(hit, defaultIssuer)),
    searchSeries: (study, more) => findBelow({ ...setup, ...more }, { kind: 'series', study }, seriesFields, seriesOf),
    searchInstances: (study, series, more) =>
      findBelow({ ...setup, ...more }, { kind: 'instances', study, series }, instanceFields, instanceOf),
    describe: (study, depth, more) => describe({ ...setup, ...more }, defaultIssuer, study, depth),
    retrieve: (study, series, wanted, more) => retrieve(setup, study, series, wanted, more),
    store: (bytes) => store(setup, bytes),
    readBack: (uids) => retrieveOne(setup, uids),
  };
}
