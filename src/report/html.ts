/**
 * The draft as HTML: the narrative of FHIR resources (XHTML of the allowed few elements) and the page kept in `presentedForm`.
 *
 * Every word of a model, a header or a server goes through `escapeXml`; the markup is ours alone, and holds no script, style or image.
 *
 * Source: FHIR R4 Narrative, txt-1 and txt-2.
 */
import type { Draft } from '#domain/draft.ts';
import type { Statement } from '#domain/statement.ts';
import {
  dependenceWithImages,
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
  writableStatements,
} from './words.ts';

/** Text as XML character data or a double-quoted attribute's value. */
function escapeXml(text: string): string {
  return oneLine(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** A narrative of one paragraph a line. Lines are plain text. */
export function narrative(lines: readonly string[]): { status: 'generated'; div: string } {
  return { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${lines.map(paragraph).join('')}</div>` };
}

/**
 * Narrative of the whole draft, "AI draft, not verified" first.
 * @throws reference-unresolved
 */
export function draftNarrative(draft: Draft): { status: 'generated'; div: string } {
  return { status: 'generated', div: `<div xmlns="http://www.w3.org/1999/xhtml">${draftBody(draft, () => null)}</div>` };
}

/**
 * The draft as one HTML document, UTF-8, without script or outside content; image names link to `imageUrl` where it gives an address.
 * @throws reference-unresolved
 */
export function draftPage(draft: Draft, imageUrl: (image: Draft['images'][number]) => string | null): string {
  const title = escapeXml(`${draftNotice}: ${studyWords(draft.subject.study)}`);
  return `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"/><title>${title}</title></head><body>${draftBody(draft, imageUrl)}</body></html>`;
}

function draftBody(draft: Draft, imageUrl: (image: Draft['images'][number]) => string | null): string {
  const held = heldWords(draft);
  return [
    `<p><b>${draftNotice}</b></p>`,
    draft.model.stamped === 'test' ? `<p><b>${stampNotice}</b></p>` : '',
    paragraph(`${studyWords(draft.subject.study)}. Chosen because: ${draft.subject.reasons.map(oneLine).join('; ') || 'no reason given'}.`),
    ...supersedesLines(draft).map(paragraph),
    ...draft.priors.map((prior) => paragraph(`Compared with: ${studyWords(prior.study)}: ${prior.reasons.map(oneLine).join('; ')}.`)),
    ...sections.map((section) => sectionBlock(draft, section)),
    held === null ? '' : paragraph(held),
    imageList(draft, imageUrl),
    ...methodLines(draft).map(paragraph),
    list(
      'Left out',
      draft.leftOut.map((entry) => `${entry.what}: ${entry.reason}`),
    ),
    list(
      'Warnings',
      draft.warnings.map((warning) => warning.message),
    ),
    paragraph(`Written by ${draft.model.name} (bundle ${draft.model.bundle}, ${draft.model.digest}) at ${draft.generatedAt}.`),
  ].join('');
}

function sectionBlock(draft: Draft, section: Statement['section']): string {
  const statements = writableStatements(draft).filter((statement) => statement.section === section);
  if (statements.length === 0) return '';
  const items = statements.map(
    (statement) => `<li>${escapeXml(statement.text)} <i>[${escapeXml(dependenceWithImages(draft, statement))}]</i></li>`,
  );
  return `<p><b>${sectionTitle[section]}</b></p><ul>${items.join('')}</ul>`;
}

function imageList(draft: Draft, imageUrl: (image: Draft['images'][number]) => string | null): string {
  const items = draft.images.map((image, index) => {
    const words = escapeXml(`Image ${index + 1}: ${imageWords(image)}`);
    const url = imageUrl(image);
    return `<li>${url === null ? words : `<a href="${escapeXml(url)}">${words}</a>`}</li>`;
  });
  return items.length === 0 ? '' : `<p><b>Images the model saw</b></p><ul>${items.join('')}</ul>`;
}

function list(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `<p><b>${title}</b></p><ul>${lines.map((line) => `<li>${escapeXml(line)}</li>`).join('')}</ul>`;
}

function paragraph(line: string): string {
  return `<p>${escapeXml(line)}</p>`;
}
