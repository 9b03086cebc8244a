/** The key of a draft: of which patient, study and images, with what history, by which bundle and words. Hook and worker agree in it. */
import { draftKey } from '#domain/draft.ts';
import type { Evidence } from '#domain/evidence.ts';
import { historyDigest } from '#prompt/history.ts';
import type { SiteBundle } from './bundles.ts';
import { readInstances } from './evidence.ts';
import { askedOf } from './task.ts';

/** @param evidence with the instances of its subject (withInstances) */
export function keyOf({ patient, subject, priors, history }: Evidence, { bundle, intendedUse, task }: SiteBundle): string {
  return draftKey({
    patientId: patient.id,
    studyUid: subject.study.uid,
    instanceUids: readInstances(subject.study, intendedUse.modalities),
    priorUids: priors.map(({ study }) => study.uid),
    historyDigest: historyDigest(history),
    bundleDigest: bundle.digest,
    promptVersion: task.wording.version,
    task: askedOf(task),
  });
}
