/** What a person sees when a launch or a page is refused: one sentence, the code, what to do; never a stack, never markup from outside. */
import { createHash } from 'node:crypto';
import type { Response } from 'express';
import { codeOf, statusOf, WetreadError } from '#domain/errors.ts';

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

const style =
  ':root{color-scheme:light dark}body{margin:0;font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}main{max-width:34em;margin:12vh auto;padding:0 20px}h1{font-size:20px}';
const policy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'`;

function refusalPage(error: unknown): string {
  const known = error instanceof WetreadError;
  const message = known ? error.message : 'wetread could not do this';
  const hint = known && error.hint !== null ? error.hint : 'open the link on the card again';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>wetread: nothing to show</title><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><style>${style}</style></head>
<body><main><h1>Nothing is shown</h1><p>${escapeHtml(message)}.</p><p>What to do: ${escapeHtml(hint)}.</p><p>Code: <code>${codeOf(error)}</code></p></main></body></html>
`;
}

/** Sends the page of a refusal with the status of its code. */
export function sendRefusal(response: Response, error: unknown): void {
  response
    .status(statusOf(error))
    .type('html')
    .set({ 'Cache-Control': 'no-store', 'Content-Security-Policy': policy, 'Referrer-Policy': 'no-referrer' })
    .send(refusalPage(error));
}
