import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readTokenizerFiles } from '#model/tokenizer/files.ts';
import { openTokenizer } from '#model/tokenizer/tokenizer.ts';
import { available, sharedPath } from '../../setup/require.ts';
import { copyCheckpoint, temporaryFolder } from '../folder.ts';

const folder = await temporaryFolder();
const text = 'History: COPD, fever for 3 days.\nIs there consolidation?<|im_end|>';

async function open(checkpoint: string) {
  const files = await readTokenizerFiles(checkpoint);
  return { source: files.source, ...openTokenizer(files.json, files.config) };
}

test('vocab.json with merges.txt gives the tokens of tokenizer.json', async () => {
  const checkpoint = await copyCheckpoint('siglip-qwen2-gqa-tied', folder, 'vocab');
  const whole = await open(checkpoint);
  await rm(join(checkpoint, 'tokenizer.json'));
  const parts = await open(checkpoint);
  expect([whole.source, parts.source]).toEqual(['tokenizer.json', 'vocab.json']);
  expect(parts.encode(text, true)).toEqual(whole.encode(text, true));
  expect(parts.size).toBe(whole.size);
});

test('a vocabulary of an unknown tokenizer class is refused, because no file says how it splits text', async () => {
  const checkpoint = await copyCheckpoint('siglip-qwen2-gqa-tied', folder, 'class');
  await rm(join(checkpoint, 'tokenizer.json'));
  const path = join(checkpoint, 'tokenizer_config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...config, tokenizer_class: 'BertTokenizer' }));
  await expect(readTokenizerFiles(checkpoint)).rejects.toThrow(/BertTokenizer/);
});

test('tokens that only tokenizer_config.json or added_tokens.json name are in the tokenizer', async () => {
  const checkpoint = await copyCheckpoint('original-llama-bin2', folder, 'added');
  const path = join(checkpoint, 'tokenizer_config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as { added_tokens_decoder: Record<string, unknown> };
  config.added_tokens_decoder['344'] = { content: '<image>', special: true, normalized: false };
  await writeFile(path, JSON.stringify(config));
  await writeFile(join(checkpoint, 'added_tokens.json'), JSON.stringify({ '<patch>': 345, '<again>': 344 }));
  const tokenizer = await open(checkpoint);
  expect(tokenizer.encode('<image><patch>', false)).toEqual([344, 345]);
  expect(tokenizer.special).toContain('<image>');
  expect(tokenizer.decode([344, 345]).text).toBe('<patch>');
});

test('a reserved piece of tokenizer.model that tokenizer_config.json names otherwise is the new token', async () => {
  const checkpoint = await copyCheckpoint('original-llama-bin2', folder, 'reserved');
  const path = join(checkpoint, 'tokenizer_config.json');
  const config = JSON.parse(await readFile(path, 'utf8')) as { added_tokens_decoder: Record<string, unknown> };
  config.added_tokens_decoder['2'] = { content: '<|im_end|>', special: true, normalized: false };
  await writeFile(path, JSON.stringify(config));
  const tokenizer = await open(checkpoint);
  expect(tokenizer.encode('<|im_end|>', false)).toEqual([2]);
  expect(tokenizer.special).toContain('<|im_end|>');
  expect(tokenizer.special).not.toContain('</s>');
});

test('a folder without a tokenizer says what it looked for', async () => {
  await expect(readTokenizerFiles(folder)).rejects.toThrow(/neither tokenizer\.json, vocab\.json with merges\.txt, nor tokenizer\.model/);
});

test('an id without a token is an error with both numbers', async () => {
  const tokenizer = await open(await copyCheckpoint('siglip-qwen2-gqa-tied', folder, 'ids'));
  expect(() => tokenizer.decode([351])).toThrow(/id 351 has no text, the tokenizer has 344 ids/);
});

describe.skipIf(!available('shared'))('published pairs', () => {
  test.each(['clip-llama-mha-untied', 'clip-mistral-gqa-window'])(
    '%s: tokenizer.model alone gives the tokens of its tokenizer.json',
    async (variant) => {
      const checkpoint = join(folder, variant);
      await cp(sharedPath('golden/llava', variant, 'checkpoint'), checkpoint, { recursive: true });
      const whole = await open(checkpoint);
      await rm(join(checkpoint, 'tokenizer.json'), { force: true });
      const model = await open(checkpoint);
      expect([whole.source, model.source]).toEqual(['tokenizer.json', 'tokenizer.model']);
      for (const sample of [text, 'a  b', '\n<image>\nnow</s>again', 'é漢😀'])
        expect(model.encode(sample, true)).toEqual(whole.encode(sample, true));
    },
  );
});
