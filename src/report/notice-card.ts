/** Cards that say why there is no draft: the studies were not read in time or not at all, the draft could not be made, or its model was stopped. */
import type { ErrorCode } from '#domain/errors.ts';
import type { RankedStudy } from '#domain/evidence.ts';
import { uuidOf } from '#domain/uid.ts';
import { type Card, type CardReader, linksTo, serialised, sourceOf, summary } from './card.ts';
import { escapeMarkdown } from './markdown.ts';
import { oneLine, studyWords } from './words.ts';

/** Nothing was started; the same call may succeed a moment later. */
export function lateCard(deadlineMs: number): Card {
  return serialised({
    uuid: uuidOf('late'),
    summary: summary(`The imaging studies could not be read within ${deadlineMs} ms; no draft was started`),
    detail: 'FHIR server or image archive answered too slowly. Sign or open the order again to try once more.',
    indicator: 'info',
    source: sourceOf('not-read-in-time'),
  });
}

/** The image archive failed or lied; nothing was started. Only the code is shown: the archive's words may name a patient. */
export function unreadCard(code: ErrorCode): Card {
  return serialised({
    uuid: uuidOf(`unread/${code}`),
    summary: summary('The imaging studies could not be read; no draft was started'),
    detail: `The image archive did not answer as it should (code ${escapeMarkdown(code)}). Sign or open the order again to try once more; if it stays, whoever runs the archive needs the code.`,
    indicator: 'info',
    source: sourceOf('studies-not-read'),
  });
}

/** `failure` is what the worker said; its text names no patient. */
export function failedCard(
  key: string,
  subject: RankedStudy,
  failure: { readonly code: string; readonly message: string },
  reader: CardReader,
): Card {
  return serialised({
    uuid: uuidOf(`failed/${key}/${reader.role}`),
    summary: summary(`No draft report could be made for ${studyWords(subject.study)}`),
    detail: `${escapeMarkdown(oneLine(failure.message))} (code ${escapeMarkdown(failure.code)})`,
    indicator: 'info',
    source: sourceOf('draft-failed'),
    links: linksTo(reader.link, 'Open'),
  });
}

/** Asked for a draft that a newer one superseded: only the way to the newer is shown. `key` is the newer draft's. */
export function supersededCard(key: string, subject: RankedStudy, reader: CardReader): Card {
  return serialised({
    uuid: uuidOf(`superseded/${key}/${reader.role}`),
    summary: summary(`A newer draft report exists for ${studyWords(subject.study)}`),
    detail: 'It was made when the study had other images than the archive lists now; compare them before you rely on it.',
    indicator: 'warning',
    source: sourceOf('draft-superseded'),
    links: linksTo(reader.link, 'Read the newer draft beside its images'),
  });
}

/** The bundle that would write, or wrote, this draft was taken out of use. `why` is the operator's sentence; nothing of a draft is shown. */
export function stoppedCard(key: string, subject: RankedStudy, why: string, hasDraft: boolean, reader: CardReader): Card {
  const what = hasDraft ? 'The draft report is withdrawn' : 'No draft report is made';
  return serialised({
    uuid: uuidOf(`stopped/${key}/${reader.role}`),
    summary: summary(`${what} for ${studyWords(subject.study)}: its model was taken out of use`),
    detail: `${escapeMarkdown(oneLine(why))} (code bundle-stopped)`,
    indicator: hasDraft ? 'warning' : 'info',
    source: sourceOf('model-stopped'),
    links: linksTo(reader.link, 'Open'),
  });
}
