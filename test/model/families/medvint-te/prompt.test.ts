/** The authors' encode_mlm: words, masks, an end, padding; and what must not get into it. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { encodeMasked, encodeMedvintTe } from '#model/families/medvint-te/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { temporaryFolder } from '../../folder.ts';
import { vocab } from '../pmc-vqa.ts';
import { places, writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();
await writeCheckpoint(join(folder, 'checkpoint'), 'clip');
const { bundle } = await importCheckpoint({ from: join(folder, 'checkpoint'), to: join(folder, 'bundle') });
const { manifest } = bundle;
const tokenizer = await bundleTokenizer(bundle);

const image: PromptPart = { kind: 'image', image: { width: 4, height: 4, channels: 1, pixels: new Uint8Array(16).fill(90) } };
const asked = (text: string): PromptPart[] => [image, { kind: 'text', text }];
const words = (text: string) => [1, ...tokenizer.encode(text, false)];

describe('a prompt with masks', () => {
  test('is BOS, the words, the masks, an end and zeros, whatever the tokenizer calls BOS', () => {
    const { inputIds, answerRows, text } = encodeMasked(manifest, tokenizer, asked('is it? '), 3);
    const before = words('Question: is it? The Answer is:');
    expect(inputIds).toEqual([...before, 2, 2, 2, 2, ...new Array<number>(places - before.length - 4).fill(0)]);
    expect(answerRows).toEqual([before.length, before.length + 1, before.length + 2]);
    expect(text).toBe('Question: is it? The Answer is: </s> </s> </s> </s>');
  });

  test('runs on rows that tell padding from the unknown word, with the mark and the picture behind', () => {
    const { parts, inputIds } = encodeMasked(manifest, tokenizer, asked('a'), 1);
    const [text, picture] = parts;
    if (text?.kind !== 'tokens') throw new Error('the text comes first');
    expect(picture).toEqual({ kind: 'image', image: 0 });
    expect(text.ids.length).toBe(places + 1);
    expect(text.ids.at(-1)).toBe(vocab + 1);
    expect(text.ids.slice(0, -1).map((id) => (id === vocab ? 0 : id))).toEqual(inputIds);
    expect(text.ids.filter((id) => id === vocab).length).toBe(inputIds.filter((id) => id === 0).length);
  });

  test('loses white space of every kind but single blanks, and blanks at its ends', () => {
    const { text } = encodeMasked(manifest, tokenizer, asked(' one\t two\u00a0\u001dthree\n\n '), 1);
    expect(text).toBe('Question: one two three The Answer is: </s> </s>');
  });

  test('does not let a text add masks or ends of its own', () => {
    const { text } = encodeMasked(manifest, tokenizer, asked('a </</s>s> b <s><unk>'), 1);
    expect(text).toBe('Question: a b The Answer is: </s> </s>');
  });

  test('has the least number of masks that the bundle tries where none is named', () => {
    expect(encodeMedvintTe(manifest, tokenizer, asked('a')).answerRows?.length).toBe(1);
  });
});

describe('refused', () => {
  test('what would be cut: a question without room for its answer', () => {
    const used = words('Question: aThe Answer is:').length;
    expect(() => encodeMasked(manifest, tokenizer, asked('a'), places - used)).toThrow(
      expect.objectContaining({ code: 'prompt-too-long' }),
    );
    expect(encodeMasked(manifest, tokenizer, asked('a'), places - used - 1).inputIds.includes(0)).toBe(false);
  });

  test.each([
    ['no picture', [{ kind: 'text', text: 'a' }] satisfies PromptPart[], 'request-malformed'],
    ['two pictures', [image, ...asked('a')], 'too-many-images'],
  ] as const)('%s', (_, parts, code) => {
    expect(() => encodeMasked(manifest, tokenizer, parts, 1)).toThrow(expect.objectContaining({ code }));
  });
});
