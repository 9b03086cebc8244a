/** What a person sees when a launch or a page is refused: one sentence, the code, what to do; never a stack, never markup from outside. */
import { codeOf, WetreadError } from '#domain/errors.ts';

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

export function refusalPage(error: unknown): string {
  const known = error instanceof WetreadError;
  const message = known ? error.message : 'wetread could not do this';
  const hint = known && error.hint !== null ? error.hint : 'open the link on the card again';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>wetread: nothing to show</title><meta name="viewport" content="width=device-width"></head>
<body><main><h1>Nothing is shown</h1><p>${escapeHtml(message)}.</p><p>What to do: ${escapeHtml(hint)}.</p><p>Code: <code>${codeOf(error)}</code></p></main></body></html>
`;
}
