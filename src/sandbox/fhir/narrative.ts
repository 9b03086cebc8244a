/**
 * The XHTML of a narrative held against FHIR's allow-list: one div, basic formatting, no script, style sheet, form, event handler or
 * outside object. It is a scan of tags, not a parser of HTML: what is not well-formed is refused.
 *
 * Source: FHIR R4 narrative 2.4.1, invariants txt-1 and txt-2.
 */

const tags = new Set(
  'a abbr acronym b big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i img li ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var'.split(
    ' ',
  ),
);
const attributes = new Set(
  'xmlns title lang xml:lang dir accesskey tabindex span width align valign char charoff abbr axis headers scope rowspan colspan cellpadding cellspacing border frame rules summary href name rel src alt id class style cite type start value'.split(
    ' ',
  ),
);
const open = /^<([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>/;
const close = /^<\/([a-zA-Z][a-zA-Z0-9]*)\s*>/;

function attributeFault(text: string): string | null {
  for (const [, name = '', , double, single] of text.matchAll(/\s+([a-zA-Z:-]+)\s*=\s*("([^"]*)"|'([^']*)')/g)) {
    if (!attributes.has(name)) return `attribute ${name} is not allowed`;
    const value = (double ?? single ?? '').trim();
    if (
      (name === 'href' || name === 'src') &&
      /^[a-z][a-z0-9+.-]*:/i.test(value) &&
      !/^(https?|mailto|tel|data:image\/|urn):?/i.test(value)
    ) {
      return `${name} may not be ${value.slice(0, 40)}`;
    }
    if (name === 'style' && /expression|url\s*\(|@import/i.test(value)) return 'style may not load or compute anything';
  }
  return null;
}

/** What is wrong with a narrative's div, null = nothing. */
export function narrativeFault(div: string): string | null {
  const text = div.trim();
  if (!/^<div[\s>]/.test(text) || !text.includes('http://www.w3.org/1999/xhtml'))
    return 'expected one <div xmlns="http://www.w3.org/1999/xhtml">';
  const stack: string[] = [];
  let words = false;
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    if (at > 0 && stack.length === 0) return 'there is content after the closing </div>';
    if (rest.startsWith('<!--')) {
      const end = rest.indexOf('-->');
      if (end < 0) return 'a comment does not end';
      at += end + 3;
      continue;
    }
    if (!rest.startsWith('<')) {
      const next = rest.indexOf('<');
      const piece = next < 0 ? rest : rest.slice(0, next);
      if (/&(?!#\d+;|#x[0-9a-fA-F]+;|[a-zA-Z][a-zA-Z0-9]*;)/.test(piece)) return 'an & is not escaped';
      words ||= piece.trim() !== '';
      at += piece.length;
      continue;
    }
    const closing = close.exec(rest);
    if (closing !== null) {
      const expected = stack.pop();
      if (expected !== closing[1]) return `found </${closing[1]}>, expected </${expected ?? ''}>`;
      at += closing[0].length;
      continue;
    }
    const opening = open.exec(rest);
    if (opening === null) return `not well-formed at ${JSON.stringify(rest.slice(0, 30))}`;
    const [whole, name = '', attributeText = '', empty] = opening;
    if (!tags.has(name)) return `element ${name} is not allowed`;
    const fault = attributeFault(attributeText);
    if (fault !== null) return fault;
    words ||= name === 'img';
    if (empty === '') stack.push(name);
    at += whole.length;
  }
  if (stack.length > 0) return `<${stack.at(-1)}> is not closed`;
  return words ? null : 'the narrative has no text';
}
