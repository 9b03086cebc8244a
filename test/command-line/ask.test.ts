import { spawnSync } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { importCheckpoint } from '#model/import.ts';
import { makeRandomBundle } from '#model/random.ts';
import { writeTinyCheckpoint } from '../model/families/radfm/checkpoint.ts';
import { temporaryFolder } from '../model/folder.ts';
import { dicom, nifti, png, run } from './files.ts';

const folder = await temporaryFolder();
const bundle = await makeRandomBundle({
  dir: join(folder, 'random'),
  seed: 3,
  modalities: ['DX'],
  maxImages: 3,
  citeUncalibrated: true,
});
const dir = bundle.dir;
const images = [await png(folder, 'a.png', 1), await png(folder, 'b.png', 2)];

describe('an answer from the shell', () => {
  test('streams, then has its statements with their images, and a sheet of them', async () => {
    const sheet = join(folder, 'sheet.png');
    const { out, writes, warnings, progress } = await run(dir, { task: 'report', image: images, sheet });
    const [answer = '', ...blocks] = out.split(/\n(?=\d\. )/);
    expect(writes).toBeGreaterThan(5);
    expect(warnings).toEqual([]);
    const [first = ''] = blocks;
    expect(first.split('\n').slice(0, 4)).toEqual([
      expect.stringMatching(/^1\. Findings: /),
      expect.stringMatching(/^ {3}(depends on|cannot be tested)/),
      expect.stringMatching(/^ {3}[* ] {2}1 .*a\.png$/),
      expect.stringMatching(/^ {3}[* ] {2}2 .*b\.png$/),
    ]);
    expect(answer).toContain(/^1\. Findings: (.*)$/m.exec(first)?.[1]);
    expect(out).toContain('removed images replaced by black and by the mean colour');
    expect(out).toContain('Dependence is not correctness');
    expect(progress.at(-2)).toBe('which images it depends on: 6 of 7');
    const { width = 0, height = 0, format } = await sharp(await readFile(sheet)).metadata();
    expect([format, width > 500, height > 400]).toEqual(['png', true, true]);
  });

  test('as JSON is one value with everything, and nothing else is written', async () => {
    const film = await dicom(folder, 'film.dcm', 1, 'CT');
    const sheet = join(folder, 'json.png');
    const { out, warnings, json } = await run(dir, {
      text: 'Now <image>, and <image>?',
      image: [film, ...images.slice(0, 1)],
      sheet,
      json: true,
    });
    expect([out, warnings, json.length]).toEqual(['', [], 1]);
    const share = z.number().min(0).max(1).nullable();
    const shown = z.object({ image: z.int(), share, delta: z.number(), cited: z.boolean() });
    const report = z
      .object({
        prompt: z.string(),
        images: z.array(z.object({ number: z.int(), file: z.string(), modality: z.string().nullable() })),
        answer: z.object({ text: z.string(), stop: z.string() }),
        warnings: z.array(z.object({ code: z.string(), message: z.string() })),
        attribution: z.object({
          nulls: z.array(z.string()),
          sheet: z.string(),
          statements: z.array(z.object({ text: z.string(), words: z.string(), images: z.array(shown).length(2) })).min(1),
        }),
      })
      .parse(json[0]);
    expect(report.prompt).toContain('Now <image>\n, and <image>\n?');
    expect(report.images).toMatchObject([
      { file: 'film.dcm', modality: 'CT' },
      { file: 'a.png', modality: null },
    ]);
    // Outside the intended use: a warning here, where the service refuses.
    expect(report.warnings.filter(({ code }) => code !== 'sheet-without-fonts')).toMatchObject([
      { code: 'modality-unsupported', message: expect.stringMatching(/is meant for DX; an image is CT/) },
    ]);
    expect(report.attribution).toMatchObject({ nulls: ['black', 'mean'], sheet });
  });

  test('of a volume has it as one image, through the engine’s process and back', async () => {
    const checkpoint = join(folder, 'radfm.checkpoint');
    await mkdir(checkpoint);
    await writeTinyCheckpoint(checkpoint, 5);
    const { bundle: radfm } = await importCheckpoint({
      from: checkpoint,
      to: join(folder, 'radfm'),
      metadata: { name: 'radfm-test', stamped: 'test', attribution: { threshold: null, citeUncalibrated: true, budgetMs: 60_000 } },
    });
    const volume = await nifti(folder, 'ct.nii', 9);
    const sheet = join(folder, 'volume.png');
    const { out, warnings } = await run(radfm.dir, {
      task: 'vqa_open',
      text: 'What is seen?',
      image: [volume, ...images.slice(0, 1)],
      sheet,
    });
    expect(out).toMatch(/ 1 .*ct\.nii, volume of 9 slices\n.* 2 .*a\.png/);
    expect(warnings).toMatchObject([expect.stringContaining('window-guessed')]);
    const deep = await nifti(folder, 'deep.nii', 40);
    await expect(run(radfm.dir, { task: 'vqa_open', text: 'What is seen?', image: [deep] })).rejects.toMatchObject({
      code: 'pixel-unsupported',
      message: expect.stringMatching(/asks for 40 slices, the model has positions for 20/),
    });
    // A family that reads pictures gets slices of the same file, and says so.
    const slices = await run(dir, { task: 'report', image: [volume], maxNewTokens: 2 });
    expect(slices.warnings).toEqual([
      expect.stringContaining('window-guessed'),
      expect.stringContaining('images-dropped: ct.nii: 3 of 9 slices'),
      expect.stringContaining('answer-too-long: The answer was cut after 2 tokens.'),
    ]);
  });
});

describe('what cannot be asked is refused by name before the model is loaded', () => {
  const [a = ''] = images;
  test.each([
    ['an unknown task', { task: 'poem', image: [a] }, 'not-found'],
    ['a task without what its slot needs', { task: 'vqa_open', image: [a] }, 'request-malformed'],
    ['a choice without options', { task: 'vqa_choice', text: 'Which?', image: [a] }, 'request-malformed'],
    ['options where there is no choice', { task: 'vqa_open', text: 'Which?', option: ['A'], image: [a] }, 'request-malformed'],
    ['an empty text', { text: ' ', image: [a] }, 'request-malformed'],
    ['a placeholder without image', { text: '<image> What?' }, 'request-malformed'],
    ['an image without placeholder', { text: '<image> What?', image: [a, a] }, 'request-malformed'],
    ['more images than the bundle takes', { text: 'What?', image: [a, a, a, a] }, 'too-many-images'],
    ['a file that is not there', { text: 'What?', image: [join(folder, 'no.png')] }, 'not-found'],
    ['a folder that is no bundle', { bundle: folder, text: 'What?' }, 'bundle-invalid'],
  ])('%s', async (_name, flags, code) => {
    await expect(run(dir, flags)).rejects.toMatchObject({ code });
  });
});

test('more text than the model takes is refused with both numbers', async () => {
  await expect(run(dir, { text: 'lung '.repeat(9000), image: images.slice(0, 1) })).rejects.toMatchObject({
    code: 'prompt-too-long',
    message: expect.stringMatching(/\d{4,} .*\d{4}/),
  });
});

test('the command lists the tasks when nothing is asked, and says its own options', () => {
  const main = resolve(import.meta.dirname, '../../src/main.ts');
  const shell = (...words: string[]) => spawnSync(process.execPath, [main, 'ask', ...words], { encoding: 'utf8' });
  const listed = shell('--bundle', dir);
  expect([listed.status, listed.stdout]).toEqual([
    0,
    expect.stringMatching(/^random-test: .*\nreport .*"Write the findings and the impression\."/),
  ]);
  const refused = shell('--bundle', dir, '--text', 'What?', '--window', '40', '--image', images[0] ?? '');
  expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('expected CENTER/WIDTH')]);
  const coded = shell('--bundle', dir, '--task', 'poem', '--image', images[0] ?? '', images[1] ?? '');
  expect([coded.status, coded.stderr]).toEqual([1, expect.stringMatching(/^wetread: not-found: .*it has report/)]);
});
