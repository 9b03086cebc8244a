import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AttributeRequest, attribute } from '#attribution/attribute.ts';
import type { Answer, NullImage, Scorer } from '#domain/answer.ts';
import type { ImageRef } from '#domain/study.ts';
import { parseUid } from '#domain/uid.ts';

function ref(number: number): ImageRef {
  return {
    study: parseUid('1.2'),
    series: parseUid('1.2.1'),
    instance: parseUid(`1.2.1.${number}`),
    sopClass: parseUid('1.2.3'),
    frame: null,
  };
}

/** One token per word, with the white space before it. */
function answerOf(text: string): Answer {
  const spans = [...text.matchAll(/\s*\S+/g)].map((match) => [match.index, match.index + match[0].length] as const);
  return { text, tokens: spans.map((_, at) => at), spans, logProbs: spans.map(() => -1), stop: 'stop', promptTokens: 10, images: 2 };
}

/** Each image i lifts every token of sentence s by gains[s][i] under black, half of it under the mean colour. */
function scorerOf(answer: Answer, starts: readonly number[], gains: readonly (readonly number[])[], log: string[] = []): Scorer {
  return async (keep: readonly boolean[], nullImage: NullImage) => {
    log.push(`${nullImage} ${keep.map(Number).join('')}`);
    return answer.tokens.map((_, token) => {
      const sentence = starts.findLastIndex((start) => start <= token);
      const gain = (gains[sentence] ?? []).reduce((sum, one, image) => sum + (keep[image] ? one : 0), 0);
      const full = (gains[sentence] ?? []).reduce((sum, one) => sum + one, 0);
      return -5 + (nullImage === 'black' ? gain : full - (full - gain) / 2);
    });
  };
}

const text = 'Findings: Left nodule here.\nNo effusion seen.\nImpression: Please correlate clinically.';
const answer = answerOf(text);
const starts = [1, 4, 8];

function run(gains: readonly (readonly number[])[], changes: Partial<AttributeRequest> = {}, log: string[] = []) {
  return attribute({
    scorer: scorerOf(answer, starts, gains, log),
    answer,
    images: [ref(1), ref(2)],
    threshold: 0.1,
    citeWithoutThreshold: false,
    timeBudgetMs: 1000,
    now: () => 0,
    resolve: () => true,
    ...changes,
  });
}

/** A clock that advances by the given milliseconds at every scored subset. */
function clocked(scorer: Scorer, ms: (call: number) => number): { scorer: Scorer; now(): number } {
  let [time, calls] = [0, 0];
  return {
    now: () => time,
    scorer: async (keep, nullImage) => {
      time += ms(calls++);
      return scorer(keep, nullImage);
    },
  };
}

test('what asks an expert is no statement: its sentence goes, what was asked is told, other marks stay', async () => {
  const asking = answerOf('This is a CT image. Let me trigger <VISTA3D(organs)>. See <that>.');
  const start = asking.text.indexOf('<VISTA3D');
  const request = { name: 'VISTA3D', what: 'segmentation of CT', argument: 'organs', start, end: start + 17, alone: false };
  const { statements, warnings } = await run([], { answer: { ...asking, requests: [request] }, scorer: scorerOf(asking, [0], [[1, 0]]) });
  expect(statements.map(({ text: said }) => said)).toEqual(['This is a CT image.', 'See <that>.']);
  expect(warnings).toEqual([
    {
      code: 'expert-requested',
      message: 'The model asked for the expert VISTA3D (organs), for segmentation of CT, which is not run here.',
    },
  ]);
  const alone = answerOf('<VISTA3D(organs)>');
  const only = await run([], { answer: { ...alone, requests: [{ ...request, start: 0, end: 17 }] } });
  expect([only.statements, only.warnings.map(({ code }) => code)]).toEqual([[], ['expert-requested']]);
});

describe('the three states', () => {
  const gains = [
    [0, 2],
    [0, 0.01],
    [0, 0],
  ];
  test('depends, cannot be tested, depends on none', async () => {
    const { statements } = await run(gains);
    expect(statements.map(({ dependence, citations }) => [dependence, citations.map(({ image }) => image)])).toEqual([
      ['depends', [2]],
      ['cannot-be-tested', []],
      ['depends-on-none', []],
    ]);
    expect(statements[0]?.citations[0]?.share).toBeCloseTo(1, 9);
  });
  test('a negative that shows dependence depends', async () => {
    const { statements } = await run([
      [0, 0],
      [1, 0],
      [0, 0],
    ]);
    expect(statements[1]?.dependence).toBe('depends');
  });
  test('sections and numbers are kept', async () => {
    const { statements } = await run(gains);
    expect(statements.map(({ number, section }) => [number, section])).toEqual([
      [1, 'findings'],
      [2, 'findings'],
      [3, 'impression'],
    ]);
  });
});

describe('numbers', () => {
  test('support is per token under the null that shows less, shares are of the mean', async () => {
    const { statements, contributions } = await run([
      [1, 3],
      [0, 0],
      [0, 0],
    ]);
    expect(statements[0]?.support).toBeCloseTo(2, 9);
    expect(contributions[0]?.shares?.[1]).toBeCloseTo(0.75, 9);
    expect(statements[0]?.citations.map(({ share }) => share)).toEqual(contributions[0]?.shares);
  });
  test('an image below the threshold per token is not cited', async () => {
    const { statements } = await run([
      [0.19, 0.21],
      [0, 0],
      [0, 0],
    ]);
    expect(statements[0]?.citations.map(({ image }) => image)).toEqual([2]);
  });
  test('an image that lowers the probability has no share and is not cited', async () => {
    const { statements, contributions } = await run([
      [-1, 3],
      [0, 0],
      [0, 0],
    ]);
    expect(contributions[0]?.shares).toEqual([0, 1]);
    expect(statements[0]?.citations.map(({ image }) => image)).toEqual([2]);
  });
  test('where the images together add nothing there is no share and no citation', async () => {
    const { statements, contributions } = await run([
      [-3, 1],
      [0, 0],
      [0, 0],
    ]);
    expect(contributions[0]?.shares).toBeNull();
    expect(statements[0]?.citations).toEqual([]);
  });
  test('one null that shows nothing is enough not to cite', async () => {
    const scorer: Scorer = async (keep, nullImage) => answer.tokens.map(() => (nullImage === 'mean' || keep.every(Boolean) ? -1 : -4));
    const { statements } = await run([], { scorer });
    expect(statements[0]?.citations).toEqual([]);
  });
});

describe('calibration', () => {
  const gains = [
    [0, 2],
    [0, 2],
    [0, 0],
  ];
  test('without a threshold nothing is cited and the line says why', async () => {
    const { statements, attribution } = await run(gains, { threshold: null });
    expect(
      statements.every(({ dependence, calibrated, citations }) => dependence === 'not-attributed' && !calibrated && citations.length === 0),
    ).toBe(true);
    expect(statements[0]?.support).toBeCloseTo(1, 9);
    expect(attribution.line).toContain('not calibrated, so no image is cited');
  });
  test('a test bundle may cite without one and stays marked', async () => {
    const { statements, attribution } = await run(gains, { threshold: null, citeWithoutThreshold: true });
    expect(statements[0]).toMatchObject({ dependence: 'depends', calibrated: false });
    expect(attribution.line).toMatch(/Support is not calibrated\.$/);
  });
});

describe('which method', () => {
  const images = (count: number) => Array.from({ length: count }, (_, at) => ref(at + 1));
  test('two images: every subset under both nulls in tree order, all images once', async () => {
    const log: string[] = [];
    const { attribution } = await run([[1, 1]], {}, log);
    expect(log).toEqual(['black 11', 'black 10', 'black 01', 'black 00', 'mean 10', 'mean 01', 'mean 00']);
    expect(attribution).toMatchObject({ method: 'shapley', nulls: ['black', 'mean'] });
    expect(attribution.line).toBe(
      'Dependence on images was measured by exact Shapley values over all subsets of 2 images, removed images replaced by black and by the mean colour.',
    );
  });
  test('five images: leave-one-out and keep-one-in', async () => {
    const log: string[] = [];
    const { attribution, statements } = await run([[0, 0, 2, 0, 0]], { images: images(5) }, log);
    expect(log).toHaveLength(1 + 2 * (5 + 5 + 1));
    expect(attribution.line).toContain('leave-one-out and keep-one-in over 5 images');
    expect(attribution.method).toBe('leave-one-out');
    expect(statements[0]?.citations.map(({ image }) => image)).toEqual([3]);
  });
  test('two of five images that show the same are both cited: alone each tells what the other repeats', async () => {
    const scorer: Scorer = async (keep) => answer.tokens.map(() => (keep[1] === true || keep[3] === true ? -1 : -4));
    const { statements } = await run([], { scorer, images: images(5) });
    expect(statements[0]?.citations.map(({ image }) => image)).toEqual([2, 4]);
  });
  test('a time that the first subset shows to be too short reduces to leave-one-out under one null', async () => {
    const log: string[] = [];
    const gains = [[1, 1, 1]];
    const { attribution, warnings, statements } = await run(gains, {
      ...clocked(scorerOf(answer, starts, gains, log), () => 100),
      images: images(3),
      timeBudgetMs: 500,
    });
    expect(log).toEqual(['black 111', 'black 110', 'black 101', 'black 011', 'black 000']);
    expect(attribution).toMatchObject({ method: 'leave-one-out', nulls: ['black'] });
    expect(attribution.line).toContain('one null image only');
    expect(warnings).toMatchObject([{ code: 'attribution-reduced' }]);
    expect(statements[0]?.citations).toHaveLength(3);
  });
  test('a first subset that was quicker than the others reduces later and uses what is there', async () => {
    const log: string[] = [];
    const gains = [[1, 1]];
    const { attribution } = await run(gains, {
      ...clocked(scorerOf(answer, starts, gains, log), (call) => (call === 0 ? 1 : 100)),
      timeBudgetMs: 320,
    });
    expect(attribution.method).toBe('leave-one-out');
    expect(log.filter((one) => one.startsWith('mean'))).toEqual([]);
  });
  test('no time at all attributes nothing and says so', async () => {
    const gains = [[1, 1]];
    const { attribution, warnings, statements } = await run(gains, {
      ...clocked(scorerOf(answer, starts, gains), () => 1000),
      timeBudgetMs: 10,
    });
    expect(attribution.method).toBe('none');
    expect(warnings).toMatchObject([{ code: 'attribution-none' }]);
    expect(
      statements.every(
        ({ dependence, support, citations }) => dependence === 'not-attributed' && support === null && citations.length === 0,
      ),
    ).toBe(true);
  });
});

describe('what does not resolve or is not finite', () => {
  test('a sentence that rests on an image that was not retrieved is held and names it', async () => {
    const { statements } = await run([[1, 1]], { resolve: ({ instance }) => instance !== ref(2).instance });
    expect(statements[0]?.holds).toEqual([
      { rule: 'reference-unresolved', message: 'It rests on image 2, which is not among the retrieved images.' },
    ]);
    expect(statements[0]?.citations.map(({ image }) => image)).toEqual([1]);
    expect(statements[2]?.holds).toEqual([]);
  });
  test('a scorer that gives NaN or another length is not-finite', async () => {
    await expect(run([], { scorer: async () => answer.tokens.map(() => Number.NaN) })).rejects.toMatchObject({ code: 'not-finite' });
    await expect(run([], { scorer: async () => [-1] })).rejects.toMatchObject({ code: 'not-finite' });
  });
  test('an answer without images or sentences is not scored', async () => {
    const log: string[] = [];
    expect((await run([[1]], { images: [] }, log)).statements[0]?.dependence).toBe('not-attributed');
    expect((await run([[1]], { answer: answerOf('\n') }, log)).statements).toEqual([]);
    expect(log).toEqual([]);
  });
});

test('with an order-blind scorer the values permute exactly when the images do', async () => {
  const gain = fc.integer({ min: -4, max: 8 });
  const both = fc.integer({ min: 1, max: 6 }).chain((count) =>
    fc.record({
      gains: fc.array(fc.array(gain, { minLength: count, maxLength: count }), { minLength: 3, maxLength: 3 }),
      order: fc.shuffledSubarray([...Array(count).keys()], { minLength: count, maxLength: count }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(both, async ({ gains, order }) => {
      const images = order.map((_, image) => ref(image + 1));
      const permuted = gains.map((one) => order.map((image) => one[image] ?? 0));
      const before = await run(gains, { images });
      const after = await run(permuted, { images: order.map((image) => ref(image + 1)) });
      for (const [at, one] of before.contributions.entries()) {
        expect(after.contributions[at]?.values).toEqual(order.map((image) => expect.closeTo(one?.values[image] ?? Number.NaN, 9)));
      }
      const cited = (result: typeof before) =>
        result.statements.map(({ citations }) => citations.map((citation) => citation.ref.instance).sort());
      expect(cited(after)).toEqual(cited(before));
    }),
    { numRuns: 150 },
  );
});
