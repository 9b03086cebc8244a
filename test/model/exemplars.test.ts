/** Exemplars on the engine: they stand before a question as if they had been asked with it, and belong to the bundle alone. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PromptPart } from '#domain/answer.ts';
import { openBundle } from '#model/bundle.ts';
import { exemplarFile, exemplarParts, standBefore } from '#model/exemplars.ts';
import { importCheckpoint } from '#model/import.ts';
import { readPicture } from '#model/picture-file.ts';
import { type Conversation, openConversation } from '#runtime/conversation.ts';
import { openStockRuntime } from '#runtime/ort-stock.ts';
import { writeTinyCheckpoint } from './families/med-flamingo/checkpoint.ts';
import { temporaryFolder } from './folder.ts';

const folder = await temporaryFolder();
const from = join(folder, 'checkpoint');
const picturePath = join(from, 'one.png');
const exemplars = { source: 'a test', license: 'CC0', items: [{ image: 'one.png', question: 'Which?', answer: 'yes' }] };
const runtime = openStockRuntime({ provider: 'cpu', threads: 1, strict: false });

const image: PromptPart = {
  kind: 'image',
  image: { width: 25, height: 25, channels: 1, pixels: Uint8Array.from({ length: 625 }, (_, i) => (i * 3) % 256) },
};
const question: PromptPart = { kind: 'text', text: 'Question: Is it there? Answer:' };

beforeAll(async () => {
  await writeTinyCheckpoint(from, 3);
  await sharp({ create: { width: 30, height: 25, channels: 3, background: { r: 90, g: 120, b: 40 } } })
    .png()
    .toFile(picturePath);
  await importCheckpoint({ from, to: join(folder, 'with'), metadata: { exemplars, limits: { maxImages: 1 } } });
  await importCheckpoint({ from, to: join(folder, 'without'), metadata: { limits: { maxImages: 2 } } });
});

describe('asked', () => {
  const open: Conversation[] = [];
  const conversation = async (name: string): Promise<Conversation> => {
    const opened = await openConversation(runtime, await openBundle(join(folder, name)));
    open.push(opened);
    return opened;
  };
  afterAll(async () => {
    for (const each of open) await each.close();
  });
  const ask = (to: Conversation, parts: readonly PromptPart[], task?: string) =>
    to.ask({ parts, maxNewTokens: 5, ...(task === undefined ? {} : { task }) }, () => undefined);

  test('a bundle with exemplars reads what one without them reads when they are given by hand', async () => {
    const bundle = await openBundle(join(folder, 'with'));
    const { before = '', items = [] } = bundle.manifest.exemplars ?? {};
    const shown: PromptPart = { kind: 'image', image: await readPicture(picturePath) };
    const byHand: PromptPart[] = [{ kind: 'text', text: before }, shown, { kind: 'text', text: items[0]?.text ?? '' }, image, question];
    const [own, plain] = [await conversation('with'), await conversation('without')];
    const asked = await ask(own, [image, question], 'vqa_open');
    const given = await ask(plain, byHand);
    expect(asked.inputIds).toEqual(given.inputIds);
    expect(asked.answer.tokens).toEqual(given.answer.tokens);
    expect(asked.answer.images).toBe(1);
    expect(given.answer.images).toBe(2);
    // A subset leaves out the question's image and keeps the exemplar's.
    const without = await own.score(asked.promptId, [false], 'black');
    const same = await plain.score(given.promptId, [true, false], 'black');
    for (const [i, value] of without.entries()) expect(value).toBeCloseTo(same[i] ?? Number.NaN, 5);
    await expect(own.score(asked.promptId, [true, false], 'black')).rejects.toThrow('2 images are to be kept or nulled, the prompt has 1');
  });

  test('a task of another form has none', async () => {
    const { inputIds } = await ask(await conversation('with'), [image, { kind: 'text', text: 'An image of' }], 'caption');
    const plain = await ask(await conversation('without'), [image, { kind: 'text', text: 'An image of' }]);
    expect(inputIds).toEqual(plain.inputIds);
  });
});

test('they stand before prompts of their tasks and of none', () => {
  const some = { source: 'a', license: 'b', tasks: ['vqa_open'], before: '', items: [{ image: 'a.png', text: 'b' }] };
  expect([undefined, 'vqa_open', 'caption'].map((task) => standBefore(some, task))).toEqual([true, true, false]);
  expect(standBefore(undefined, 'vqa_open')).toBe(false);
});

test('a file keeps its ending where that is a plain one', () => {
  expect(['a/b.PNG', 'x', 'x.p n'].map((path, place) => exemplarFile(place, path))).toEqual(['exemplar-1.png', 'exemplar-2', 'exemplar-3']);
});

test('a bundle whose exemplar was changed or is gone is refused', async () => {
  const dir = join(folder, 'spoilt');
  const { bundle } = await importCheckpoint({ from, to: dir, metadata: { exemplars } });
  expect(await exemplarParts(bundle)).toHaveLength(3);
  await writeFile(join(dir, 'exemplar-1.png'), 'another');
  await expect(openBundle(dir)).rejects.toMatchObject({ code: 'bundle-digest' });
  await rm(join(dir, 'exemplar-1.png'));
  await expect(openBundle(dir)).rejects.toMatchObject({ code: 'bundle-invalid' });
});
