/** What a bundle whose model only answers questions is asked. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '#model/bundle-manifest.ts';
import { askedOf, draftTaskOf, mostImages, promptsOf } from '#reading/task.ts';
import { openWard, type Ward } from './ward.ts';

let ward: Ward;
let manifest: Manifest;

beforeAll(async () => {
  ward = await openWard();
  manifest = JSON.parse(await readFile(join(ward.folder, 'bundle/bundle.json'), 'utf8')) as Manifest; // written by our importer
});
afterAll(() => ward.close());

const open = { text: 'Q: {question} A:' };

test('a report is asked for where the model writes one, whatever else it knows', () => {
  const task = draftTaskOf({ ...manifest, tasks: { report: { text: 'Report {question}.' }, vqa_open: open }, questions: ['Nodule?'] });
  expect(task).toMatchObject({ name: 'report', questions: [] });
  expect(promptsOf(task)).toEqual([{ wording: task.wording, question: null }]);
});

test('questions are asked one by one, on the picture alone unless the bundle words it otherwise', () => {
  const task = draftTaskOf({ ...manifest, tasks: { vqa_open: open }, questions: ['Nodule?', 'Where?'] });
  expect(promptsOf(task).map(({ wording, question }) => [wording.task, question])).toEqual([
    ['Q: Nodule? A:', 'Nodule?'],
    ['Q: Where? A:', 'Where?'],
  ]);
  expect(task.wording).toMatchObject({ order: ['images', 'task'], labels: { current: '', priorSlice: '' } });
  const worded = draftTaskOf({
    ...manifest,
    tasks: { vqa_open: open },
    wording: { order: ['task', 'images'], labels: { current: 'Now: ' } },
  });
  expect(worded.wording).toMatchObject({ order: ['task', 'images'], labels: { current: 'Now: ', prior: '' } });
});

test('without questions of the bundle one is asked that supposes no finding', () => {
  const task = draftTaskOf({ ...manifest, tasks: { vqa_open: open } });
  expect(task.questions).toHaveLength(1);
  expect(promptsOf(task)[0]?.wording.task).toContain(`Q: ${task.questions[0]}`);
});

test('other questions make another draft', () => {
  const keys = [['Nodule?'], ['Where?'], ['Nodule?', 'Where?']].map((questions) =>
    askedOf(draftTaskOf({ ...manifest, tasks: { vqa_open: open }, questions })),
  );
  expect(new Set(keys).size).toBe(3);
});

test('no more pictures are shown than fit beside history, words and answer', () => {
  const sizes = { ...manifest.sizes, visualTokens: 100, contextTokens: 1000 };
  const of = (changes: Partial<Manifest>) => {
    const changed: Manifest = { ...manifest, sizes, limits: { maxImages: 30, contextTokens: 1000, maxNewTokens: 300 }, ...changes };
    // Each word a token.
    return mostImages(changed, draftTaskOf(changed), (text) => text.split(/\s+/).filter(Boolean).length);
  };
  expect(of({})).toBe(5);
  expect(of({ limits: { maxImages: 2, contextTokens: 1000, maxNewTokens: 300 } })).toBe(2);
  expect(of({ limits: { maxImages: 30, contextTokens: 500, maxNewTokens: 450 } })).toBe(1);
  expect(of({ sizes: { ...sizes, mediaWidth: 8 } })).toBe(30);
});

test('a bundle that can do neither is refused with both names', () => {
  expect(() => draftTaskOf({ ...manifest, tasks: { vqa_choice: open } })).toThrow(
    expect.objectContaining({ code: 'bundle-invalid', message: expect.stringMatching(/"report" or "vqa_open"/) }),
  );
});
