import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { choosePictures } from '#prompt/choose.ts';
import { evenly, planImages } from '#prompt/plan.ts';
import { evidence, instances, picture, withSeries } from './fixtures.ts';

const pa = picture('1.2.1', 1);
const lateral = picture('1.2.1', 2, { view: 'LL' });
const oldPa = picture('1.2.2', 1, { date: '2026-03-02' });
const oldLateral = picture('1.2.2', 2, { view: 'LL', date: '2026-03-02' });

describe('films', () => {
  test.each([
    [1, [pa]],
    [2, [pa, oldPa]],
    [3, [pa, lateral, oldPa]],
    [4, [pa, lateral, oldPa, oldLateral]],
  ])('%i places', (maxImages, expected) =>
    expect(choosePictures([lateral, pa], [oldLateral, oldPa], maxImages).pictures).toEqual(expected),
  );
  test('what is dropped is named', () => {
    const { warnings } = choosePictures([pa, lateral], [oldPa], 2);
    expect(warnings).toMatchObject([{ code: 'images-dropped', message: expect.stringContaining('Left out: DX LL 2026-11-24') }]);
  });
  test('a study of laterals only is not displaced by its prior', () => {
    expect(choosePictures([lateral], [oldPa], 1).pictures).toEqual([lateral]);
  });
  test('a film whose view is not said comes between frontal and lateral', () => {
    const unsaid = picture('1.2.1', 3, { view: null });
    expect(choosePictures([lateral, unsaid, pa], [], 2).pictures).toEqual([pa, unsaid]);
  });
});

test('never more than the bundle takes, never without the subject, and silent only when nothing is dropped', () => {
  const view = fc.constantFrom('PA', 'AP', 'LL', 'LAO', null);
  const modality = fc.constantFrom('DX', 'CT');
  fc.assert(
    fc.property(
      fc.array(view, { minLength: 1, maxLength: 9 }),
      fc.array(view, { maxLength: 9 }),
      fc.integer({ min: 1, max: 6 }),
      modality,
      (a, b, maxImages, kind) => {
        const current = a.map((one, at) => picture('1.2.1', at + 1, { view: one, modality: kind }));
        const prior = b.map((one, at) => picture('1.2.2', at + 1, { view: one, modality: kind }));
        const { pictures, warnings } = choosePictures(current, prior, maxImages);
        expect(pictures.length).toBe(Math.min(maxImages, current.length + prior.length));
        expect(new Set(pictures).size).toBe(pictures.length);
        expect(pictures.some((one) => current.includes(one))).toBe(true);
        expect(warnings.length === 0).toBe(pictures.length === current.length + prior.length);
      },
    ),
    { numRuns: 1000 },
  );
});

describe('evenly', () => {
  test('takes the end of each stretch where the bundle says so: of 100 as the authors of MedGemma take 85', () => {
    expect(evenly([...Array(40).keys()], 4, 'ends')).toEqual([10, 20, 29, 39]);
    const taken = evenly([...Array(100).keys()], 85, 'ends');
    expect([taken.length, taken[0], taken.at(-1), new Set(taken).size]).toEqual([85, 1, 99, 85]);
    expect(evenly([1, 2], 4, 'ends')).toEqual([1, 2]);
  });
  test('takes from the whole length, the ends inset', () => expect(evenly([...Array(40).keys()], 4)).toEqual([5, 15, 25, 35]));
  test('keeps order, never repeats, never exceeds', () => {
    fc.assert(
      fc.property(fc.nat(60), fc.nat(20), (length, count) => {
        const taken = evenly([...Array(length).keys()], count);
        expect(taken.length).toBe(Math.min(length, count));
        expect([...new Set(taken)].sort((a, b) => a - b)).toEqual(taken);
      }),
    );
  });
});

describe('the plan, made before any pixel is read', () => {
  const ct = (count: number, of: string, fields: object = {}) => ({ modality: 'CT', instances: instances(count, of), ...fields });
  test('of films takes every film of the subject and of the newest prior of its kind', () => {
    const subject = withSeries('1.2.1', [{ instances: instances(2, '1.2.1.1') }], { modalities: ['DX'] });
    const older = withSeries('1.2.2', [{}], { date: '2020-01-01' });
    const newer = withSeries('1.2.3', [{ modality: 'CR' }], { date: '2026-01-01' });
    const scan = withSeries('1.2.4', [{ modality: 'CT' }], { date: '2026-06-01' });
    const { images, warnings } = planImages(evidence(subject, [older, scan, newer]), ['DX', 'CR', 'CT'], 2);
    expect(images.map(({ ref, prior }) => [ref.study, prior])).toEqual([
      ['1.2.1', false],
      ['1.2.1', false],
      ['1.2.3', true],
    ]);
    expect(warnings).toEqual([]);
  });
  test('of a volume takes the longest series of the region, never the scout, evenly, and says so', () => {
    const subject = withSeries('1.2.1', [
      ct(300, '1.2.1.1', { description: 'Topogram', bodyPart: 'CHEST' }),
      ct(200, '1.2.1.2', { bodyPart: 'HEAD' }),
      ct(40, '1.2.1.3', { bodyPart: 'CHEST', description: 'lung' }),
      ct(20, '1.2.1.4', { bodyPart: 'CHEST' }),
    ]);
    const { images, warnings } = planImages(evidence(subject), ['CT'], 4);
    expect(images.map(({ slice }) => slice)).toEqual([6, 16, 26, 36].map((index) => ({ index, of: 40 })));
    expect(images[0]?.ref.series).toBe('1.2.1.3');
    expect(warnings.map(({ code }) => code)).toEqual(['images-dropped', 'series-dropped']);
    expect(warnings[0]?.message).toBe('4 of 40 slices of the CT series 3 (lung) were chosen, evenly spaced.');
  });
  test('gives a prior volume a third of the places', () => {
    const subject = withSeries('1.2.1', [ct(30, '1.2.1.1')]);
    const prior = withSeries('1.2.2', [ct(30, '1.2.2.1')], { date: '2025-01-01' });
    const { images } = planImages(evidence(subject, [prior]), ['CT'], 6);
    expect(images.map(({ prior: isPrior }) => isPrior)).toEqual([false, false, false, false, true, true]);
  });
  test('counts the frames of a multi-frame object', () => {
    const subject = withSeries('1.2.1', [{ modality: 'MR', instances: instances(1, '1.2.1.1', { frames: 10 }) }]);
    const { images } = planImages(evidence(subject), ['MR'], 2);
    expect(images.map(({ ref, slice }) => [ref.frame, slice?.index])).toEqual([
      [3, 3],
      [8, 8],
    ]);
  });
  test('of views takes those of every series, each a picture by itself, evenly', () => {
    const views = Array.from({ length: 4 }, (_, at) => ({ modality: 'MG', instances: instances(1, `1.2.1.${at + 1}`) }));
    const all = planImages(evidence(withSeries('1.2.1', views)), ['MG'], 4);
    expect(all.images.map(({ ref, slice }) => [ref.series, slice])).toEqual([1, 2, 3, 4].map((series) => [`1.2.1.${series}`, null]));
    expect(all.warnings).toEqual([]);
    const some = planImages(evidence(withSeries('1.2.1', views)), ['MG'], 2);
    expect(some.images.map(({ ref }) => ref.series)).toEqual(['1.2.1.2', '1.2.1.4']);
    expect(some.warnings).toEqual([
      { code: 'images-dropped', message: '2 of 4 images of the study of 2026-11-24 were chosen, evenly spaced.' },
    ]);
  });
  test('of a recording takes frames, evenly', () => {
    const subject = withSeries('1.2.1', [{ modality: 'US', instances: instances(1, '1.2.1.1', { frames: 10 }) }]);
    expect(planImages(evidence(subject), ['US'], 2).images.map(({ ref, slice }) => [ref.frame, slice])).toEqual([
      [3, null],
      [8, null],
    ]);
  });
  test('is empty when the subject has nothing that the bundle reads', () => {
    expect(planImages(evidence(withSeries('1.2.1', [{ modality: 'SR' }])), ['DX'], 2).images).toEqual([]);
  });
  test('says when a study has more films than are looked at', () => {
    const subject = withSeries('1.2.1', [{ instances: instances(12, '1.2.1.1') }]);
    const { images, warnings } = planImages(evidence(subject), ['DX'], 2);
    expect(images).toHaveLength(8);
    expect(warnings).toMatchObject([{ code: 'images-dropped' }]);
  });
});
