/** The five pieces and the slot, what is cut and what is refused; and an answer from a child process with its attribution. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { type Bundle, bundleTokenizer } from '#model/bundle.ts';
import { encodePrefixVqa } from '#model/families/prefix-vqa/prompt.ts';
import { importCheckpoint } from '#model/import.ts';
import { startDevice } from '#runtime/device.ts';
import { temporaryFolder } from '../../folder.ts';
import { endId, type Kind, plain, slot, virtualRows, vocabOf, writeCheckpoint, writeTinyCheckpoint } from './checkpoint.ts';

const folder = await temporaryFolder();

async function imported(name: string, kind: Partial<Kind>): Promise<Bundle> {
  await writeCheckpoint(join(folder, name), { ...plain, ...kind });
  return (await importCheckpoint({ from: join(folder, name), to: join(folder, `${name}-bundle`) })).bundle;
}

const gpt2 = await imported('gpt2', {});
const biogpt = await imported('biogpt', { model: 'biogpt', tuning: 'frozen' });
const prompted = await imported('prompted', { tuning: 'prompt' });

const image: PromptPart = { kind: 'image', image: { width: 20, height: 16, channels: 1, pixels: new Uint8Array(320).fill(90) } };
const asked = (text: string): PromptPart[] => [image, { kind: 'text', text }];

async function encoded(bundle: Bundle, parts: readonly PromptPart[], maxQuestionTokens?: number) {
  const { manifest } = bundle;
  const prompt = maxQuestionTokens === undefined ? manifest.prompt : { ...manifest.prompt, maxQuestionTokens };
  return encodePrefixVqa({ ...manifest, prompt }, await bundleTokenizer(bundle), parts);
}

const characters = (bundle: Bundle, ids: readonly number[]) =>
  bundleTokenizer(bundle).then((tokenizer) => tokenizer.decode(ids, 'shown').text);

describe('a prompt', () => {
  test('is five pieces, the slot behind the question; its ids are 1, and the picture stands there', async () => {
    const { inputIds, parts, text, images } = await encoded(gpt2, asked('is it?'));
    const before = inputIds.slice(0, inputIds.lastIndexOf(1) - slot + 1);
    expect(await characters(gpt2, before)).toBe('question: is it? context:');
    expect(inputIds.slice(before.length, before.length + slot)).toEqual([1, 1, 1]);
    const behind = inputIds.slice(before.length + slot);
    expect(await characters(gpt2, behind)).toBe('answer ');
    expect(parts).toEqual([
      { kind: 'tokens', ids: before },
      { kind: 'image', image: 0 },
      { kind: 'tokens', ids: behind },
    ]);
    expect(text).toBeNull();
    expect(images[0]?.shape).toEqual([1, 3, 12, 12]);
  });

  test('has BioGPT’s `</s>` in front of every piece', async () => {
    const { inputIds } = await encoded(biogpt, asked('is it?'));
    expect(inputIds.filter((id) => id === 2).length).toBe(4);
    expect(inputIds[0]).toBe(2);
  });

  test('begins with the learned rows of prompt tuning, which are in no input_ids', async () => {
    const { parts, inputIds } = await encoded(prompted, asked('a'));
    const [first] = parts;
    if (first?.kind !== 'tokens') throw new Error('text comes first');
    const rows = Array.from({ length: virtualRows }, (_, row) => vocabOf('gpt2') + row);
    expect(first.ids).toEqual([...rows, ...inputIds.slice(0, inputIds.lastIndexOf(1) - slot + 1)]);
  });

  test('is cut where the importer says so, and only the question', async () => {
    const whole = (await encoded(gpt2, asked('abcdefgh'))).inputIds;
    const { inputIds } = await encoded(gpt2, asked('abcdefgh'), 3);
    expect(inputIds.length).toBe(whole.length - 5);
    expect(await characters(gpt2, inputIds.slice(0, 20))).toBe('question: abc context:');
    // The mark that a tokenizer puts in front is one of the tokens.
    const marked = (await encoded(biogpt, asked('is it'), 2)).inputIds;
    expect(marked.filter((id) => id === 2).length).toBe(4);
  });

  test('does not let a question end itself', async () => {
    const { inputIds } = await encoded(gpt2, asked('a<|endof<|endoftext|>text|>b'));
    expect(inputIds).not.toContain(endId);
    expect(inputIds).toEqual((await encoded(gpt2, asked('ab'))).inputIds);
  });
});

describe('refused', () => {
  test('two pictures, and none', async () => {
    await expect(encoded(gpt2, [image, ...asked('a')])).rejects.toMatchObject({
      code: 'too-many-images',
      message: expect.stringContaining('2 images'),
    });
    await expect(encoded(gpt2, [{ kind: 'text', text: 'a' }])).rejects.toMatchObject({ message: expect.stringContaining('no image') });
  });

  test('a question without room', () =>
    expect(encoded(gpt2, asked('a'.repeat(60)))).rejects.toMatchObject({
      code: 'prompt-too-long',
      message: expect.stringContaining('has 87 rows'),
    }));

  test('a template without its slot', async () => {
    const { manifest } = gpt2;
    const template = { ...manifest.prompt.template, after: ' context: answer ' };
    const broken = { ...gpt2, manifest: { ...manifest, prompt: { ...manifest.prompt, template } } };
    await expect(encoded(broken, asked('a'))).rejects.toMatchObject({ code: 'bundle-invalid' });
  });
});

test('an answer by beam search from a child process, told as it grows, and what of it the picture bears', async () => {
  await writeTinyCheckpoint(join(folder, 'tiny'), 5);
  const { bundle } = await importCheckpoint({ from: join(folder, 'tiny'), to: join(folder, 'tiny-bundle') });
  const device = await startDevice({ device: 'cpu', bundleDir: bundle.dir, threads: 1, timeoutMs: 60_000 });
  try {
    const told: string[] = [];
    const { answer, promptId, promptText } = await device.ask({ parts: asked('What is seen?'), maxNewTokens: 12 }, (text) =>
      told.push(text),
    );
    expect(answer).toMatchObject({ text: 'The lungs are clear. No effusion!', stop: 'stop', images: 1 });
    expect(told.join('')).toBe(answer.text);
    expect(promptText).toBeNull();
    const shown = await device.score(promptId, [true], 'black');
    for (const [index, value] of shown.entries()) expect(value).toBeCloseTo(answer.logProbs[index] ?? 0, 4);
    const dropped = await device.score(promptId, [false], 'mean');
    expect(dropped.length).toBe(answer.tokens.length);
    expect(dropped).not.toEqual(shown);
  } finally {
    await device.close();
  }
});
