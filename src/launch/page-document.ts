/**
 * What the review page shows, as plain data: the words are made here from the same sentences as card and SR, the browser only lays out.
 *
 * Source: report/words.ts for every fixed sentence.
 */
import type { Draft } from '#domain/draft.ts';
import {
  dependenceWords,
  draftNotice,
  imageWords,
  methodLines,
  oneLine,
  sections,
  sectionTitle,
  stampNotice,
  studyWords,
  supersededNotice,
  supersedesLines,
} from '#report/words.ts';
import type { PageDocument, Statement } from '#review/document.ts';
import { type BundleStop, stopFor, stopWords } from '#work/bundle-stops.ts';
import type { DraftState } from '#work/drafts.ts';
import type { OutboxRow } from '#work/outbox.ts';

const deliveryWords: Readonly<Record<OutboxRow['state'], string>> = {
  held: 'waits until the draft is accepted',
  pending: 'is being delivered',
  delivered: 'delivered',
  dead: 'could not be delivered',
};

/** `stops` = bundles that were taken out of use: what they wrote is still shown to whoever must look, under a stamp. */
export function pageDocument(state: DraftState, deliveries: readonly OutboxRow[], stops: readonly BundleStop[]): PageDocument {
  return state.state === 'ready' ? readyPage(state, deliveries, stopFor(stops, state.draft.model)) : pageOf(state);
}

const dated = (date: string | null, text: string) => (date === null ? text : `${date} ${text}`);

function pageOf(state: Exclude<DraftState, { state: 'ready' }>): PageDocument {
  if (state.state === 'queued') return state;
  const { code, message, isSuperseded } = state;
  return { state: 'failed', code, message: isSuperseded ? `${message}. ${supersededNotice}` : message };
}

function readyPage(
  { draft, isSuperseded }: Extract<DraftState, { state: 'ready' }>,
  deliveries: readonly OutboxRow[],
  stop: BundleStop | null,
): PageDocument {
  const stamps = [
    ...(stop === null ? [] : [`WITHDRAWN. ${oneLine(stopWords(draft.model.name, stop))}`]),
    ...(isSuperseded ? [supersededNotice] : []),
    ...(draft.model.stamped === 'test' ? [stampNotice] : []),
  ];
  return {
    state: 'ready',
    notice: draftNotice,
    stamp: stamps.length === 0 ? null : stamps.join('. '),
    patient: patientBanner(draft),
    study: studyWords(draft.subject.study),
    supersedes: supersedesLines(draft),
    reasons: draft.subject.reasons,
    priors: draft.priors.map(({ study, reasons }) => `${studyWords(study)}: ${reasons.join('; ')}`),
    sections: sections.flatMap((section) => {
      const own = draft.statements.filter((statement) => statement.section === section);
      return own.length === 0 ? [] : [{ title: sectionTitle[section], statements: own.map(pageStatement) }];
    }),
    images: draft.images.map((image, index) => ({
      number: index + 1,
      label: oneLine(image.label),
      words: imageWords(image),
      prior: image.prior,
      source: image.picture === null ? null : `images/${index + 1}.png`,
      width: image.width,
      height: image.height,
    })),
    history: draft.history.map((item) => `${item.kind.replace('-', ' ')}: ${dated(item.date, item.text)}`),
    quoted: draft.quoted.map(
      (report) => `${studyWords(report.study)}: ${report.impression ?? 'impression not readable'} (${report.reference})`,
    ),
    leftOut: draft.leftOut,
    warnings: draft.warnings.map((warning) => warning.message),
    method: methodLines(draft),
    model: `${draft.model.name}, bundle ${draft.model.digest.slice(0, 12)}, on ${draft.model.device}`,
    generatedAt: draft.generatedAt,
    deliveries: deliveries.map((row) => ({
      target: row.target === 'fhir' ? 'Report in the FHIR server' : 'Structured report in the PACS',
      state: row.state,
      words: stop !== null && row.state === 'pending' ? 'waits, since its model was taken out of use' : deliveryWords[row.state],
      detail: row.message,
    })),
  };
}

function pageStatement(statement: Draft['statements'][number]): Statement {
  return {
    number: statement.number,
    text: statement.text,
    words: dependenceWords(statement),
    dependence: statement.dependence,
    images: statement.citations.map(({ image, share }) => ({ number: image, share })),
    holds: statement.holds.map((hold) => hold.message),
  };
}

function patientBanner(draft: Draft): { readonly name: string; readonly facts: readonly string[] } {
  const { name, birthDate, sex, identifiers } = draft.patient.identity;
  return {
    name: name === null ? 'name unknown' : oneLine([name.family, name.given.join(' ')].filter(Boolean).join(', ')),
    facts: [
      birthDate === null ? 'birth date unknown' : `born ${birthDate}`,
      sex ?? 'sex unknown',
      oneLine(identifiers[0]?.value ?? draft.patient.id),
    ],
  };
}
