/**
 * The answer to order-sign, within the deadline whatever the neighbours do: the draft if it is ready, else that it is being prepared.
 *
 * The hook never waits for the model. No job is made from reads that were unfinished at the deadline: what was read by then is thrown away.
 */

import type { Logger } from 'pino';
import { type ErrorCode, WetreadError } from '#domain/errors.ts';
import type { Evidence } from '#domain/evidence.ts';
import type { Order } from '#domain/order.ts';
import type { Patient } from '#domain/patient.ts';
import { withOwnReferences } from '#fhir/own-references.ts';
import type { IntendedUse } from '#gather/candidates.ts';
import { type Gathered, gather } from '#gather/gather.ts';
import { ordersOf } from '#gather/order.ts';
import { patientOf } from '#gather/patient.ts';
import type { OrderSignRequest } from '#hooks/request.ts';
import { extension, profile } from '#report/canonical.ts';
import {
  type Card,
  type CardReader,
  cardUuid,
  conflictCard,
  draftCard,
  preparingCard,
  quotedCard,
  suggestionUuid,
  unsupportedCard,
} from '#report/card.ts';
import { suggestionActions, type WriteOptions } from '#report/diagnostic-report.ts';
import { failedCard, lateCard, stoppedCard, supersededCard, unreadCard } from '#report/notice-card.ts';
import { type BundleId, type BundleStop, bundleStops, stopFor, stopWords } from '#work/bundle-stops.ts';
import { rememberCard } from '#work/cards.ts';
import { issueContext } from '#work/contexts.ts';
import { firstMention, readDraft, registerDraft } from '#work/drafts.ts';
import type { Jobs } from '#work/jobs.ts';
import type { SealKey } from '#work/snapshot.ts';
import type { Store } from '#work/store.ts';
import { newestKey } from '#work/superseding.ts';
import type { SiteBundle, SiteBundles } from './bundles.ts';
import { gatherPorts, type PatientRules, readPatient, type Sources, withInstances } from './evidence.ts';
import { keyOf } from './key.ts';
import type { Lanes } from './lanes.ts';
import { sealRequest } from './snapshot.ts';

export interface AnswerOptions {
  readonly lanes: Lanes;
  readonly bundles: SiteBundles;
  readonly store: Store;
  readonly jobs: Jobs;
  readonly sealKey: SealKey;
  readonly patients: PatientRules;
  /** Role codes that see statements on the card. */
  readonly statementsFor: readonly string[];
  readonly rolesOf: (userId: string, signal: AbortSignal) => Promise<readonly string[]>;
  readonly writer: 'outbox' | 'suggestion';
  readonly write: WriteOptions;
  /** SMART launch URL of the review page; null = cards carry no link. */
  readonly launchUrl: string | null;
  readonly log: Logger;
  readonly now: () => Date;
  /** YYYY-MM-DD at the hospital. */
  readonly today: () => string;
}

export interface CallLimits {
  readonly deadlineMs: number;
  /** FHIR servers that the caller may name beyond the site's own. */
  readonly fhirBases: readonly string[];
}

/** A part of the deadline stays for writing the answer. */
const marginMs = 40;
const contextHours = 72;

/** @throws request-malformed, prefetch-missing and what the reads throw */
export async function answerOrderSign(request: OrderSignRequest, limits: CallLimits, options: AnswerOptions): Promise<readonly Card[]> {
  const { orders } = ordersOf(withOwnReferences(request.context.draftOrders, basesOf(limits, options)));
  if (orders.length === 0) return [];
  const controller = new AbortController();
  const late = Promise.withResolvers<'late'>();
  const timer = setTimeout(
    () => {
      controller.abort(new WetreadError('net-timeout', 'the deadline of the hook passed'));
      late.resolve('late');
    },
    Math.max(limits.deadlineMs - marginMs, 1),
  );
  const work = cardsFor(request, orders, limits, options, controller.signal);
  try {
    const cards = await Promise.race([work, late.promise]);
    if (cards !== 'late') return cards;
    work.catch(() => null); // its end is of no interest any more: the signal has stopped it
    return [lateCard(limits.deadlineMs)];
  } catch (error) {
    if (controller.signal.aborted) return [lateCard(limits.deadlineMs)];
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function cardsFor(
  request: OrderSignRequest,
  orders: readonly Order[],
  limits: CallLimits,
  options: AnswerOptions,
  signal: AbortSignal,
): Promise<readonly Card[]> {
  const sources = sourcesOf(request, limits, options, signal);
  const [patient, roles, stops] = await Promise.all([
    readPatient(sources, request.context.patientId).then(patientOf),
    options.rolesOf(request.context.userId, signal),
    bundleStops(options.store.query),
  ]);
  const sees = roles.some((role) => options.statementsFor.includes(role));
  const cards: Card[] = [];
  for (const order of orders) {
    const gathered = await orArchiveFault(
      gather({
        patient,
        order: { ...order, encounter: order.encounter ?? encounterOf(request) },
        identity: options.patients,
        today: options.today(),
        ports: gatherPorts(sources, options.lanes.pacs, patient.id, options.patients),
        bundles: mayWriteFirst(options.bundles.all, stops),
        ownReportMarks: [profile.report, extension.draftKey],
      }),
      options,
      signal,
    );
    cards.push(
      ...('archiveFault' in gathered
        ? [unreadCard(gathered.archiveFault)]
        : await cardsOf(gathered, patient, order, sees, stops, options, signal)),
    );
  }
  // Two orders may lead to one study; one card is enough.
  return [...new Map(cards.map((card) => [card.uuid, card])).values()];
}

/**
 * Of what gathers and lists studies only the archive can fail with these: what FHIR does not give is a warning there. The clinician is told
 * by a card, since a status that is not 200 is shown to nobody.
 */
async function orArchiveFault<T extends object>(
  reading: Promise<T>,
  { log }: AnswerOptions,
  signal: AbortSignal,
): Promise<T | { readonly archiveFault: ErrorCode }> {
  try {
    return await reading;
  } catch (error) {
    const archives = error instanceof WetreadError && (/^(dicomweb|net)-/.test(error.code) || error.code === 'not-found');
    if (!archives || signal.aborted) throw error;
    log.warn({ code: error.code }, 'the archive could not be read');
    return { archiveFault: error.code };
  }
}

function encounterOf(request: OrderSignRequest): string | null {
  const { encounterId } = request.context;
  return encounterId === undefined || encounterId === null ? null : `Encounter/${encounterId}`;
}

/**
 * A patient id means something on one server only: a call that names another server than ours is never answered from ours.
 * @throws prefetch-missing, client-forbidden
 */
function sourcesOf(request: OrderSignRequest, limits: CallLimits, options: AnswerOptions, signal: AbortSignal): Sources {
  const token = request.fhirAuthorization?.access_token ?? null;
  const server = request.fhirServer ?? null;
  const lane = server === null ? null : options.lanes.requestLane(server, token, limits.fhirBases);
  if (server !== null && lane === null) {
    const hint = 'name it in hooks.clients.fhirBases when it is the same server under another address';
    if (request.prefetch?.patient === undefined) {
      throw new WetreadError('prefetch-missing', 'no prefetch was sent, and fhirServer is not a server that this site reads from', {
        hint,
      });
    }
    throw new WetreadError('client-forbidden', 'fhirServer is not the server that this site reads from and writes to', { hint });
  }
  return {
    prefetch: request.prefetch ?? null,
    request: token === null ? null : lane,
    service: options.lanes.fhir,
    bases: basesOf(limits, options),
    signal,
  };
}

/** Our FHIR server under each address that this caller may call it by. */
function basesOf(limits: CallLimits, { lanes }: AnswerOptions): readonly string[] {
  return [lanes.fhir.base, ...limits.fhirBases];
}

async function cardsOf(
  gathered: Gathered,
  patient: Patient,
  order: Order,
  sees: boolean,
  stops: readonly BundleStop[],
  options: AnswerOptions,
  signal: AbortSignal,
): Promise<Card[]> {
  const role = sees ? 'statements' : 'notice';
  const plain: CardReader = { role, link: null };
  const conflicts = (gathered.conflicts ?? []).map(({ study, verdict }) =>
    conflictCard(
      study,
      verdict.compared.filter(({ outcome }) => outcome === 'contradicts').map(({ field }) => field),
      plain,
    ),
  );
  switch (gathered.kind) {
    case 'draft':
      return [
        ...(await draftCards(gathered.evidence, gathered.bundle, gathered.basedOn, patient, order, sees, stops, options, signal)),
        ...conflicts,
      ];
    case 'quoted':
      return [...gathered.quoted.slice(0, 1).map((quoted) => quotedCard(quoted, { ...plain, seesStatements: sees })), ...conflicts];
    case 'unsupported-modality':
      return [unsupportedCard(gathered.study.study, plain), ...conflicts];
    case 'identity-conflict':
      return conflicts;
    case 'nothing':
      // No card is the answer; why is for whoever connects the hospital.
      options.log.info({ code: gathered.code }, 'no card');
      return [];
  }
}

async function draftCards(
  evidence: Evidence,
  bundleDigest: string,
  basedOn: readonly string[],
  patient: Patient,
  order: Order,
  sees: boolean,
  stops: readonly BundleStop[],
  options: AnswerOptions,
  signal: AbortSignal,
): Promise<Card[]> {
  const { store } = options;
  const whole = await orArchiveFault(withInstances(evidence, options.lanes.pacs, signal), options, signal);
  if ('archiveFault' in whole) return [unreadCard(whole.archiveFault)];
  const chosen = options.bundles.byDigest(bundleDigest);
  const key = keyOf(whole, chosen);
  signal.throwIfAborted();
  const role = sees ? 'statements' : 'notice';
  const stop = stopFor(stops, idOf(chosen));
  if (stop !== null) {
    const hasDraft = (await readDraft(store.query, key))?.state === 'ready';
    const link = hasDraft ? await linkTo(key, patient.id, options) : null;
    return [stoppedCard(key, whole.subject, stopWords(idOf(chosen).name, stop), hasDraft, { role, link })];
  }
  const sealed = sealRequest(options.sealKey, { key, evidence: whole, bundleDigest, basedOn, growths: 0 });
  if (await registerDraft(store, { key, patientId: patient.id, studyUid: whole.subject.study.uid, snapshot: sealed })) {
    await options.jobs.enqueue(key, 'interactive');
  }
  const newest = await newestKey(store.query, key);
  const state = await readDraft(store.query, newest);
  const reading: CardReader = { role, link: await linkTo(newest, patient.id, options) };
  if (state?.state === 'ready' && newest !== key) return [supersededCard(newest, whole.subject, reading)];
  if (state?.state === 'ready') {
    const actions = options.writer === 'suggestion' ? suggestionActions(state.draft, options.write, options.now().toISOString()) : null;
    await rememberCard(store.query, { uuid: cardUuid(key, role), suggestion: suggestionUuid(key, role), draftKey: key });
    return [draftCard(state.draft, { ...reading, seesStatements: sees, actions })];
  }
  if (state?.state === 'failed') return [failedCard(newest, whole.subject, state, reading)];
  // Said once: it must not be spent on an answer that comes too late.
  signal.throwIfAborted();
  return (await firstMention(store.query, newest, order.reference)) ? [preparingCard(newest, whole.subject, reading)] : [];
}

function idOf({ bundle }: SiteBundle): BundleId {
  return { digest: bundle.digest, name: bundle.manifest.name };
}

/** A study that only a stopped bundle reads still comes to it, so that the card says why there is no draft. */
function mayWriteFirst(all: readonly SiteBundle[], stops: readonly BundleStop[]): IntendedUse[] {
  const stopped = (one: SiteBundle) => Number(stopFor(stops, idOf(one)) !== null);
  return all.toSorted((a, b) => stopped(a) - stopped(b)).map(({ intendedUse }) => intendedUse);
}

async function linkTo(key: string, patientId: string, { launchUrl, store }: AnswerOptions): Promise<CardReader['link']> {
  if (launchUrl === null) return null;
  return { url: launchUrl, type: 'smart', appContext: await issueContext(store.query, key, patientId, contextHours) };
}
