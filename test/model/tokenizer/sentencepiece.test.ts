import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convertSentencePiece } from '#model/tokenizer/sentencepiece.ts';
import { openTokenizer } from '#model/tokenizer/tokenizer.ts';
import { golden } from '../folder.ts';

const model = await readFile(join(golden, 'llava/original-llama-bin2/checkpoint/tokenizer.model'));

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}

function field(number: number, value: number | readonly number[]): number[] {
  return typeof value === 'number'
    ? [...varint(number * 8), ...varint(value)]
    : [...varint(number * 8 + 2), ...varint(value.length), ...value];
}

interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type?: number;
}

/** A model of the given pieces; `modelType` 2 is BPE. */
function modelOf(
  pieces: readonly Piece[],
  options: { modelType?: number; characterMap?: boolean; removesSpaces?: boolean } = {},
): Uint8Array {
  const encoded = pieces.flatMap(({ text, score, type }) => {
    const bits = [...new Uint8Array(Float32Array.of(score).buffer)];
    return field(1, [
      ...field(1, [...new TextEncoder().encode(text)]),
      ...varint(2 * 8 + 5),
      ...bits,
      ...(type === undefined ? [] : field(3, type)),
    ]);
  });
  const normaliser = [...field(4, options.removesSpaces === true ? 1 : 0), ...(options.characterMap === true ? field(2, [1, 2]) : [])];
  return Uint8Array.from([...encoded, ...field(2, field(3, options.modelType ?? 2)), ...field(3, normaliser)]);
}

const control: readonly Piece[] = [
  { text: '<unk>', score: 0, type: 2 },
  { text: '<s>', score: 0, type: 3 },
  { text: '</s>', score: 0, type: 3 },
];
const bytes: readonly Piece[] = Array.from({ length: 256 }, (_, byte) => ({
  text: `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  score: 0,
  type: 6,
}));

function tokenizerOf(pieces: readonly Piece[], legacy = true) {
  return openTokenizer(convertSentencePiece(modelOf([...control, ...bytes, ...pieces]), { legacy, addBos: true }), {});
}

/** SentencePiece's own algorithm: join the best-scored pair, leftmost first, until none is left. */
function reference(text: string, pieces: readonly Piece[]): string[] {
  const scores = new Map(pieces.map((piece) => [piece.text, piece.score]));
  const parts = [...`▁${text}`.replaceAll(' ', '▁')];
  for (;;) {
    let best = -1;
    for (let i = 0; i + 1 < parts.length; i++) {
      const score = scores.get(`${parts[i]}${parts[i + 1]}`);
      if (score !== undefined && (best < 0 || score > (scores.get(`${parts[best]}${parts[best + 1]}`) ?? 0))) best = i;
    }
    if (best < 0) return parts;
    parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
  }
}

describe('merges', () => {
  test('a pair is joined in the order of the score of its join, as SentencePiece does', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', ' '), minLength: 2, maxLength: 4 }).map((text) => text.replaceAll(' ', '▁'));
    const characters = ['▁', 'a', 'b'].map((text, i) => ({ text, score: -100 - i }));
    fc.assert(
      fc.property(
        fc.uniqueArray(word, { maxLength: 8 }),
        fc.string({ unit: fc.constantFrom('a', 'b', ' '), minLength: 1, maxLength: 14 }),
        (words, text) => {
          // Ids do not follow scores: 5 i mod 8 is a permutation of 0 to 7.
          const pieces = [...characters, ...words.map((piece, i) => ({ text: piece, score: -((5 * i) % 8) }))];
          const tokenizer = tokenizerOf(pieces);
          const expected = reference(text, pieces).map((part) => tokenizer.idOf(part));
          expect(tokenizer.encode(text, false)).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('what has no piece falls back to its bytes', () => {
    const tokenizer = tokenizerOf([{ text: '▁', score: 0 }]);
    expect(tokenizer.encode('é', true)).toEqual([1, tokenizer.idOf('▁'), tokenizer.idOf('<0xC3>'), tokenizer.idOf('<0xA9>')]);
    expect(tokenizer.decode(tokenizer.encode('é', true)).text).toBe('é');
  });

  test('any text comes back from its tokens', () => {
    const tokenizer = openTokenizer(convertSentencePiece(model, { legacy: true, addBos: true }), {});
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), (text) => {
        // U+2581 is the tokenizer's own mark for a space, so a text that holds it cannot come back.
        if (text.includes('▁')) return;
        expect(tokenizer.decode(tokenizer.encode(text, true)).text).toBe(text);
      }),
    );
  });
});

describe('special tokens and the dummy prefix', () => {
  test('a BOS without a name is the unknown token, as the tokenizer of 2023 took it', () => {
    const tokenizer = openTokenizer(convertSentencePiece(model, { legacy: true, addBos: true, bos: '' }), {});
    expect(tokenizer.encode('a', true)[0]).toBe(tokenizer.idOf('<unk>'));
    expect(tokenizer.encode('a', true).slice(1)).toEqual(tokenizer.encode('a', false));
  });

  test('legacy: text after a special token gets a dummy prefix again; otherwise only the first text does', () => {
    const pieces = [
      { text: '▁', score: 0 },
      { text: 'a', score: 0 },
    ];
    const [end = null, space = null, a = null] = ['</s>', '▁', 'a'].map((token) => tokenizerOf(pieces).idOf(token));
    expect(tokenizerOf(pieces, true).encode('a</s>a', false)).toEqual([space, a, end, space, a]);
    expect(tokenizerOf(pieces, false).encode('a</s>a', false)).toEqual([space, a, end, a]);
  });

  test('BOS comes once, and only when it is asked for', () => {
    const tokenizer = tokenizerOf([{ text: '▁', score: 0 }]);
    expect(tokenizer.encode(' ', true)[0]).toBe(1);
    expect(tokenizer.encode(' ', false)[0]).not.toBe(1);
    expect(tokenizer.encode('', true)).toEqual([1]);
    expect(tokenizer.encode('', false)).toEqual([]);
  });
});

describe('refused by name', () => {
  test.each([
    ['a unigram model', modelOf(control, { modelType: 1 }), /unigram/],
    ['a normaliser with a character map', modelOf(control, { characterMap: true }), /character map/],
    ['a normaliser that removes spaces', modelOf(control, { removesSpaces: true }), /extra spaces/],
    ['an empty file', new Uint8Array(0), /holds no pieces/],
    ['a truncated file', model.subarray(0, 1000), /truncated/],
  ])('%s', (_, file, message) => {
    expect(() => convertSentencePiece(file, { legacy: true, addBos: true })).toThrow(
      expect.objectContaining({ code: 'tokenizer-unsupported', message: expect.stringMatching(message) }),
    );
  });

  test('any bytes are a model or a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (file) => {
        try {
          convertSentencePiece(file, { legacy: true, addBos: true });
        } catch (error) {
          expect(error).toMatchObject({ code: 'tokenizer-unsupported' });
        }
      }),
      { numRuns: 300 },
    );
  });
});
