/**
 * Retrieves instances as stored (`transfer-syntax=*`), each checked against what was asked for, and says what is missing.
 *
 * A series is asked for in one request when most of it is wanted; whatever that request did not bring is asked for one by one. Part
 * headers are not believed: the UIDs come from the part itself.
 *
 * Source: PS3.18 8.7.3.5.2, 10.4.
 */
import { createHash } from 'node:crypto';
import type { ReadableStream } from 'node:stream/web';
import { setTimeout as wait } from 'node:timers/promises';
import { type ErrorCode, type Warning, WetreadError } from '#domain/errors.ts';
import type { Series } from '#domain/study.ts';
import type { Uid } from '#domain/uid.ts';
import { waitedAsAsked } from '#net/retry-after.ts';
import { authorize } from '#net/token.ts';
import { type Place, statusFailure } from './calls.ts';
import { boundaryOf, type PartLimits, readParts } from './multipart.ts';

export interface PartUids {
  readonly study: Uid;
  readonly series: Uid;
  readonly instance: Uid;
  readonly sopClass: Uid;
}

export interface Retrieved {
  readonly uids: PartUids;
  /** The Part 10 file as the archive sent it. */
  readonly bytes: Uint8Array;
}

export interface RetrieveSetup extends Place {
  /** UIDs of a Part 10 file (#dicom/read.ts readUids). */
  readonly readUids: (bytes: Uint8Array) => PartUids;
  readonly limits: PartLimits & { readonly maxAnswerBytes: number };
}

export interface RetrieveOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onWarning?: (warning: Warning) => void;
  /** Milliseconds before the second and third try of one instance; default 200 and 800. */
  readonly pausesMs?: readonly number[];
}

/** After these a second request may succeed, or the other instances may. */
const passing = new Set<ErrorCode>(['dicomweb-truncated', 'net-unreachable', 'net-timeout']);
const fallBack = new Set<ErrorCode>([...passing, 'net-too-large', 'dicomweb-refused']);
const maxFailedInARow = 3;
const stored = 'multipart/related; type="application/dicom"; transfer-syntax=*';
const anySyntax = 'multipart/related; type="application/dicom"';

interface Session {
  readonly setup: RetrieveSetup;
  readonly study: Uid;
  readonly series: Uid;
  readonly wanted: Set<Uid>;
  /** Digest of what was handed on, by SOP Instance UID. */
  readonly digests: Map<Uid, string>;
  /** Why an instance is missing, in words. */
  readonly reasons: Map<Uid, string>;
  readonly known: ReadonlySet<Uid>;
  readonly warn: (code: string, message: string) => void;
  readonly signal: AbortSignal | undefined;
  /** The archive said 429 or 503: asking for single instances would make it worse. */
  busy: boolean;
  /** How often a busy archive was waited for, of all requests together. */
  waits: number;
}

interface Tries {
  readonly accept: string;
  readonly renewed: boolean;
}

const firstTry: Tries = { accept: stored, renewed: false };

async function open(session: Session, url: string, tries = firstTry): ReturnType<Place['neighbour']['fetch']> {
  const { neighbour, token, limits, patience } = session.setup;
  const { accept, renewed } = tries;
  const headers = { accept, ...(await authorize(token, url)) };
  const answer = await neighbour.fetch(url, {
    headers,
    maxBytes: limits.maxAnswerBytes,
    ...(session.signal === undefined ? {} : { signal: session.signal }),
  });
  if (answer.status === 200) return answer;
  await answer.body?.cancel();
  const { status } = answer;
  const retryAfter = answer.headers.get('retry-after');
  if (status === 401 && !renewed && token?.renew() === true) return open(session, url, { ...tries, renewed: true });
  if (await waitedAsAsked({ status, retryAfter }, session.waits, patience, session.signal)) {
    session.waits += 1;
    return open(session, url, tries);
  }
  if ((status === 406 || status === 400) && accept === stored) {
    const again = await open(session, url, { ...tries, accept: anySyntax });
    session.warn('dicomweb-transcoded', `${neighbour.name}: the archive refuses transfer-syntax=*; what it sent may not be what is stored`);
    return again;
  }
  session.busy = status === 429 || status === 503;
  throw statusFailure(neighbour.name, new URL(url).pathname, status, retryAfter);
}

/** What a part is; null = it was dropped with a warning. */
function judged(session: Session, type: string, bytes: Uint8Array): Retrieved | null {
  const { setup, warn } = session;
  const { name } = setup.neighbour;
  if (type !== '' && type !== 'application/dicom') {
    warn('dicomweb-part-dropped', `${name}: a part of type ${type} was dropped, expected application/dicom`);
    return null;
  }
  let uids: PartUids;
  try {
    uids = setup.readUids(bytes);
  } catch (error) {
    if (!(error instanceof WetreadError)) throw error;
    warn('dicomweb-part-dropped', `${name}: a part was dropped: ${error.message}`);
    return null;
  }
  if (uids.study !== session.study || uids.series !== session.series) {
    throw new WetreadError(
      'identity-conflict',
      `${name}: found an instance of study ${uids.study}, series ${uids.series} in the answer for series ${session.series} of study ${session.study}`,
      { hint: 'nothing of this answer is used: it may be another patient' },
    );
  }
  if (!session.known.has(uids.instance)) {
    warn('dicomweb-extra-instance', `${name}: instance ${uids.instance} came without being in the list; the series may still be growing`);
    return null;
  }
  return { uids, bytes };
}

/** Body and boundary of a multipart answer; another answer is ended unread. */
async function message(session: Session, url: string, where: string): Promise<{ body: ReadableStream<Uint8Array>; boundary: string }> {
  const answer = await open(session, url);
  if (answer.body === null) throw new WetreadError('dicomweb-truncated', `${where}: the answer has no body`);
  try {
    return { body: answer.body, boundary: boundaryOf(answer.headers.get('content-type'), where) };
  } catch (error) {
    await answer.body.cancel();
    throw error;
  }
}

async function* parts(session: Session, url: string): AsyncGenerator<Retrieved> {
  const { setup } = session;
  const where = `${setup.neighbour.name} ${new URL(url).pathname}`;
  const { body, boundary } = await message(session, url, where);
  for await (const part of readParts(body, boundary, setup.limits, where)) {
    const one = judged(session, part.type.type, part.bytes);
    if (one === null) continue;
    const digest = createHash('sha256').update(part.bytes).digest('hex');
    const before = session.digests.get(one.uids.instance);
    if (before !== undefined && before !== digest) {
      throw new WetreadError('identity-conflict', `${where}: found two different objects under SOP Instance UID ${one.uids.instance}`);
    }
    if (before !== undefined || !session.wanted.has(one.uids.instance)) continue;
    session.digests.set(one.uids.instance, digest);
    session.wanted.delete(one.uids.instance);
    yield one;
  }
}

function codedOrThrow(error: unknown): WetreadError {
  if (error instanceof WetreadError) return error;
  throw error;
}

/** One instance with retries; a failure that concerns only it is noted in `reasons`. */
async function* single(session: Session, uid: Uid, pausesMs: readonly number[]): AsyncGenerator<Retrieved> {
  const { roots } = session.setup;
  const url = `${roots.wado}/studies/${session.study}/series/${session.series}/instances/${uid}`;
  for (let attempt = 0; session.wanted.has(uid); attempt += 1) {
    try {
      yield* parts(session, url);
      if (session.wanted.has(uid)) session.reasons.set(uid, 'the answer did not hold it');
      return;
    } catch (thrown) {
      const error = codedOrThrow(thrown);
      if (session.signal?.aborted === true) throw error;
      if (error.code === 'not-found') session.reasons.set(uid, 'gone (404)');
      else if (fallBack.has(error.code) && !session.busy) session.reasons.set(uid, error.message);
      else throw error;
      const pause = pausesMs[attempt];
      if (!passing.has(error.code) || pause === undefined) return;
      await wait(pause);
    }
  }
}

/** All that is still wanted, one by one; an archive that fails at several in a row is left alone, or a stall would take hours. */
async function* singles(session: Session, pausesMs: readonly number[]): AsyncGenerator<Retrieved> {
  let failed = 0;
  for (const uid of [...session.wanted]) {
    if (failed === maxFailedInARow) session.reasons.set(uid, `not asked for after ${failed} that failed`);
    else yield* single(session, uid, pausesMs);
    if (failed < maxFailedInARow) failed = session.wanted.has(uid) ? failed + 1 : 0;
  }
}

/**
 * The wanted instances of one series, each as soon as it is complete, in the archive's order.
 * @throws dicomweb-missing-instances at the end, after everything that could be had; identity-conflict at once when a part belongs to
 * another study or one UID has two objects; dicomweb-unauthorised, dicomweb-unexpected-type, dicomweb-refused (429 or 503: the archive is
 * busy for longer than we wait) at once
 */
export async function* retrieve(
  setup: RetrieveSetup,
  study: Uid,
  series: Series,
  wanted: readonly Uid[],
  options: RetrieveOptions = {},
): AsyncGenerator<Retrieved, void> {
  const session: Session = {
    setup,
    study,
    series: series.uid,
    wanted: new Set(wanted),
    digests: new Map(),
    reasons: new Map(),
    known: new Set([...wanted, ...series.instances.map((one) => one.uid)]),
    warn: (code, message) => options.onWarning?.({ code, message }),
    signal: options.signal,
    busy: false,
    waits: 0,
  };
  const total = session.wanted.size;
  if (total > 1 && total * 2 > series.instances.length) {
    try {
      yield* parts(session, `${setup.roots.wado}/studies/${study}/series/${series.uid}`);
    } catch (thrown) {
      const error = codedOrThrow(thrown);
      if (error.code === 'not-found') {
        throw new WetreadError(
          'dicomweb-missing-instances',
          `${setup.neighbour.name}: series ${series.uid} is listed and gone (404); received 0 of ${total} instances`,
        );
      }
      if (!fallBack.has(error.code) || session.busy) throw error;
      session.warn('dicomweb-single-retrieve', `${error.message}; ${session.wanted.size} of ${total} instances are asked for one by one`);
    }
  }
  yield* singles(session, options.pausesMs ?? [200, 800]);
  if (session.wanted.size === 0) return;
  const missing = [...session.wanted].map((uid) => `${uid} (${session.reasons.get(uid) ?? 'not sent'})`);
  throw new WetreadError(
    'dicomweb-missing-instances',
    `${setup.neighbour.name}: received ${total - missing.length} of ${total} instances of series ${series.uid}; missing: ${missing.slice(0, 3).join(', ')}`,
  );
}

/** One stored object as it is, for comparing after a store. @throws not-found and what `retrieve` throws */
export async function retrieveOne(setup: RetrieveSetup, uids: Pick<PartUids, 'study' | 'series' | 'instance'>): Promise<Uint8Array> {
  const series: Series = { uid: uids.series, modality: '', number: null, description: null, bodyPart: null, side: null, instances: [] };
  for await (const one of retrieve(setup, uids.study, series, [uids.instance])) return one.bytes;
  throw new WetreadError('not-found', `${setup.neighbour.name}: instance ${uids.instance} did not come back`);
}
