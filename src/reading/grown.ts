/**
 * A study that grew while it was read: nothing is drafted from the part, and a draft of the study as it is now is asked for in its place.
 *
 * The new request has its own key, the one that the hook finds when the order is signed again, and the old key leads to it. It waits until
 * the worker looks for queued drafts, so that a study that is still arriving has time to.
 */
import type { Dicomweb } from '#dicomweb/client.ts';
import { registerDraft } from '#work/drafts.ts';
import type { SealKey } from '#work/snapshot.ts';
import type { Store } from '#work/store.ts';
import { leadTo, newestKey } from '#work/superseding.ts';
import type { SiteBundle } from './bundles.ts';
import { withInstances } from './evidence.ts';
import { keyOf } from './key.ts';
import { type Request, sealRequest } from './snapshot.ts';

/** A study that changes more often than this is asked for by the next order, not by us. */
const mostGrowths = 12;

interface Growing {
  readonly store: Store;
  readonly sealKey: SealKey;
  readonly pacs: Dicomweb;
  readonly signal: AbortSignal;
}

/** @throws dicomweb-missing-instances while the PACS lists only a part of the study, and what it throws */
export async function askForWhole(request: Request, bundle: SiteBundle, { store, sealKey, pacs, signal }: Growing): Promise<void> {
  if (request.growths >= mostGrowths) return;
  const evidence = await withInstances(request.evidence, pacs, signal);
  const key = keyOf(evidence, bundle);
  // A study that goes back to what it was would lead in a circle.
  if ((await newestKey(store.query, key)) === request.key) return;
  const snapshot = sealRequest(sealKey, { ...request, key, evidence, growths: request.growths + 1 });
  await registerDraft(store, { key, patientId: evidence.patient.id, studyUid: evidence.subject.study.uid, snapshot });
  await leadTo(store.query, request.key, key);
}
