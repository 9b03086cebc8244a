/**
 * Foreign text inside GitHub-flavoured markdown, as a card's detail is: nothing of it may become markup, HTML, a link or an image.
 *
 * A backslash is not enough for links: renderers look for `www.`, `http://` and `name@host` in the finished text, so these are broken with
 * a zero-width space. Marks that matter only at the start of a line are escaped there only, so that clients showing plain text stay readable.
 *
 * Source: GFM 0.29 sections 2.4, 6.9 and 6.10; CommonMark 4.2, 4.3, 5.2.
 */
import { oneLine } from './words.ts';

const zeroWidthSpace = '\u200B';

/** One line of text that renders as itself, after a list mark or alone. */
export function escapeMarkdown(text: string): string {
  return oneLine(text)
    .replace(/[\\`*_{}[\]<>|~&]/g, '\\$&')
    .replace(/^([-+#=])/, '\\$1')
    .replace(/^(\d+)([.)])/, '$1\\$2')
    .replace(/:\/\//g, `:${zeroWidthSpace}//`)
    .replace(/(mailto|xmpp):/gi, `$1${zeroWidthSpace}:`)
    .replace(/www\./gi, (match) => `${match.slice(0, 3)}${zeroWidthSpace}.`)
    .replaceAll('@', `${zeroWidthSpace}@`);
}
