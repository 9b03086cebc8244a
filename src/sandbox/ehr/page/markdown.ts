/** The little of markdown that cards use, as nodes and never as HTML: paragraphs, lists, bold, emphasis, backslash escapes. */
import { type ComponentChild, h } from 'preact';

const inlineForm = /\\([!-/:-@[-`{-~])|\*\*((?:\\.|[^*\\])+)\*\*|\*((?:\\.|[^*\\])+)\*/g;

function inline(text: string): ComponentChild[] {
  const nodes: ComponentChild[] = [];
  let at = 0;
  for (const match of text.matchAll(inlineForm)) {
    if (match.index > at) nodes.push(text.slice(at, match.index));
    const [whole, escaped, strong, emphasis] = match;
    if (escaped !== undefined) nodes.push(escaped);
    else if (strong !== undefined) nodes.push(h('strong', null, inline(strong)));
    else if (emphasis !== undefined) nodes.push(h('em', null, inline(emphasis)));
    at = match.index + whole.length;
  }
  if (at < text.length) nodes.push(text.slice(at));
  return nodes;
}

export function markdown(text: string): ComponentChild[] {
  return text.split(/\n{2,}/).map((block, index) => {
    const lines = block.split('\n');
    if (lines.every((line) => line.startsWith('- '))) {
      return h(
        'ul',
        { key: index },
        lines.map((line, item) => h('li', { key: item }, inline(line.slice(2)))),
      );
    }
    return h('p', { key: index }, inline(lines.join(' ')));
  });
}
