/**
 * Left, right or both, read from a bodySite or from the part of an order's text that names the exam.
 *
 * "Rule out left pneumothorax" is a reason, not the exam's side: the text is cut where a reason begins.
 */
import type { Code } from '#domain/code.ts';
import type { Side } from '#domain/order.ts';

/** SNOMED CT, PS3.16 CID 244; letters as in DICOM Laterality. */
const sideCodes: Readonly<Record<string, Side>> = {
  '24028007': 'right',
  '7771000': 'left',
  '51440002': 'bilateral',
  R: 'right',
  L: 'left',
  B: 'bilateral',
};

const reasonBegins =
  /\b(rule ?out|r\/o|ro|for|to|eval(uate|uation)?|assess|assessment|exclude|suspect(ed|s)?|suspicion|question(able)?|concern(ing)?|concerned|due|because|history|hx|h\/o|indication|reason|follow[- ]?up|f\/u|after|post|s\/p|status|with|pain|since|check)\b|\?/i;

/** The words before a reason begins: "XR chest PA - rule out left pneumothorax" -> "XR chest PA - ". May be empty. */
export function examPart(text: string): string {
  const at = text.search(reasonBegins);
  return at < 0 ? text : text.slice(0, at);
}

/** Side named by a text; both named = bilateral. */
export function sideOfText(text: string): Side | null {
  if (/\b(bilateral|both)\b/i.test(text)) return 'bilateral';
  // LT, RT and the bare letters only in capitals: "l" and "r" are too much else.
  const left = /\b(left|sinistra)\b/i.test(text) || /\b(LT|L)\b/.test(text);
  const right = /\b(right|dextra)\b/i.test(text) || /\b(RT|R)\b/.test(text);
  if (left && right) return 'bilateral';
  return left ? 'left' : right ? 'right' : null;
}

/** Side by its code; null = it is no laterality code. */
export function sideOfCode(code: Code): Side | null {
  return sideCodes[code.code] ?? null;
}

/** Side of an order: a laterality code of its bodySite, else the words of bodySite, else the exam part of its texts. */
export function sideOfOrder(sites: readonly Code[], siteTexts: readonly string[], texts: readonly string[]): Side | null {
  const coded = sites.map(sideOfCode).find((side) => side !== null);
  if (coded !== undefined) return coded;
  for (const text of [...sites.flatMap(({ display }) => display ?? []), ...siteTexts, ...texts.map(examPart)]) {
    const side = sideOfText(text);
    if (side !== null) return side;
  }
  return null;
}
