/** The impression of a DiagnosticReport: its conclusion, else the section of that name in its text. At most 1,000 characters. */
import type { DiagnosticReportResource } from './resources.ts';

const maxChars = 1000;
const heading = /(?:^|\n|\.\s)\s*(?:impressions?|conclusions?|opinion)\s*:?\s*\n?/i;
const nextHeading = /\n\s*(?:[A-Z][A-Z ]{3,}|[A-Z][a-z]+(?: [a-z]+)?)\s*:/;

const entities: Readonly<Record<string, string>> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'", '&nbsp;': ' ' };

/** Text of simple HTML: blocks end lines, tags go, the five common entities are read. Never shown as HTML again. */
function textOfHtml(html: string): string {
  return html
    .replace(/<(script|style)[\s\S]*?<\/\1>/gi, '')
    .replace(/<br\s*\/?>|<\/(p|div|li|h\d|tr)>/gi, '\n')
    .replace(/<[^>]*>/g, '')
    .replace(/&(?:amp|lt|gt|quot|#39|nbsp);/g, (entity) => entities[entity] ?? entity);
}

function sectionOf(text: string): string | null {
  const start = heading.exec(text);
  if (start === null) return null;
  const rest = text.slice(start.index + start[0].length);
  const end = nextHeading.exec(rest);
  return (end === null ? rest : rest.slice(0, end.index)).trim() || null;
}

function tidy(text: string): string {
  const line = text.replace(/\s+/g, ' ').trim();
  return line.length > maxChars ? `${line.slice(0, maxChars - 1)}…` : line;
}

/** One line, null when the report has none that can be read without fetching anything. */
export function impressionOf({ conclusion, presentedForm, text }: DiagnosticReportResource): string | null {
  if (conclusion !== null) return tidy(conclusion);
  for (const { contentType, data } of presentedForm) {
    if (data === null || !/^text\/(plain|html)\b/.test(contentType ?? '')) continue;
    const decoded = Buffer.from(data, 'base64').toString('utf8');
    const section = sectionOf(contentType?.startsWith('text/html') ? textOfHtml(decoded) : decoded);
    if (section !== null) return tidy(section);
  }
  const narrative = text?.div ? sectionOf(textOfHtml(text.div)) : null;
  return narrative === null ? null : tidy(narrative);
}
