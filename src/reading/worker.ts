/**
 * One job: open the sealed request, make the draft, settle it. What may pass is tried again; what cannot pass settles the draft as failed.
 *
 * A job that is handed out twice (a worker that was thought dead) settles nothing twice: the store takes the first.
 */
import type { Logger } from 'pino';
import type { Draft } from '#domain/draft.ts';
import { codeOf, type ErrorCode, WetreadError } from '#domain/errors.ts';
import { audit } from '#work/audit.ts';
import { beginAttempt, countFailure, readSnapshot, settleFailed, settleReady } from '#work/drafts.ts';
import type { Target } from '#work/outbox.ts';
import type { SealKey } from '#work/snapshot.ts';
import type { Store } from '#work/store.ts';
import type { Readers } from './bundles.ts';
import { type DraftTools, makeDraft } from './draft.ts';
import { readInstances } from './evidence.ts';
import { askForWhole } from './grown.ts';
import { openRequest } from './snapshot.ts';
import { whileAllowed } from './while-allowed.ts';

export interface WorkerOptions extends DraftTools {
  readonly store: Store;
  readonly readers: Readers;
  readonly sealKey: SealKey;
  readonly release: 'pending' | 'held';
  readonly targets: readonly Target[];
  readonly log: Logger;
  /** Called when a draft is settled; `ms` is the time of its last attempt. */
  readonly onSettled: (outcome: { readonly state: 'ready' | 'failed'; readonly ms: number }) => void;
}

/** Attempts that may fail with a reason. */
const mostFailures = 4;
/** Attempts that may be begun: more than fail with a reason, since a restart of the service ends one too. */
const mostStarts = 10;
/** Time to read what a study that grew consists of now. */
const askAgainMs = 60_000;

/** Another attempt may succeed: a neighbour or the engine failed, not the study. */
const passing: ReadonlySet<ErrorCode> = new Set([
  'net-timeout',
  'net-unreachable',
  'net-too-large',
  'dicomweb-truncated',
  'dicomweb-refused',
  'dicomweb-unauthorised',
  'dicomweb-unexpected-type',
  'dicomweb-bad-json',
  'dicomweb-missing-instances',
  'engine-died',
  'engine-timeout',
  'store-unavailable',
  'disk-full',
  'internal',
]);

/** @throws what failed when another attempt is worth it */
export async function workOn(key: string, options: WorkerOptions): Promise<void> {
  const { store, log } = options;
  const attempts = await beginAttempt(store.query, key);
  if (attempts === null) return;
  const started = options.steady();
  const fail = async (code: ErrorCode, message: string) => {
    await settleFailed(store.query, key, code, message);
    await audit(store.query, { actor: 'wetread', action: 'draft-failed', draftKey: key, detail: { code } });
    options.onSettled({ state: 'failed', ms: options.steady() - started });
  };
  if (attempts.starts > mostStarts) {
    await fail('job-poisoned', `${mostStarts} attempts ended with their process; none said why`);
    return;
  }
  try {
    const sealed = await readSnapshot(store.query, key);
    if (sealed === null) throw new WetreadError('draft-unknown', 'the request of this draft is gone', { hint: 'sign the order again' });
    const request = openRequest(options.sealKey, key, sealed);
    const reader = options.readers.byDigest(request.bundleDigest);
    const draft = await whileAllowed(reader, store.query, (allowed) => makeDraft(request, allowed, options)).catch(async (error) => {
      const signal = AbortSignal.timeout(askAgainMs);
      if (codeOf(error) === 'study-growing')
        await askForWhole(request, reader, { store, sealKey: options.sealKey, pacs: options.pacs, signal });
      throw error;
    });
    const imagesOf = ({ subject }: Draft) => readInstances(subject.study, reader.intendedUse.modalities).join();
    const isReplaced = (earlier: Draft) => imagesOf(earlier) !== imagesOf(draft);
    if (await settleReady(store, draft, options.release, options.targets, isReplaced)) {
      await audit(store.query, { actor: 'wetread', action: 'draft-ready', draftKey: key, detail: { bundle: draft.model.digest } });
      options.onSettled({ state: 'ready', ms: options.steady() - started });
      log.info({ ms: Math.round(options.steady() - started), statements: draft.statements.length }, 'draft ready');
    }
  } catch (error) {
    const code = codeOf(error);
    const last = attempts.failures + 1 >= mostFailures;
    log.warn({ code, last, err: error instanceof WetreadError ? undefined : error }, 'draft attempt failed');
    if (passing.has(code) && !last) {
      await countFailure(store.query, key);
      throw error;
    }
    await fail(code, error instanceof WetreadError ? error.message : 'a fault of wetread itself; the log has it');
  }
}
