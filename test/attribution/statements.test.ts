import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { sentencesOf, tokenRanges } from '#attribution/statements.ts';

const texts = (text: string) => sentencesOf(text).map((one) => one.text);
const bySection = (text: string) => sentencesOf(text).map(({ section, text: words }) => [section, words]);

describe('a sentence ends', () => {
  test.each<[string, string[]]>([
    ['One. Two! Three? Four', ['One.', 'Two!', 'Three?', 'Four']],
    ['one. two', ['one.', 'two']],
    ['A\nB', ['A', 'B']],
    ['A nodule of 1.5 cm. No effusion.', ['A nodule of 1.5 cm.', 'No effusion.']],
    ['It measures approx. 3 mm vs. 2 mm before.', ['It measures approx. 3 mm vs. 2 mm before.']],
    ['See fig. 2. Then rest.', ['See fig. 2.', 'Then rest.']],
    ['In the R. lung. Clear.', ['In the R. lung.', 'Clear.']],
    ['Effusion: no. Nodule: yes.', ['Effusion: no.', 'Nodule: yes.']],
    ['Image no. 3 shows it.', ['Image no. 3 shows it.']],
    ['Signs of T.B. are absent.', ['Signs of T.B. are absent.']],
    ['1. Nodule.\n2. Effusion.', ['Nodule.', 'Effusion.']],
    ['- Nodule\n* Effusion', ['Nodule', 'Effusion']],
    ['Clear (both lungs.) Next.', ['Clear (both lungs.)', 'Next.']],
    ['左肺清晰。心影正常。', ['左肺清晰。', '心影正常。']],
    ['Wait... No.', ['Wait...', 'No.']],
    ['approx.\nNext', ['approx.', 'Next']],
    ['**Bold.** Plain.', ['Bold.', 'Plain.']],
    ['. - : \n\n', []],
    ['', []],
  ])('%j', (text, expected) => expect(texts(text)).toEqual(expected));
});

describe('headings', () => {
  test('open a section and are no sentence, in a line of their own or before a sentence', () => {
    expect(bySection('FINDINGS\nClear.\nComparison: None.\n**Impression:** Normal. Done.')).toEqual([
      ['findings', 'Clear.'],
      ['comparison', 'None.'],
      ['impression', 'Normal.'],
      ['impression', 'Done.'],
    ]);
  });
  test('stand also behind a sentence', () => {
    expect(bySection('Findings: Clear. Impression: Normal.')).toEqual([
      ['findings', 'Clear.'],
      ['impression', 'Normal.'],
    ]);
  });
  test('text before any is findings', () => expect(bySection('Clear lungs.')).toEqual([['findings', 'Clear lungs.']]));
  test('the name of a part stays with its sentence, alone it is none', () => {
    expect(bySection('Lungs:\nHeart: Normal size.')).toEqual([['findings', 'Heart: Normal size.']]);
  });
  test('a word of a heading inside a sentence is none', () => {
    expect(bySection('The findings are stable. Impression of a mass.')).toEqual([
      ['findings', 'The findings are stable.'],
      ['findings', 'Impression of a mass.'],
    ]);
  });
});

/** Text in pieces as a tokenizer would cut it, and the span of each. */
const cut = fc
  .array(fc.constantFrom('Clear', ' lungs', '.', '\n', ' No', ' 1', '.5', ' cm', 'Impression', ':', ' ', '', '.\n', ' Dr', '. No'), {
    maxLength: 40,
  })
  .map((pieces) => {
    let at = 0;
    const spans = pieces.map((piece) => {
      at += piece.length;
      return [at - piece.length, at] as const;
    });
    return { text: pieces.join(''), spans };
  });

test('sentences are in order, disjoint, and are what stands at their place', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        cut.map(({ text }) => text),
      ),
      (text) => {
        let last = 0;
        for (const { start, end, text: words } of sentencesOf(text)) {
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThan(start);
          expect(text.slice(start, end)).toBe(words);
          expect(words).not.toContain('\n');
          last = end;
        }
      },
    ),
    { numRuns: 2000 },
  );
});

test('token ranges are disjoint and in order, and hold every token that lies inside the sentence', () => {
  fc.assert(
    fc.property(cut, ({ text, spans }) => {
      const sentences = sentencesOf(text);
      const ranges = tokenRanges(sentences, spans);
      let last = 0;
      for (const [index, [from, to]] of ranges.entries()) {
        const { start, end } = sentences[index] ?? { start: 0, end: 0 };
        expect(from).toBeGreaterThanOrEqual(last);
        expect(to).toBeGreaterThanOrEqual(from);
        for (const [token, [a, b]] of spans.entries()) {
          if (a >= start && b <= end && b > a) expect(token >= from && token < to).toBe(true);
        }
        last = to;
      }
    }),
    { numRuns: 2000 },
  );
});
