import fc from 'fast-check';
import type { ComponentChild } from 'preact';
import { expect, it } from 'vitest';
import { escapeMarkdown } from '#report/markdown.ts';
import { oneLine } from '#report/words.ts';
import { markdown } from '#sandbox/ehr/page/markdown.ts';

/** Element names and text of a tree, in order. */
function flat(node: ComponentChild): { readonly names: readonly string[]; readonly text: string } {
  if (typeof node === 'string') return { names: [], text: node };
  if (Array.isArray(node)) {
    const parts = node.map(flat);
    return { names: parts.flatMap(({ names }) => names), text: parts.map(({ text }) => text).join('') };
  }
  if (typeof node !== 'object' || node === null || !('type' in node)) throw new Error(`found ${typeof node}, expected text or an element`);
  const children = flat(node.props.children as ComponentChild); // what the renderer puts there is text, elements or a list of them
  return { names: [String(node.type), ...children.names], text: children.text };
}

it('whatever the text, only paragraphs, lists, bold and emphasis are made', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom('*', '\\', '\n', '- ', '<b>', '[x](y)', '`', 'a', ' ') }), (text) => {
      const { names } = flat(markdown(text));
      expect(names.filter((name) => !['p', 'ul', 'li', 'strong', 'em'].includes(name))).toEqual([]);
    }),
  );
});

it('text that was escaped for a card is shown as it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      // The zero-width spaces that keep renderers from making links are no part of the text.
      expect(flat(markdown(escapeMarkdown(text))).text.replaceAll('\u200B', '')).toBe(oneLine(text));
    }),
  );
});

it('bold, emphasis, lists and escapes are what a card writes', () => {
  const { names, text } = flat(markdown('**a \\* b** c\n\n- *e*\n- f'));
  expect(names).toEqual(['p', 'strong', 'ul', 'li', 'em', 'li']);
  expect(text).toBe('a * b cef');
});
