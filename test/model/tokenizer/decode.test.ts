import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DecoderRule, decoderRule, decodeTokens } from '#model/tokenizer/decode.ts';

const byteLevel: DecoderRule = { kind: 'byte-level', stripStart: 0, cleanUp: false, brokenBytes: 'run' };
const sentencePiece: DecoderRule = { kind: 'sentencepiece', stripStart: 1, cleanUp: false, brokenBytes: 'run' };

/** GPT-2's printable form of a text. */
function spelled(bytes: Uint8Array): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const others = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => !printable(byte));
  return [...bytes].map((byte) => String.fromCharCode(printable(byte) ? byte : 256 + others.indexOf(byte)));
}

/** A text cut anywhere between its bytes. */
const cutText = fc.tuple(fc.string({ unit: 'grapheme', maxLength: 12 }), fc.array(fc.nat(40), { maxLength: 6 })).map(([text, cuts]) => {
  const bytes = new TextEncoder().encode(text);
  const ends = [...new Set([...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return { text, pieces: ends.map((end, i) => bytes.slice(ends[i - 1] ?? 0, end)) };
});

describe('spans', () => {
  test('however a text is cut into byte-level tokens, it comes back, and the spans tile it in order', () => {
    fc.assert(
      fc.property(cutText, ({ text, pieces }) => {
        const decoded = decodeTokens(
          pieces.map((piece) => spelled(piece).join('')),
          byteLevel,
        );
        expect(decoded.text).toBe(text);
        let position = 0;
        for (const [start, end] of decoded.spans) {
          expect(start).toBe(position);
          expect(end).toBeGreaterThanOrEqual(start);
          position = end;
        }
        expect(position).toBe(text.length);
      }),
    );
  });

  test('a character of several tokens belongs to the token that completes it', () => {
    const [a = '', b = '', c = ''] = ['<0xE2>', '<0x82>', '<0xAC>'];
    expect(decodeTokens(['▁5', a, b, c, '!'], sentencePiece)).toEqual({
      text: '5€!',
      spans: [
        [0, 1],
        [1, 1],
        [1, 1],
        [1, 2],
        [2, 3],
      ],
    });
  });

  test('a token without text has an empty span where it stands', () => {
    expect(decodeTokens(['▁a', null, '▁b', null], sentencePiece)).toEqual({
      text: 'a b',
      spans: [
        [0, 1],
        [1, 1],
        [1, 3],
        [3, 3],
      ],
    });
  });

  test('spans count UTF-16 units', () => {
    expect(decodeTokens(['▁😀', '▁x'], sentencePiece).spans).toEqual([
      [0, 2],
      [2, 4],
    ]);
  });
});

describe('bytes that are no UTF-8', () => {
  test('byte fallback gives one replacement for each byte of the run, as the authors decode it', () => {
    expect(decodeTokens(['▁a', '<0xE2>', '<0x82>', 'b'], sentencePiece).text).toBe('a\ufffd\ufffdb');
    expect(decodeTokens(['<0x41>', '<0xFF>'], sentencePiece).text).toBe('\ufffd\ufffd');
  });

  test('SentencePiece itself replaces what is broken in the run, byte by byte, and keeps the rest', () => {
    const rule: DecoderRule = { ...sentencePiece, brokenBytes: 'byte' };
    expect(decodeTokens(['<0xE2>', '<0x82>', '<0x41>', '<0xC3>', '<0xA9>', '<0xFF>'], rule)).toEqual({
      text: '\ufffd\ufffdA\u00e9\ufffd',
      spans: [
        [0, 1],
        [1, 2],
        [2, 3],
        [3, 3],
        [3, 4],
        [4, 5],
      ],
    });
  });

  test('byte-level gives one replacement for each maximal part', () => {
    expect(decodeTokens([spelled(Uint8Array.of(0xe2, 0x82, 0x41, 0xff, 0xc0, 0xaf)).join('')], byteLevel).text).toBe(
      '\ufffdA\ufffd\ufffd\ufffd',
    );
  });

  test('any bytes decode as the platform decodes them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
        const expected = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
        expect(decodeTokens(spelled(bytes), byteLevel).text).toBe(expected);
      }),
      { numRuns: 300 },
    );
  });

  test('a replacement character that was written is no error', () => {
    expect(decodeTokens(['<0xEF>', '<0xBF>', '<0xBD>', '<0x41>'], sentencePiece).text).toBe('\ufffdA');
  });
});

describe('rules', () => {
  test('only the first space of the whole text is the dummy prefix', () => {
    expect(decodeTokens(['▁▁a', '▁▁b'], sentencePiece).text).toBe(' a  b');
  });

  test('clean_up_tokenization_spaces takes spaces away before punctuation, with their spans', () => {
    const rule = { ...sentencePiece, cleanUp: true };
    expect(decodeTokens(['▁do', "▁n't", '▁,', '▁it', "▁'s", '▁.'], rule)).toEqual({
      text: "don't, it's.",
      spans: [
        [0, 2],
        [2, 5],
        [5, 6],
        [6, 9],
        [9, 11],
        [11, 12],
      ],
    });
  });

  test('a decoder step that is not built is named', () => {
    expect(() => decoderRule({ type: 'Sequence', decoders: [{ type: 'Fuse' }, { type: 'CTC' }] }, false, 'run')).toThrow(/CTC/);
    expect(() => decoderRule(null, false, 'run')).toThrow(/is missing/);
  });
});
