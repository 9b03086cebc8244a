/**
 * CDS Hooks cards: the finished draft, a draft in preparation, a report that is quoted, a study that is refused.
 *
 * A summary has fewer than 140 characters and optional members are absent, never empty. Model text is escaped for markdown.
 * The uuid is derived from draft key and role, so the same draft shown twice is the same card to the client's feedback.
 *
 * Source: CDS Hooks 2.0, Card Attributes, Suggestion, Action, Link.
 */
import type { Draft } from '#domain/draft.ts';
import { released } from '#domain/draft.ts';
import type { QuotedReport, RankedStudy } from '#domain/evidence.ts';
import type { Statement } from '#domain/statement.ts';
import type { Study } from '#domain/study.ts';
import { uuidOf } from '#domain/uid.ts';
import { codeSystem } from './canonical.ts';
import { escapeMarkdown } from './markdown.ts';
import {
  dependenceWords,
  draftNotice,
  heldWords,
  imageWords,
  methodLines,
  oneLine,
  sections,
  sectionTitle,
  stampNotice,
  studyWords,
  supersedesLines,
} from './words.ts';

export interface CardCoding {
  readonly system: string;
  readonly code: string;
  readonly display: string;
}

export interface CardAction {
  readonly type: 'create';
  readonly description: string;
  readonly resource: object;
}

export interface CardSuggestion {
  readonly label: string;
  readonly uuid: string;
  readonly actions?: readonly CardAction[];
}

export interface CardLink {
  readonly label: string;
  readonly url: string;
  readonly type: 'absolute' | 'smart';
  readonly appContext?: string;
}

/** CDS Hooks 2.0 card, as far as wetread writes it. */
export interface Card {
  readonly uuid: string;
  readonly summary: string;
  readonly detail?: string;
  readonly indicator: 'info' | 'warning';
  readonly source: { readonly label: string; readonly url?: string; readonly topic: CardCoding };
  readonly suggestions?: readonly CardSuggestion[];
  readonly selectionBehavior?: 'at-most-one' | 'any';
  readonly overrideReasons?: readonly CardCoding[];
  readonly links?: readonly CardLink[];
}

/** Where the card's link leads; `smart` lets the EHR add iss and launch. Null = no link. */
export interface ReviewLink {
  readonly url: string;
  readonly type: 'absolute' | 'smart';
  /** Opaque, without patient data; only with `smart`. Null = none. */
  readonly appContext: string | null;
}

/** Whom a card is for: `role` is part of its uuid, since roles see different cards. */
export interface CardReader {
  readonly role: string;
  readonly link: ReviewLink | null;
}

export type CardTopic =
  | 'draft-ready'
  | 'draft-preparing'
  | 'draft-failed'
  | 'draft-superseded'
  | 'model-stopped'
  | 'not-read-in-time'
  | 'studies-not-read'
  | 'report-quoted'
  | 'modality-unsupported'
  | 'identity-conflict';

const topicDisplay: Readonly<Record<CardTopic, string>> = {
  'draft-ready': 'Draft report ready',
  'draft-preparing': 'Draft report being prepared',
  'draft-failed': 'No draft report could be made',
  'draft-superseded': 'A newer draft report exists',
  'model-stopped': 'The model was taken out of use',
  'not-read-in-time': 'Studies not read in time',
  'studies-not-read': 'Studies could not be read',
  'report-quoted': 'Study already reported',
  'modality-unsupported': 'No model for this modality',
  'identity-conflict': 'Images contradict the patient record',
};

/** The reasons offered when a person declines the draft. */
export const overrideReasons: readonly CardCoding[] = [
  { system: codeSystem.override, code: 'wrong-content', display: 'The draft is wrong' },
  { system: codeSystem.override, code: 'wrong-study', display: 'Not the study I need' },
  { system: codeSystem.override, code: 'not-needed', display: 'A draft is not needed' },
  { system: codeSystem.override, code: 'no-time', display: 'No time to read it now' },
];

/** Longest summary that is still under 140 characters. */
const summaryLimit = 139;

export function cardUuid(key: string, role: string): string {
  return uuidOf(`card/${key}/${role}`);
}

export function suggestionUuid(key: string, role: string): string {
  return uuidOf(`suggestion/${key}/${role}`);
}

export interface DraftCardOptions extends CardReader {
  /** Whether the reader's role may see statements on the card. */
  readonly seesStatements: boolean;
  /** Actions of the writer `suggestion`; null under the writer `outbox`, where acceptance releases the write. */
  readonly actions: readonly CardAction[] | null;
}

/** The card of a finished draft. */
export function draftCard(draft: Draft, options: DraftCardOptions): Card {
  const stamp = draft.model.stamped === 'test' ? `${stampNotice}. ` : '';
  const statements = released(draft);
  const detail = [
    draft.model.stamped === 'test' ? `**${stampNotice}**` : null,
    `**${draftNotice}.** ${escapeMarkdown(studyWords(draft.subject.study))}`,
    bullets(supersedesLines(draft)),
    bullets(draft.subject.reasons.map((reason) => `chosen: ${oneLine(reason)}`)),
    bullets(draft.priors.map((prior) => `compared with ${studyWords(prior.study)}: ${prior.reasons.map(oneLine).join('; ')}`)),
    options.seesStatements ? statementBlocks(draft, statements) : `${statements.length} statements; open the draft to read them.`,
    ...(options.seesStatements
      ? [
          escaped(heldWords(draft)),
          ...methodLines(draft).map(escapeMarkdown),
          bullets(draft.warnings.map((warning) => `warning: ${warning.message}`)),
        ]
      : []),
  ];
  return serialised({
    uuid: cardUuid(draft.key, options.role),
    summary: summary(`${draftNotice}: ${stamp}draft report for ${studyWords(draft.subject.study)}`),
    detail: joined(detail),
    indicator: 'info',
    source: sourceOf('draft-ready'),
    suggestions: [
      {
        label: 'Accept the draft report',
        uuid: suggestionUuid(draft.key, options.role),
        ...(options.actions === null ? {} : { actions: options.actions }),
      },
    ],
    selectionBehavior: options.actions === null ? 'at-most-one' : 'any',
    overrideReasons,
    links: linksTo(options.link, 'Read the draft beside its images'),
  });
}

/** Said while the job runs on. `key` is the draft's key, known before the model starts. */
export function preparingCard(key: string, subject: RankedStudy, reader: CardReader): Card {
  return serialised({
    uuid: uuidOf(`preparing/${key}/${reader.role}`),
    summary: summary(`A draft report is being prepared for ${studyWords(subject.study)}`),
    detail: joined([bullets(subject.reasons.map((reason) => `chosen: ${oneLine(reason)}`))]),
    indicator: 'info',
    source: sourceOf('draft-preparing'),
    links: linksTo(reader.link, 'Follow the draft'),
  });
}

/** A study with a final report is quoted, never drafted over. `seesStatements` as for the draft: an impression is report text. */
export function quotedCard(quoted: QuotedReport, reader: CardReader & { readonly seesStatements: boolean }): Card {
  const issued = quoted.issued === null ? '' : `, reported ${quoted.issued.slice(0, 10)}`;
  const impression = quoted.impression === null ? null : oneLine(quoted.impression);
  return serialised({
    uuid: uuidOf(`quoted/${quoted.reference}/${reader.role}`),
    summary: summary(`Already reported: ${studyWords(quoted.study)}${issued}`),
    detail: joined([
      reader.seesStatements && impression !== null && impression !== '' ? `Impression of the report: ${escapeMarkdown(impression)}` : null,
      `Report: ${escapeMarkdown(quoted.reference)}`,
    ]),
    indicator: 'info',
    source: sourceOf('report-quoted'),
    links: linksTo(reader.link, 'Open the report'),
  });
}

/** A study that bears on the order and that no bundle reads: said, without a suggestion. */
export function unsupportedCard(study: Study, reader: CardReader): Card {
  return serialised({
    uuid: uuidOf(`modality-unsupported/${study.uid}/${reader.role}`),
    summary: summary(`No draft: no model here reads ${studyWords(study)}`),
    detail: escapeMarkdown(
      `The study bears on this order and nobody has reported it, but no model of this site reads ${study.modalities.map(oneLine).join('/') || 'it'}. It needs a human reader.`,
    ),
    indicator: 'info',
    source: sourceOf('modality-unsupported'),
    links: linksTo(reader.link, 'Open'),
  });
}

/** Images whose headers contradict the patient's record: nothing of them is released, neither values nor text. `fields` names what differs. */
export function conflictCard(study: Pick<Study, 'uid'>, fields: readonly string[], reader: CardReader): Card {
  return serialised({
    uuid: uuidOf(`identity-conflict/${study.uid}/${reader.role}`),
    summary: summary('Images filed under this patient contradict the patient record; nothing was drafted from them'),
    detail: joined([
      fields.length === 0 ? null : escapeMarkdown(`What differs: ${fields.map(oneLine).join(', ')}.`),
      'The study must be checked by the department that keeps the images before anyone reads it under this patient.',
    ]),
    indicator: 'warning',
    source: sourceOf('identity-conflict'),
    links: linksTo(reader.link, 'Open'),
  });
}

/** A copy without null, empty strings, empty arrays and empty objects: CDS Hooks wants such members absent. */
export function serialised<T extends object>(value: T): T {
  // The result has the shape of its input less optional members that were empty, which exactOptionalPropertyTypes cannot express.
  return (pruned(value) ?? {}) as T;
}

function pruned(value: unknown): unknown {
  if (value === null || value === undefined || value === '') return undefined;
  if (Array.isArray(value)) {
    const items = value.map(pruned).filter((item) => item !== undefined);
    return items.length === 0 ? undefined : items;
  }
  if (typeof value !== 'object') return value;
  const entries = Object.entries(value)
    .map(([name, member]) => [name, pruned(member)] as const)
    .filter(([, member]) => member !== undefined);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

function statementBlocks(draft: Draft, statements: readonly Statement[]): string {
  const blocks = sections
    .map((section) => ({ section, own: statements.filter((statement) => statement.section === section) }))
    .filter(({ own }) => own.length > 0)
    .map(
      ({ section, own }) =>
        `**${sectionTitle[section]}**\n\n${own.map((statement) => `- ${escapeMarkdown(statement.text)} *(${escapeMarkdown(dependenceWords(statement))})*`).join('\n')}`,
    );
  const images = draft.images.map((image, index) => `- ${escapeMarkdown(`image ${index + 1}: ${imageWords(image)}`)}`);
  return joined([...blocks, images.length === 0 ? null : `**Images**\n\n${images.join('\n')}`]);
}

export function summary(text: string): string {
  const line = oneLine(text);
  if (line.length <= summaryLimit) return line;
  // Cut by characters, not UTF-16 units, so that no half of a pair is left over.
  let cut = '';
  for (const character of line) {
    if (cut.length + character.length + 1 > summaryLimit) break;
    cut += character;
  }
  return `${cut}…`;
}

export function sourceOf(topic: CardTopic): Card['source'] {
  return { label: 'wetread', topic: { system: codeSystem.card, code: topic, display: topicDisplay[topic] } };
}

export function linksTo(link: ReviewLink | null, label: string): readonly CardLink[] {
  if (link === null) return [];
  const appContext = link.type === 'smart' && link.appContext !== null ? { appContext: link.appContext } : {};
  return [{ label, url: link.url, type: link.type, ...appContext }];
}

function bullets(lines: readonly string[]): string | null {
  return lines.length === 0 ? null : lines.map((line) => `- ${escapeMarkdown(line)}`).join('\n');
}

function escaped(line: string | null): string | null {
  return line === null ? null : escapeMarkdown(line);
}

function joined(blocks: readonly (string | null)[]): string {
  return blocks.filter((block) => block !== null && block !== '').join('\n\n');
}
