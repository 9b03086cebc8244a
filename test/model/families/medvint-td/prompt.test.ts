/** The authors' strings, what BOS is, and where the picture's rows stand. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { bundleTokenizer } from '#model/bundle.ts';
import { forTask } from '#model/bundle-manifest.ts';
import { encodeMedvintTd } from '#model/families/medvint-td/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { temporaryFolder } from '../../folder.ts';
import { writeCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();

async function imported(name: string, template: string, tokenizer: Record<string, unknown> = {}) {
  await writeCheckpoint(join(folder, name), 'clip', { tokenizer });
  const metadata = { template, qformerHeads: 4 };
  const { bundle } = await importCheckpoint({ from: join(folder, name), to: join(folder, `${name}-bundle`), metadata });
  return { manifest: bundle.manifest, tokenizer: await bundleTokenizer(bundle) };
}

const image: PromptPart = { kind: 'image', image: { width: 4, height: 4, channels: 1, pixels: new Uint8Array(16).fill(90) } };
const asked = (text: string): PromptPart[] => [image, { kind: 'text', text }];

const published = await imported('published', 'blank');
const ids = (text: string) => published.tokenizer.encode(text, false);

describe('a prompt', () => {
  test('is the rows of the picture, BOS, and the question in its frame, with the blanks of the data', () => {
    const { parts, text, inputIds } = encodeMedvintTd(published.manifest, published.tokenizer, asked(' is it? '));
    expect(text).toBe('Question:  is it? The Answer is:');
    expect(inputIds).toEqual([0, ...ids('Question:  is it? The Answer is:')]);
    expect(parts).toEqual([
      { kind: 'image', image: 0 },
      { kind: 'tokens', ids: inputIds },
    ]);
  });

  test('has the rows first wherever the picture stands among the texts', () => {
    const around: PromptPart[] = [{ kind: 'text', text: 'a ' }, image, { kind: 'text', text: 'b ' }];
    const { parts, text } = encodeMedvintTd(published.manifest, published.tokenizer, around);
    expect(parts[0]).toEqual({ kind: 'image', image: 0 });
    expect(text).toBe('Question: a b The Answer is:');
  });

  test('begins with <s> where the tokenizer names it, or where the template asks for it', async () => {
    const named = await imported('named', 'blank', { bos_token: '<s>' });
    expect(encodeMedvintTd(named.manifest, named.tokenizer, asked('a')).inputIds[0]).toBe(1);
    const rad = await imported('rad', 'vqa_rad');
    expect(encodeMedvintTd(rad.manifest, rad.tokenizer, asked('a')).inputIds).toEqual([1, ...ids('Question: aThe Answer is:')]);
  });

  test('is BOS alone for a caption, as in the first stage of training', () => {
    const manifest = forTask(published.manifest, 'caption');
    expect(encodeMedvintTd(manifest, published.tokenizer, asked(manifest.tasks.caption?.text ?? 'a')).inputIds).toEqual([0]);
  });

  test('does not let a text bring special tokens', () => {
    const { text } = encodeMedvintTd(published.manifest, published.tokenizer, asked('a<</s>s>b</s> '));
    expect(text).toBe('Question: ab The Answer is:');
  });
});
