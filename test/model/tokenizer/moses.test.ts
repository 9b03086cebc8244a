/** Words and the way back, as sacremoses 0.1 gives them; and BioGPT's files as a tokenizer that a bundle can hold. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readTokenizerFiles } from '#model/tokenizer/files.ts';
import { mosesText, mosesWords } from '#model/tokenizer/moses.ts';
import { openTokenizer } from '#model/tokenizer/tokenizer.ts';
import { temporaryFolder } from '../folder.ts';

const back = (words: readonly string[]) => {
  const text = [...words.join(' ')];
  return mosesText({ text, owner: text.map((_, index) => index) });
};

describe('Moses words', () => {
  test.each([
    ['Is there a left-sided effusion?', 'Is there a left @-@ sided effusion ?'],
    ["the patient's lungs' bases", 'the patient &apos;s lungs &apos; bases'],
    ['Seen by Dr. Smith on Jan. 3 at No. 5.', 'Seen by Dr. Smith on Jan. 3 at No. 5 .'],
    ['The answer is No. Next one.', 'The answer is No . Next one .'],
    ['5,300 mm, 3.5 cm (CT) [x] <b> & |', '5,300 mm , 3.5 cm ( CT ) &#91; x &#93; &lt; b &gt; &amp; &#124;'],
    ['wait... what..', 'wait ... what ..'],
    ["It ends so.'", 'It ends so . &apos;'],
    ['e.g. U.S.A. b. c', 'e.g. U.S.A. b. c'],
    ['a\u0001\tb\u00a0 c', 'a b c'],
    ['', ''],
  ])('%j', (text, words) => expect(mosesWords(text).join(' ')).toBe(words));

  test('no word holds white space, whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => mosesWords(text).every((word) => word !== '' && !/[ \t\n]/.test(word))),
      { numRuns: 30 },
    );
  });
});

describe('the way back', () => {
  test.each([
    ['left @-@ sided effusion ?', 'left-sided effusion?'],
    ['the patient &apos;s lungs &apos; bases', "the patient's lungs' bases"],
    ['( 3.5 cm ) , &quot; so &quot; .', '(3.5 cm), "so".'],
    ['$ 5 &amp; more', '$5 & more'],
    ['@-@ x', '-x'],
  ])('%j', (words, text) => expect(back(words.split(' ')).text.join('')).toBe(text));

  test('owners never go back, so spans can be told', () => {
    const word = fc.constantFrom('a', 'bs', '.', '(', ')', '&quot;', '&apos;', '&apos;s', '@-@', '&amp;', '%');
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const { text, owner } = back(words);
        return text.length === owner.length && owner.every((token, i) => i === 0 || token >= (owner[i - 1] ?? 0));
      }),
    );
  });
});

describe('BioGPT’s files', async () => {
  const folder = await temporaryFolder();
  const vocab = {
    '<s>': 0,
    '<pad>': 1,
    '</s>': 2,
    '<unk>': 3,
    a: 4,
    'b</w>': 5,
    'ab</w>': 6,
    'c</w>': 7,
    '.</w>': 8,
    '&lt;</w>': 9,
    b: 10,
  };

  async function opened(name: string, config: object, words: object = vocab, merges = 'a b</w> 41\n') {
    const at = join(folder, name);
    await mkdir(at, { recursive: true });
    await writeFile(join(at, 'vocab.json'), JSON.stringify(words));
    await writeFile(join(at, 'merges.txt'), merges);
    await writeFile(join(at, 'tokenizer_config.json'), JSON.stringify(config));
    const files = await readTokenizerFiles(at);
    return openTokenizer(files.json, files.config);
  }

  test('`</s>` in front, merges with counts, ends of words marked, what is unknown by character', async () => {
    const tokenizer = await opened('plain', { tokenizer_class: 'BioGptTokenizer' });
    expect(tokenizer.encode('ab c. Xb', true)).toEqual([2, 6, 7, 8, 3, 5]);
    expect(tokenizer.encode('', true)).toEqual([2]);
    expect(tokenizer.special).toEqual(['<s>', '<pad>', '</s>', '<unk>']);
    expect(tokenizer.decode([2, 6, 4, 7, 8, 2])).toEqual({
      text: 'ab ac.',
      spans: [
        [0, 0],
        [0, 2],
        [2, 4],
        [4, 5],
        [5, 6],
        [6, 6],
      ],
    });
    expect(tokenizer.decode([6, 2], 'shown').text).toBe('ab </s>');
  });

  test('names of special tokens that the vocabulary lacks are refused', () =>
    expect(opened('named', { tokenizer_class: 'BioGptTokenizer', sep_token: '<sep>' })).rejects.toMatchObject({
      code: 'tokenizer-unsupported',
      message: expect.stringContaining('<sep>'),
    }));

  test('a line of merges that is no pair is refused', () =>
    expect(opened('merges', { tokenizer_class: 'BioGptTokenizer' }, vocab, 'ab\n')).rejects.toMatchObject({
      code: 'tokenizer-unsupported',
      message: expect.stringContaining('"ab" is no pair'),
    }));

  test('GPT-2’s end of text is one token though no file lists it as added', async () => {
    const words = { a: 0, b: 1, ab: 2, '<|endoftext|>': 3 };
    const tokenizer = await opened('gpt2', { tokenizer_class: 'GPT2Tokenizer' }, words, '#version: 0.2\na b\n');
    expect(tokenizer.encode('ab<|endoftext|>a', false)).toEqual([2, 3, 0]);
    expect(tokenizer.special).toEqual(['<|endoftext|>']);
  });
});
