import fc from 'fast-check';
import { expect, test } from 'vitest';
import { escapeMarkdown } from '#report/markdown.ts';

test.each([
  ['<img src=x onerror=alert(1)>', '\\<img src=x onerror=alert(1)\\>'],
  ['![x](https://evil.example/p.png)', '!\\[x\\](https:\u200B//evil.example/p.png)'],
  ['[click](javascript:alert(1))', '\\[click\\](javascript:alert(1))'],
  ['see www.evil.example', 'see www\u200B.evil.example'],
  ['mail a@evil.example', 'mail a\u200B@evil.example'],
  ['# heading', '\\# heading'],
  ['1. first', '1\\. first'],
  ['12) twelfth', '12\\) twelfth'],
  ['- item', '\\- item'],
  ['=====', '\\====='],
  ['~~gone~~', '\\~\\~gone\\~\\~'],
  ['a | b', 'a \\| b'],
  ['`code` and *stars* and _lines_', '\\`code\\` and \\*stars\\* and \\_lines\\_'],
  ['&lt;b&gt;', '\\&lt;b\\&gt;'],
  ['line\n\n# heading\u2028x', 'line # heading x'],
  ['\u202Egnp.exe', 'gnp.exe'],
  ['left-sided, 3.5 cm (stable)!', 'left-sided, 3.5 cm (stable)!'],
])('%j is written as text', (text, escaped) => {
  expect(escapeMarkdown(text)).toBe(escaped);
});

test('no text leaves a mark unescaped, a second line, or anything that a renderer links by itself', () => {
  const marks = fc.string({
    unit: fc.constantFrom(...'\\`*_{}[]<>|~&#-+=.)1 \n\ra@:/w!'.split(''), 'www.', 'http://', '\u200B'),
    maxLength: 40,
  });
  fc.assert(
    fc.property(marks, (text) => {
      const escaped = escapeMarkdown(text);
      expect(escaped.replace(/\\[\\`*_{}[\]<>|~&#\-+=.)]/g, '')).not.toMatch(/[\\`*_{}[\]<>|~&]/);
      expect(escaped).not.toMatch(/[\r\n]|:\/\/|www\.|(?<!\u200B)@/i);
      expect(escaped).not.toMatch(/^([#=+-]|\d+[.)])/);
    }),
  );
});
